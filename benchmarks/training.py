"""Training speed against transformers' Trainer: the same networks, data, batches and threads.

    pip install transformers
    python benchmarks/training.py --data FOLDER [--rounds 3] [--threads 2]

FOLDER holds `mini_librispeech/train.parquet` (audio) and `voxforge_ru/train.parquet` (ready
features). Two networks: a Transformer-CTC encoder of about 5 million parameters on the former, the
2 x 128 bidirectional LSTM on the latter. Each side trains as its users would: ours by
`speechkit run`; the peer by `Trainer` on modules of PyTorch's own (`nn.TransformerEncoder`,
`nn.LSTM` on packed sequences), features computed before it starts (ours are computed from audio in
every epoch, since augmentation needs that), batches grouped by length, fused AdamW.

Every training is a process of its own, two epochs long; the second one is timed, and the sides take
turns. Speed is seconds of speech, without padding, a second of wall time; medians of the rounds.
Wall time, so nothing else may run. "Best" compares the fastest precision of each side.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TARGETS = {  # times as fast: at equal precision, and each at its best
    "transformer": (1.1, 1.5),
    "bilstm": (3.0, 1.5),
}
SIZES = {"dim": 192, "layers": 11, "heads": 4}
BATCHES = {"transformer": (120.0, 10), "bilstm": (60.0, 8)}  # seconds of ours, rows of theirs
FILES = {
    "transformer": "mini_librispeech/train.parquet",
    "bilstm": "voxforge_ru/train.parquet",
}
ALPHABETS = {
    "transformer": "abcdefghijklmnopqrstuvwxyz'",
    "bilstm": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
}

RECIPE = """
[recipe]
name = "bench"

[corpus.train]
use = "files"
path = "{path}"
limit = {utterances}
{columns}

[corpus.validation]
use = "files"
path = "{path}"
limit = 4
{columns}

[text]
alphabet = "{alphabet}"
replace = {{ "ё" = "е" }}

[features]
use = "{features}"

[model]
{model}

[train]
epochs = 2
batch_seconds = {seconds}
validate_every = 2
precision = "{precision}"
threads = {threads}
"""

MODELS = {
    "transformer": 'use = "n2"\ndim = {dim}\nlayers = {layers}\nheads = {heads}\nconvolution = 0',
    "bilstm": 'use = "bilstm"',
}


def ours(network: str, options: argparse.Namespace) -> float:
    """Seconds of speech a second of the second epoch of `speechkit run`."""
    ready = 'features_column = "mfcc"\nfeature_dim = 13' if network == "bilstm" else ""
    recipe = RECIPE.format(
        path=(options.data / FILES[network]).resolve(),
        utterances=options.utterances[network],
        columns=ready,
        alphabet=ALPHABETS[network],
        features="sphinx_mfcc" if network == "bilstm" else "log_mel",
        model=MODELS[network].format(**SIZES),
        seconds=BATCHES[network][0],
        precision=options.precision,
        threads=options.threads,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "bench.toml").write_text(recipe, encoding="utf-8")
        command = [sys.executable, "-m", "speechkit", "run", "bench.toml"]
        subprocess.run(command, cwd=place, check=True, capture_output=not options.verbose)
        lines = (place / "runs/bench/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    speeds = [each["speed"] for each in map(json.loads, lines) if each["kind"] == "efficiency"]
    return float(speeds[1])


def theirs(network: str, options: argparse.Namespace) -> float:
    """The same of `Trainer`."""
    import torch  # noqa: PLC0415 - in the measured process alone
    from transformers import (  # noqa: PLC0415
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    torch.set_num_threads(options.threads)
    rows = peer_rows(network, options)
    seconds = sum(map(float, rows["seconds"]))

    class Clock(TrainerCallback):  # type: ignore[misc]
        """When each epoch begins and ends."""

        def __init__(self) -> None:
            self.began = self.took = 0.0

        def on_epoch_begin(self, *_: object, **__: object) -> None:
            self.began = time.monotonic()

        def on_epoch_end(self, *_: object, **__: object) -> None:
            self.took = time.monotonic() - self.began

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=peer_model(network),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=2,
                per_device_train_batch_size=BATCHES[network][1],
                train_sampling_strategy="group_by_length",
                length_column_name="frames",
                dataloader_num_workers=options.workers,
                use_cpu=True,
                bf16=options.precision == "bf16",
                learning_rate=1e-3,
                optim="adamw_torch_fused",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                remove_unused_columns=False,
                disable_tqdm=True,
            ),
            train_dataset=rows,
            data_collator=collate,
            callbacks=[clock],
        ).train()
    return seconds / clock.took


def peer_rows(network: str, options: argparse.Namespace) -> Any:  # noqa: ANN401 - of datasets
    """A dataset with features, labels, and lengths of both."""
    import datasets  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from speechkit.data.audio import read_audio  # noqa: PLC0415
    from speechkit_features.log_mel import LogMel, LogMelConfig  # noqa: PLC0415

    alphabet = " " + ALPHABETS[network]
    numbers = {letter: number for number, letter in enumerate(alphabet, 1)}
    rows = datasets.Dataset.from_parquet(str(options.data / FILES[network]))
    rows = rows.select(range(min(len(rows), options.utterances[network])))
    if network == "transformer":
        rows = rows.cast_column("audio", datasets.Audio(decode=False))
    log_mel = LogMel(LogMelConfig())

    def prepared(row: dict[str, Any]) -> dict[str, Any]:
        if network == "transformer":
            samples, _ = read_audio(row["audio"]["bytes"], name="audio")
            wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None]
            values = log_mel(wave, torch.tensor([wave.shape[1]]))[0][0].numpy()
        else:
            values = np.asarray(row["mfcc"], np.float32).reshape(-1, 13)
        values = (values - values.mean(0)) / (values.std(0) + 1e-5)
        text = row["text"].lower().replace("ё", "е")
        return {
            "features": values,
            "labels": [numbers[letter] for letter in text if letter in numbers],
            "frames": len(values),
            "seconds": len(values) / 100,
        }

    made = rows.map(prepared, remove_columns=rows.column_names, keep_in_memory=True)
    return made.with_format("torch")


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Padded by PyTorch, as data collators do."""
    import torch  # noqa: PLC0415
    from torch.nn.utils.rnn import pad_sequence  # noqa: PLC0415

    def padded(name: str) -> Any:  # noqa: ANN401 - a tensor
        return pad_sequence([torch.as_tensor(row[name]) for row in rows], batch_first=True)

    return {
        "features": padded("features"),
        "labels": padded("labels"),
        "lengths": torch.tensor([len(row["features"]) for row in rows]),
        "label_lengths": torch.tensor([len(row["labels"]) for row in rows]),
    }


def peer_model(network: str) -> Any:  # noqa: ANN401 - a module; torch is imported late
    """The same network of PyTorch's own modules."""
    import torch  # noqa: PLC0415
    from torch import Tensor, nn  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    labels = len(ALPHABETS[network]) + 2

    class Transformer(nn.Module):
        """Convolutional subsampling by 4, `nn.TransformerEncoder`."""

        def __init__(self) -> None:
            super().__init__()
            dim = SIZES["dim"]
            self.first = nn.Conv2d(1, 32, 3, stride=2, padding=1)
            self.second = nn.Conv2d(32, 32, 3, stride=2, padding=1)
            self.project = nn.Linear(32 * 20, dim)
            self.encoder = nn.TransformerEncoder(
                nn.TransformerEncoderLayer(
                    dim, SIZES["heads"], 4 * dim, 0.1, "gelu", batch_first=True, norm_first=True
                ),
                SIZES["layers"],
                nn.LayerNorm(dim),
                enable_nested_tensor=False,
            )
            self.head = nn.Linear(dim, labels)

        def hidden(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            hidden = functional.relu(self.first(features[:, None]))
            hidden = functional.relu(self.second(hidden)).permute(0, 2, 1, 3).flatten(2)
            lengths = (lengths + 3) // 4
            unseen = torch.arange(hidden.shape[1])[None] >= lengths[:, None]
            hidden = self.encoder(self.project(hidden), src_key_padding_mask=unseen)
            return self.head(hidden), lengths

    class BiLSTM(nn.Module):
        """`nn.LSTM` on packed sequences."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(13, 128, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(256, labels)

        def hidden(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            packed = nn.utils.rnn.pack_padded_sequence(
                features, lengths, batch_first=True, enforce_sorted=False
            )
            hidden, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
            return self.head(hidden), lengths

    class WithLoss(nn.Module):
        """What Trainer calls."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(
            self, features: Tensor, labels: Tensor, lengths: Tensor, label_lengths: Tensor
        ) -> dict[str, Tensor]:
            scores, frames = self.network.hidden(features, lengths)
            log_probs = scores.float().log_softmax(-1).transpose(0, 1)
            return {
                "loss": functional.ctc_loss(
                    log_probs, labels, frames, label_lengths, zero_infinity=True
                )
            }

    return WithLoss(Transformer() if network == "transformer" else BiLSTM())


def main() -> None:
    """Measure in turns, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=["transformer", "bilstm"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--workers", type=int, default=0, help="of the peer's data loader")
    parser.add_argument("--audio", type=int, default=160, help="utterances of the audio")
    parser.add_argument("--ready", type=int, default=1500, help="utterances of the features")
    parser.add_argument("--output", type=Path, default=Path("training.json"))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "NETWORK"), help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="fp32", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.utterances = {"transformer": options.audio, "bilstm": options.ready}
    if options.one:
        side, network = options.one
        print(json.dumps((ours if side == "ours" else theirs)(network, options)))
        return

    speeds: dict[tuple[str, str, str], list[float]] = {}
    for number in range(options.rounds):
        for network in options.networks:
            for precision in options.precisions:
                for side in ("ours", "theirs"):
                    speed = _measured(side, network, precision, options)
                    speeds.setdefault((network, precision, side), []).append(speed)
                    print(
                        f"round {number + 1}  {network:11} {precision} {side:6} "
                        f"{speed:7.0f} s of speech a second",
                        flush=True,
                    )
    medians = {key: statistics.median(found) for key, found in speeds.items()}
    found = []
    for network in options.networks:
        equal, best = TARGETS[network]
        for precision in options.precisions:
            ratio = medians[network, precision, "ours"] / medians[network, precision, "theirs"]
            found.append({"network": network, "at": precision, "ratio": ratio, "target": equal})
        ends = [
            max(medians[network, each, side] for each in options.precisions)
            for side in ("ours", "theirs")
        ]
        found.append({"network": network, "at": "best", "ratio": ends[0] / ends[1], "target": best})
    for each in found:
        print(
            f"{each['network']:11} {each['at']:5} {each['ratio']:5.2f} times as fast "
            f"(target {each['target']:g})"
        )
    result = {
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        "speeds": {" ".join(key): found for key, found in speeds.items()},
        "ratios": found,
    }
    options.output.write_text(json.dumps(result, indent=1), encoding="utf-8")


def _measured(side: str, network: str, precision: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--one", side, network, "--precision", precision]
    for name in ("data", "threads", "workers", "audio", "ready"):
        command += [f"--{name}", str(getattr(options, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{side} {network} {precision} failed:\n{ended.stderr}")
    return float(json.loads(ended.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
