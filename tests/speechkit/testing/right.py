"""One right part of each kind, small, that the wrong ones in `wrong.py` are made from."""

import io
import json
import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise
from typing import Literal

import datasets
import numpy as np
import soundfile
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn

from speechkit import Config, CTCModel, DataError, Field, Hypothesis, Vocabulary, Word, length_mask


class Settings(Config):
    pass


class Net(CTCModel):
    subsampling = 2

    def __init__(self, config, *, num_features, num_labels):
        super().__init__()
        self.convolve = nn.Conv1d(num_features, 32, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm1d(32)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(32, num_labels)

    def forward(self, features, lengths):
        features = nn.functional.pad(features, (0, 0, 0, features.shape[1] % 2))
        if not features.shape[1]:
            features = nn.functional.pad(features, (0, 0, 0, 2))
        hidden = self.convolve(self.masked(features, lengths).transpose(1, 2)).relu()
        scores = self.head(self.middle(self.dropout(self.norm(hidden)).transpose(1, 2), lengths))
        return self.finished(scores), self.frames(lengths)

    def masked(self, features, lengths):
        return features.where(length_mask(lengths, features.shape[1])[..., None], 0.0)

    def middle(self, hidden, lengths):
        return hidden

    def finished(self, scores):
        return scores.float().log_softmax(-1)

    def frames(self, lengths):
        return (lengths + 1) // 2


class Spectrum(nn.Module):
    sample_rate, dim, frame_shift_seconds = 8000, 129, 0.01
    window, hop = 256, 80

    def __init__(self, config):
        super().__init__()
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)

    def forward(self, waveforms, lengths):
        frames = self.frames(lengths)
        waveforms = self.prepared(waveforms, lengths)
        if waveforms.shape[1] < self.window:
            return waveforms.new_zeros(len(waveforms), 0, self.dim), frames
        spectrum = torch.fft.rfft(waveforms.unfold(1, self.window, self.hop) * self.hann)
        return self.finished(spectrum.abs().square()), frames

    def frames(self, lengths):
        return ((lengths - self.window) // self.hop + 1).clamp(min=0)

    def prepared(self, waveforms, lengths):
        return waveforms

    def finished(self, power):
        return power.clamp(min=1e-8).log()


class SearchSettings(Config):
    nbest: int = Field(3, gt=0)
    lm_weight: float = Field(1.0, ge=0)


class Search:
    """The best path, and those in which one run of frames has its second label."""

    device = "cpu"

    def __init__(self, config, *, vocabulary, language_model):
        self.config, self.vocabulary, self.language_model = config, vocabulary, language_model

    def __call__(self, emissions):
        return [self.row(emissions, row) for row in range(len(emissions.lengths))]

    def length(self, emissions, row):
        return int(emissions.lengths[row])

    def row(self, emissions, row):
        log_probs = emissions.log_probs[row, : self.length(emissions, row)]
        best = log_probs.argmax(-1)
        found = {}
        for path in (best, *self.others(log_probs, best)):
            each = self.hypothesis(emissions, row, path, log_probs)
            impossible = each.score == -math.inf
            if not impossible and (each.text not in found or each.score > found[each.text].score):
                found[each.text] = each
        return self.chosen(list(found.values()))

    def chosen(self, found):
        return sorted(found, key=lambda each: -each.score)[: self.config.nbest]

    def others(self, log_probs, best):
        for begin, end in runs(best.tolist()):
            other = best.clone()
            other[begin:end] = log_probs[begin].topk(2).indices[1]
            yield other

    def hypothesis(self, emissions, row, path, log_probs):
        labels, words = path.tolist(), []
        inside = False
        for begin, end in runs(labels):
            label = self.vocabulary.labels[labels[begin]]
            if label == " ":
                inside = False
            elif label:
                text, start, _ = words.pop() if inside else ("", begin, 0)
                words.append((text + label, start, end))
                inside = True
        text = " ".join(word[0] for word in words)
        score = float(log_probs.gather(1, path[:, None]).sum()) + self.bonus(text)
        return Hypothesis(text, score, tuple(self.word(emissions, row, *each) for each in words))

    def bonus(self, text):
        weight = self.config.lm_weight
        return weight * self.language_model.score(text) if self.language_model and weight else 0.0

    def word(self, emissions, row, text, begin, end):
        over = emissions.start_seconds(row, end - 1) + emissions.frame_shift_seconds
        return Word(text, emissions.start_seconds(row, begin), over, 0.5)


def runs(labels):
    begin = 0
    for end in range(1, len(labels) + 1):
        if end == len(labels) or labels[end] != labels[begin]:
            yield begin, end
            begin = end


class LouderSettings(Config):
    probability: float = Field(0.7, ge=0, le=1)


class Louder:
    stage = "waveform"

    def __init__(self, config, *, sample_rate, dim):
        self.config = config

    def __call__(self, values, lengths, draws):
        drawn = torch.tensor(self.drawn(draws), dtype=values.dtype, device=values.device)
        gain = torch.where(drawn[:, 0] < self.config.probability, 0.5 + drawn[:, 1], 1.0)
        sources = torch.arange(len(values), device=values.device)
        return self.changed(values, lengths, gain), lengths, sources

    def drawn(self, draws):
        return [each.random(2).tolist() for each in draws]

    def changed(self, values, lengths, gain):
        return values * gain.view(-1, *[1] * (values.dim() - 1))


class LouderFrames(Louder):
    stage = "features"


class Letters:
    def __init__(self, config, *, alphabet):
        self.vocabulary = Vocabulary(("", *alphabet))

    def encode(self, text):
        try:
            return [self.vocabulary.labels.index(each, 1) for each in text]
        except ValueError as error:
            raise DataError(str(error)) from error


class TonesSettings(Config):
    part: Literal["train", "test"] = "train"


def rows_of(part="train", seconds=0.2):
    """Rows of a tiny corpus: a tone for each."""
    number = 0 if part == "train" else 100
    for each in range(number, number + 6):
        wave = 0.3 * np.sin(2 * np.pi * (200 + 10 * each) * np.arange(int(8000 * seconds)) / 8000)
        file = io.BytesIO()
        soundfile.write(file, wave, 8000, format="WAV")
        audio = {"bytes": file.getvalue(), "path": None}
        yield {
            "id": f"{each:04}",
            "audio": audio,
            "text": f"tone {each}",
            "duration_seconds": seconds,
        }


def table(rows):
    return datasets.Dataset.from_list(list(rows))


def build_tones(config):
    return table(rows_of(config.part))


class Handle:
    """A bigram model; each word's probability is mixed with an equal share for all."""

    order = 2

    def __init__(self, folder):
        self.folder = folder
        pairs = json.loads((folder / "counts.json").read_text())
        self.pairs = Counter({tuple(key.split("\t")): count for key, count in pairs.items()})
        self.words = sorted({word for _, word in self.pairs} | {"<unk>"})
        self.word_ids = {word: number for number, word in enumerate(self.words)}

    def log_prob(self, before, word):
        own = sum(count for (first, _), count in self.pairs.items() if first == before)
        seen = self.pairs[before, word] / own if own else 1 / len(self.words)
        return math.log(0.9 * seen + 0.1 / len(self.words))

    def score(self, text):
        words = [word if word in self.word_ids else "<unk>" for word in text.split()]
        return sum(map(self.log_prob, ["<s>", *words], [*words, "</s>"]))

    def start(self):
        return "<s>"

    def step(self, state, word):
        return self.log_prob(state, self.words[word]), self.words[word]


class Bigrams:
    handle = Handle

    def __init__(self, config):
        pass

    def train(self, lines, folder):
        pairs = Counter()
        for line in self.lines(lines):
            words = ["<s>", *line.split(), "</s>"]
            pairs.update(pairwise(words))
        folder.mkdir(exist_ok=True)
        counts = {"\t".join(pair): count for pair, count in pairs.items()}
        (folder / "counts.json").write_text(json.dumps(counts))

    def lines(self, lines):
        return lines

    def load(self, folder):
        return self.handle(folder)


DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class Spoken:
    """Digits as words, and ё as е."""

    def __init__(self, config):
        pass

    def __call__(self, text):
        text = self.composed(text).replace("ё", "е")
        return re.sub("[0-9]+", lambda found: self.said(found[0]), text)

    def composed(self, text):
        return unicodedata.normalize("NFC", text)

    def said(self, number):
        return " ".join(DIGITS[int(digit)] for digit in number)


class WordErrors:
    """Errors over words of all references, and the share of the utterances without any."""

    def __init__(self, config):
        pass

    def __call__(self, pairs):
        errors = [self.errors(*pair) for pair in pairs]
        words = sum(len(reference.split()) for reference, _ in pairs)
        return {"wer": self.rate(sum(errors), words), "whole": errors.count(0) / len(pairs)}

    def errors(self, reference, hypothesis):
        return Levenshtein.distance(reference.split(), hypothesis.split())

    def rate(self, errors, words):
        return errors / max(1, words)


RIGHT = {
    "model": (Net, Settings),
    "features": (Spectrum, Settings),
    "decoder": (Search, SearchSettings),
    "augmentation": (Louder, LouderSettings),
    "units": (Letters, Settings),
    "corpus": (build_tones, TonesSettings),
    "language_model": (Bigrams, Settings),
    "text_rule": (Spoken, Settings),
    "score_protocol": (WordErrors, Settings),
}
