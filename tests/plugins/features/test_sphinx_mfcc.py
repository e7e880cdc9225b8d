import math
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from speechkit_features.sphinx_mfcc import (
    SphinxMfcc,
    SphinxMfccConfig,
    _compiled,
    _halved,
    _halving,
    _spoken,
)

# Output of sphinx_fe itself for the 8 kHz recordings.
REFERENCES = {
    "test": "test.mfcc",
    "mikr": "mikr.mfcc",
    "mikr2": "mikr2.mfcc",
    "ru_test": "ru_test.sphinx_fe",
}


def one(wave: Tensor, **kwargs) -> tuple[Tensor, Tensor]:
    """(N,) -> (K, D), (K,) seconds."""
    extractor = SphinxMfcc(SphinxMfccConfig(**kwargs))
    values, _, times = extractor(wave[None], torch.tensor([len(wave)]))
    return values[0], times[0]


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_sphinx_fe(
    name: str, recordings_folder: Path, recordings: dict[str, Tensor]
) -> None:
    expected = torch.from_numpy(np.load(recordings_folder / f"{REFERENCES[name]}.npy"))
    narrow, _ = soundfile.read(recordings_folder / f"{name}_8k.wav", dtype="float32")
    from_8000, _ = one(torch.from_numpy(narrow), input_rate=8000)
    from_16000, _ = one(recordings[name])
    assert from_8000.shape == from_16000.shape == expected.shape
    assert (from_8000 - expected).abs().max() < 1e-4
    assert (from_16000 - expected).abs().max() < 1e-4


def test_times_are_those_of_the_frames_kept(recordings: dict[str, Tensor]) -> None:
    wave = recordings["ru_test"]
    kept, times = one(wave)
    every, all_times = one(wave, remove_silence=False)
    assert len(every) == 799
    assert len(kept) == 686
    assert torch.allclose(all_times, torch.arange(799).double() / 100)
    assert torch.equal(every[(times * 100).round().long()], kept)
    assert (times.diff() > 0).all()


def by_hand(samples: list[int]) -> tuple[np.ndarray, list[int]]:
    """The documented recipe in plain Python: (T, 13), and the frames that are kept."""
    emphasised = [now - 0.97 * then for now, then in zip(samples, [0, *samples], strict=False)]
    whole = 1 + (len(samples) - 205) // 80 if len(samples) >= 205 else 0
    corners = [13, 19, 25, 32, 40, 48, 58, 68, 80, 92, 106, 121, 138, 157, 177, 199, 224]
    window = [0.54 - 0.46 * math.cos(2 * math.pi * n / 204) for n in range(205)]

    def envelope(b: float, f: float) -> float:
        return 0.995 * f + 0.005 * b if b >= f else 0.5 * f + 0.5 * b

    rows, speech = [], []
    for t in range(whole + 1):
        frame = emphasised[80 * t : 80 * t + 205]
        frame = np.array(frame + [0.0] * (205 - len(frame))) * window
        power = np.abs(np.fft.rfft(frame, 512)) ** 2
        m = []
        for i in range(15):
            a, b, c = corners[i : i + 3]
            m.append(
                sum(
                    2 / (15.625 * (c - a)) * max(0, min((k - a) / (b - a), (c - k) / (c - b))) * s
                    for k, s in enumerate(power)
                )
            )
        if t == 0:
            p, n, f = m[:], [x / 20 for x in m], [x / 20 for x in m]
            k, loudest = [0.0] * 15, 0.0
        p = [0.7 * x + 0.3 * y for x, y in zip(p, m, strict=True)]
        n = [envelope(x, y) for x, y in zip(p, n, strict=True)]
        s = [max(x - y, 1) for x, y in zip(p, n, strict=True)]
        r = max([0.0] + [math.log(x / y) for x, y in zip(p, n, strict=True) if x > 0 and y > 0])
        q = math.log(sum(s))
        g = 0.9 if q > loudest else 0.9995
        loudest = g * loudest + (1 - g) * q
        speech.append(not (r < 2.0 or loudest - 8 > q))
        f = [envelope(x, y) for x, y in zip(s, f, strict=True)]
        c = s[:]
        k = [0.85 * x for x in k]
        s = [0.2 * y if x < 0.85 * y else x for x, y in zip(s, k, strict=True)]
        k = [max(x, y) for x, y in zip(k, c, strict=True)]
        s = [max(x, y) for x, y in zip(s, f, strict=True)]
        gain = [max(x / y if x < 20 * y else 20, 1 / 20) for x, y in zip(s, p, strict=True)]
        m = [x * np.mean(gain[max(0, i - 4) : min(14, i + 4) + 1]) for i, x in enumerate(m)]
        e = np.log(np.array(m) + 1e-4)
        row = [math.sqrt(1 / 15) * e.sum()]
        for j in range(1, 13):
            cosines = np.cos(np.pi * j * (np.arange(15) + 0.5) / 15)
            row.append(math.sqrt(2 / 15) * (e @ cosines) * (1 + 11 * math.sin(math.pi * j / 22)))
        rows.append(row)
    return np.array(rows), kept_by_hand(speech)


def kept_by_hand(speech: list[bool]) -> list[int]:
    """The documented state machine, word for word."""
    kept: list[int] = []
    inside, a, p, buffer = False, 0, 0, []
    for t, is_speech in enumerate(speech):
        if not inside:
            buffer = [*buffer, t][-21:]
        if is_speech:
            p = 0
            if not inside:
                a += 1
                if a >= 10:
                    a, inside = 0, True
        else:
            a = 0
            if inside:
                p += 1
                if p >= 50:
                    p, inside, buffer = 0, False, []
        if inside:
            kept += buffer if buffer and t < len(speech) - 1 else [t]
            buffer = []
    return kept


@pytest.mark.parametrize(("samples", "seed"), [(1, 0), (204, 1), (205, 2), (9_000, 3)])
def test_equals_the_recipe_in_plain_python(
    samples: int, seed: int, speechlike: Callable[..., Tensor]
) -> None:
    wave = speechlike(samples, seed)
    # Silence of the digital kind, of the quiet kind, and speech.
    wave[2_000:2_500] = 0
    wave[2_500:5_000] = (wave[2_500:5_000] * 32768 / 300).round() / 32768
    expected, kept = by_hand((wave * 32768).int().tolist())
    every, _ = one(wave, input_rate=8000, remove_silence=False)
    assert np.allclose(every.numpy(), expected, atol=1e-4)
    found, times = one(wave, input_rate=8000)
    assert (times * 100).round().int().tolist() == kept
    assert np.allclose(found.numpy(), expected[kept].reshape(-1, 13), atol=1e-4)


@example([(False, 5), (True, 10)])  # speech begins with the last frame
@example([(True, 15), (False, 49), (True, 3), (False, 50), (True, 12)])
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=12))
def test_silence_is_dropped_as_documented(runs: list[tuple[bool, int]]) -> None:
    speech = [is_speech for is_speech, frames in runs for _ in range(frames)]
    assert _spoken(np.array(speech, dtype=bool)).tolist() == kept_by_hand(speech)


@pytest.mark.parametrize("samples", [0, 1, 2, 255, 256, 257, 4_001])
def test_halving_equals_torchaudio(samples: int) -> None:
    waves = torch.randn(2, samples, dtype=torch.float64)
    found = _halved(waves, _halving())
    assert found.shape == (2, (samples + 1) // 2)
    if samples:
        expected = torchaudio.functional.resample(
            waves,
            16_000,
            8_000,
            lowpass_filter_width=64,
            rolloff=0.9475937167399596,
            resampling_method="sinc_interp_kaiser",
            beta=14.769656459379492,
        )
        assert torch.allclose(found, expected, atol=1e-12)


def test_nowhere_to_keep_what_is_compiled_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_now = numba.njit

    def nowhere(function: Callable | None = None, *, cache: bool = False) -> Callable:
        if cache:
            return nowhere_to_keep
        return compile_now(function)

    def nowhere_to_keep(_: Callable) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba, "njit", nowhere)
    assert _compiled(lambda x: x + 1)(1) == 2


def test_silence_gives_no_frame() -> None:
    extractor = SphinxMfcc(SphinxMfccConfig())
    values, frames, times = extractor(torch.zeros(2, 16_000), torch.tensor([16_000, 100]))
    assert frames.tolist() == [0, 0]
    assert values.shape == (2, 0, 13)
    assert times.shape == (2, 0)


def test_the_sample_rate_is_that_of_the_input() -> None:
    assert SphinxMfcc(SphinxMfccConfig()).sample_rate == 16_000
    assert SphinxMfcc(SphinxMfccConfig(input_rate=8000)).sample_rate == 8_000
