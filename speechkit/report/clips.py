"""Recordings of the utterances a report shows, small enough to stand in it."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import soundfile
from markupsafe import Markup

from speechkit.data.store import Store
from speechkit.errors import SpeechkitError

Stores: TypeAlias = Callable[[str], Store]
"""The prepared speech of a test, by its name."""

CAP = 3_000_000  # characters of all clips in a page
_LONGEST_SECONDS = 60.0  # of a clip
_SMALLNESS = 0.6  # of MP3s, 0 to 1: about 4 kB a second at 16 kHz


class Clips:
    """Gives clips of each test as long as there is room for them.

    why_none  what to say of those that are missing, by test
    """

    def __init__(self, stores: Stores | None, *, tests: int) -> None:
        self._stores, self._room = stores, CAP // tests
        self.why_none: dict[str, str] = {}

    def of(self, test: str, ids: Sequence[str]) -> Mapping[str, Markup]:
        """`data:` addresses of utterances, by id; those that do not fit are left out."""
        store = self._store(test)
        if store is None:
            return {}
        wanted = set(ids)
        places = {each: place for place, each in enumerate(store.ids) if each in wanted}
        clips: dict[str, Markup] = {}
        room = self._room
        for each in ids:
            if each not in places or store.seconds[places[each]] > _LONGEST_SECONDS:
                continue
            clip = _address(store, places[each])
            if len(clip) <= room:
                room -= len(clip)
                clips[each] = clip
        if len(clips) < len(wanted):
            self.why_none[test] = (
                f"{len(wanted) - len(clips)} recordings are left out, so that the file stays small."
            )
        return clips

    def _store(self, test: str) -> Store | None:
        if self._stores is None:
            self.why_none[test] = "The recordings were not at hand when this was written."
            return None
        try:
            store = self._stores(test)
        except SpeechkitError as error:
            self.why_none[test] = f"The recordings cannot be read: {error}"
            return None
        if store.meta.kind != "audio":
            self.why_none[test] = "No recordings: the corpus gives ready features."
            return None
        return store


def _address(store: Store, place: int) -> Markup:
    """An utterance as MP3, which every browser plays; as WAV where libsndfile was made without."""
    samples, file = store.row(place), io.BytesIO()
    kind = "MP3" if "MP3" in soundfile.available_formats() else "WAV"
    smaller = {"compression_level": _SMALLNESS} if kind == "MP3" else {}
    soundfile.write(file, samples, store.meta.sample_rate, format=kind, **smaller)
    name = {"MP3": "mpeg", "WAV": "wav"}[kind]
    return Markup(f"data:audio/{name};base64,{base64.b64encode(file.getvalue()).decode()}")  # noqa: S704 - letters and digits alone
