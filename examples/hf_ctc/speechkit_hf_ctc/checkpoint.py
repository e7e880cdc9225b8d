"""A checkpoint's folder: what it says of itself, and its weights.

Nothing is downloaded, no code of a checkpoint is run, and weights are read from safetensors alone:
a pickle, as `pytorch_model.bin` is one, can run whatever its maker wanted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit import PluginError

KINDS = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat")
"""Values of `model_type` whose layers let no padding through. (Those of data2vec-audio and of
wav2vec2-conformer do; wav2vec2-bert reads other features.)"""

_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_DELIMITER = "word_delimiter_token"


@dataclass(frozen=True)
class Checkpoint:
    """What the JSON files of a folder say.

    config        config.json
    preprocessor  preprocessor_config.json; empty where there is none
    labels        of the vocabulary: the blank, "", then the others in their order; " " parts words
    columns       for each label its place in what the checkpoint's head scores
    """

    folder: Path
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any]
    labels: tuple[str, ...]
    columns: tuple[int, ...]


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the JSON files of a folder, as `save_pretrained` leaves them.

    Raises:
        PluginError: the folder or a file is not there, or holds what these parts cannot use.
    """
    if not folder.is_dir():
        raise PluginError(
            f"{folder} is no folder",
            hint="download the checkpoint first, for example: hf download NAME --local-dir FOLDER",
        )
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in KINDS:
        raise PluginError(
            f"{folder} holds a model of the kind {kind!r}", hint=f"known are {', '.join(KINDS)}"
        )
    for key in ("add_adapter", "adapter_attn_dim"):
        if config.get(key):
            raise PluginError(
                f"{folder}: its config.json has {key} = {config[key]!r}: adapters are not known",
                hint="take a checkpoint without adapters",
            )
    preprocessor = folder / "preprocessor_config.json"
    labels, columns = _labels(folder, int(config.get("pad_token_id") or 0))
    return Checkpoint(
        folder, config, _json(preprocessor) if preprocessor.exists() else {}, labels, columns
    )


def load_weights(folder: Path, *, with_head: bool) -> Any:  # noqa: ANN401 - a class of transformers
    """The model for CTC, on the CPU, in float32.

    Args:
        folder: the checkpoint's.
        with_head: it must have a head for its labels, as after fine-tuning.

    Raises:
        PluginError: `transformers` is not installed, there are no safetensors, or weights lack.
    """
    stored = [each.name for each in folder.iterdir() if each.name.startswith("model.safetensors")]
    if not stored:
        raise PluginError(
            f"{folder} has no model.safetensors; other formats are pickles, which can run any code",
            hint="look for a revision with safetensors (many have one named refs/pr/...), or "
            "convert it where you trust it: model.save_pretrained(FOLDER)",
        )
    try:
        # Here, since it takes seconds, and this package is imported by `speechkit plugins list`.
        import torch  # noqa: PLC0415
        from transformers import AutoModelForCTC  # noqa: PLC0415
        from transformers.utils import logging  # noqa: PLC0415
    except ImportError as error:
        raise PluginError(
            f"transformers cannot be imported: {error}", hint="pip install transformers"
        ) from None
    shown = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        model, found = AutoModelForCTC.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(shown[1])
        if shown[0]:
            logging.enable_progress_bar()
    lacking = sorted(
        name for name in found["missing_keys"] if with_head or not name.startswith("lm_head")
    )
    lacking = [name for name in lacking if not name.endswith("masked_spec_embed")]  # not used here
    if lacking:
        heads = all(name.startswith("lm_head") for name in lacking)
        raise PluginError(
            f"{folder} lacks weights: {', '.join(lacking[:3])}",
            hint='it was not trained with CTC: set [model] head = "new" and train it'
            if heads
            else "is the download whole?",
        )
    return model


def _labels(folder: Path, blank: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The labels that mean something, the blank first, and the column of each."""
    tokens = _json(folder / "vocab.json")
    if not all(isinstance(column, int) for column in tokens.values()):
        raise PluginError(
            f"{folder}/vocab.json has several languages", hint="keep the one that is spoken"
        )
    named = _SPECIAL | {_DELIMITER: "|"}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).exists():
            said = _json(folder / name)
            named |= {key: _content(said[key]) for key in named if said.get(key)}
    silent = {named[key] for key in _SPECIAL}
    kept = sorted(
        (column, token)
        for token, column in tokens.items()
        if token not in silent and column != blank
    )
    labels = [" " if token == named[_DELIMITER] else token for _, token in kept]
    return ("", *labels), (blank, *(column for column, _ in kept))


def _content(token: Any) -> str:  # noqa: ANN401 - a text, or an object with one
    return str(token["content"] if isinstance(token, dict) else token)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PluginError(
            f"{file} cannot be read: {error}", hint="is the checkpoint's folder whole?"
        ) from None
    if not isinstance(found, dict):
        raise PluginError(f"{file} holds no JSON object")
    return found
