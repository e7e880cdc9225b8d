"""Parts with one defect each, and the check that is to find it."""

import math
import random
import secrets
import unicodedata

import datasets
import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import nn

from speechkit import Config, CTCConfig, Hypothesis, Vocabulary, Word, ctc_loss, length_mask

from . import right

WRONG = []  # kind, what builds the part, its settings, the check that is to find it


def found_by(check, kind, settings=None):
    """Enter a wrong part."""

    def entered(build):
        WRONG.append((kind, build, settings or right.RIGHT[kind][1], check))
        return build

    return entered


# Models.


@found_by("is_a_model", "model")
class GivesOneThing(right.Net):
    def forward(self, features, lengths):
        return super().forward(features, lengths)[0]


@found_by("is_a_model", "model")
class SetsAFlagForAll(right.Net):
    def finished(self, scores):
        torch.set_float32_matmul_precision("medium")
        return super().finished(scores)


@found_by("probabilities_sum_to_one", "model")
class GivesProbabilities(right.Net):
    def finished(self, scores):
        return scores.float().softmax(-1)


@found_by("probabilities_sum_to_one", "model")
class SoftmaxOverFrames(right.Net):
    def finished(self, scores):
        return scores.float().log_softmax(1)


@found_by("batched_equals_one_by_one", "model")
class MeanOverPadding(right.Net):
    def middle(self, hidden, lengths):
        return hidden - hidden.mean(1, keepdim=True)


@found_by("batched_equals_one_by_one", "model")
class NormalisesOverTheBatch(right.Net):
    def middle(self, hidden, lengths):
        return hidden / hidden.abs().amax()


@found_by("batched_equals_one_by_one", "model")
class ReadsBackwardsFromThePadding(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        self.back = nn.GRU(32, 32, batch_first=True)

    def middle(self, hidden, lengths):
        return self.back(hidden.flip(1))[0].flip(1)


@found_by("padding_length_changes_nothing", "model")
class PositionsByThePaddedSize(right.Net):
    def middle(self, hidden, lengths):
        return hidden + torch.linspace(0, 1, hidden.shape[1], device=hidden.device)[:, None]


@found_by("padding_content_changes_nothing", "model")
class PaddingLeaks(right.Net):
    def masked(self, features, lengths):
        return features


@found_by("lengths_are_right", "model")
class OneFrameTooMany(right.Net):
    def frames(self, lengths):
        return (lengths + 1) // 2 + 1


@found_by("lengths_are_right", "model")
class OneFrameForNone(right.Net):
    def frames(self, lengths):
        return ((lengths + 1) // 2).clamp(min=1)


@found_by("lengths_are_right", "model")
class StatesAnotherSubsampling(right.Net):
    subsampling = 4


@found_by("lengths_are_right", "model")
class PaddedSizeAsLength(right.Net):
    def forward(self, features, lengths):
        log_probs, _ = super().forward(features, lengths)
        return log_probs, torch.full_like(lengths, log_probs.shape[1])


@found_by("whole_row_is_read", "model")
class OneFrameTooFew(right.Net):
    def frames(self, lengths):
        return ((lengths + 1) // 2 - 1).clamp(min=0)


@found_by("the_same_twice_in_eval_mode", "model")
class DropoutInEval(right.Net):
    def middle(self, hidden, lengths):
        return nn.functional.dropout(hidden, 0.1)


@found_by("the_same_twice_in_eval_mode", "model")
class NoiseThatChangesNothing(right.Net):
    def middle(self, hidden, lengths):
        return hidden + 0 * torch.randn_like(hidden)


@found_by("global_generators_are_not_seeded", "model")
class SeedsItself(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        torch.manual_seed(0)
        super().__init__(config, num_features=num_features, num_labels=num_labels)


@found_by("global_generators_are_not_seeded", "model")
class SeedsInItsLoss(right.Net):
    def loss(self, *batch):
        torch.manual_seed(3)
        return super().loss(*batch)


@found_by("the_seed_makes_the_weights", "model")
class WeightsFromNumpy(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        drawn = np.random.default_rng().standard_normal(self.head.weight.shape) / 9
        self.head.weight.data = torch.from_numpy(drawn).float()


@found_by("input_is_untouched", "model")
class ScalesItsInputInPlace(right.Net):
    def masked(self, features, lengths):
        return super().masked(features.mul_(0.5), lengths)

    def forward(self, features, lengths):
        return super().forward(features.mul_(0.5), lengths)


@found_by("input_is_untouched", "model")
class ShiftsLabelsInPlace(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        labels[labels == 0] = 1
        return super().loss(features, lengths, labels, label_lengths)


@found_by("runs_where_its_input_is", "model")
class MaskOnTheCpu(right.Net):
    def masked(self, features, lengths):
        return features * (torch.arange(features.shape[1]) < lengths[:, None])[..., None]


@found_by("runs_where_its_input_is", "model")
class PlainTensor(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        self.scale = torch.ones(32)

    def middle(self, hidden, lengths):
        return hidden * self.scale


@found_by("a_loss_per_utterance", "model")
class MeanLoss(right.Net):
    def loss(self, *batch):
        return {"loss": super().loss(*batch)["loss"].mean()}


@found_by("a_loss_per_utterance", "model")
class BareLoss(right.Net):
    def loss(self, *batch):
        return super().loss(*batch)["loss"]


@found_by("true_lengths_reach_the_loss", "model")
class LossOfPaddedFrames(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        log_probs, frames = self(features, lengths)
        frames = torch.full_like(frames, log_probs.shape[1])
        return {"loss": ctc_loss(log_probs, frames, labels, label_lengths)}


@found_by("true_lengths_reach_the_loss", "model")
class LossOfPaddedLabels(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        all_of_them = torch.full_like(label_lengths, labels.shape[1])
        return super().loss(features, lengths, labels.clamp(min=1), all_of_them)


@found_by("true_lengths_reach_the_loss", "model")
class LossOfAllRows(right.Net):
    def loss(self, *batch):
        each = super().loss(*batch)["loss"]
        return {"loss": each.mean().expand(len(each))}


@found_by("the_loss_is_a_sum", "model")
class LossPerLabel(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        return {
            "loss": super().loss(features, lengths, labels, label_lengths)["loss"] / label_lengths
        }


@found_by("the_loss_is_a_sum", "model")
class LossPerFrame(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        loss = super().loss(features, lengths, labels, label_lengths)["loss"]
        return {"loss": loss / self.frames(lengths)}


@found_by("labels_reach_the_loss", "model")
class BlankLabels(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        return super().loss(features, lengths, torch.ones_like(labels), label_lengths)


class Objective(CTCConfig):
    pass


@found_by("objective_is_learnt", "model", Objective)
class KeepsItsSettingsToItself(right.Net):
    pass


@found_by("objective_is_learnt", "model", Objective)
class LossOfItsOwn(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        self.objective = config

    def loss(self, features, lengths, labels, label_lengths):
        log_probs, frames = self(features, lengths)
        return {"loss": ctc_loss(log_probs, frames, labels, label_lengths)}


@found_by("gradients_reach_every_parameter", "model")
class UnusedLayer(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        self.other = nn.Linear(2, 2)


@found_by("gradients_reach_every_parameter", "model")
class Detached(right.Net):
    def middle(self, hidden, lengths):
        return hidden.detach()


@found_by("gradients_reach_every_parameter", "model")
class RootOfZero(right.Net):
    def middle(self, hidden, lengths):
        return hidden + 0.1 * (hidden - hidden).abs().sqrt()


@found_by("overfits_one_batch", "model")
class LabelsShifted(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        return super().loss(features, lengths, labels % 5 + 1, label_lengths)


@found_by("overfits_one_batch", "model")
class LabelsReversed(right.Net):
    def loss(self, features, lengths, labels, label_lengths):
        turned = torch.zeros_like(labels)
        for row, count in enumerate(label_lengths.tolist()):
            turned[row, :count] = labels[row, :count].flip(0)
        return super().loss(features, lengths, turned, label_lengths)


@found_by("overfits_one_batch", "model")
class CannotLearn(right.Net):
    def finished(self, scores):
        return (scores.float().sigmoid() * 0.1).log_softmax(-1)


@found_by("survives_bf16", "model")
class AsksNumpy(right.Net):
    def finished(self, scores):
        highest = float(scores.detach().numpy().max())
        return super().finished(scores - highest)


@found_by("state_dict_round_trip", "model")
class ForgetsWhatItMeasured(right.Net):
    level = 1.0

    def middle(self, hidden, lengths):
        if self.training:
            self.level = 0.5 * self.level + 0.5 * hidden.detach().abs().mean()
        return hidden / self.level


@found_by("state_dict_round_trip", "model")
class OneTensorOfTwoNames(right.Net):
    def __init__(self, config, *, num_features, num_labels):
        super().__init__(config, num_features=num_features, num_labels=num_labels)
        self.also = self.head


# Features.


@found_by("is_an_extractor", "features")
class StatesAnotherDim(right.Spectrum):
    dim = 128


@found_by("batched_equals_one_by_one", "features")
class LoudestOfTheBatch(right.Spectrum):
    def prepared(self, waveforms, lengths):
        return waveforms / waveforms.abs().amax().clamp(min=1e-3)


@found_by("padding_length_changes_nothing", "features")
class LevelOfThePaddedRow(right.Spectrum):
    def prepared(self, waveforms, lengths):
        return waveforms / (waveforms.square().mean(1, keepdim=True) + 1e-6).sqrt()


@found_by("padding_content_changes_nothing", "features")
class WindowsBeyondTheEnd(right.Spectrum):
    def prepared(self, waveforms, lengths):
        return nn.functional.pad(waveforms, (0, self.window))

    def frames(self, lengths):
        return lengths // self.hop


@found_by("lengths_are_right", "features")
class OneWindowTooMany(right.Spectrum):
    def frames(self, lengths):
        return super().frames(lengths) + 1


@found_by("lengths_are_right", "features")
class AnotherFrameShift(right.Spectrum):
    frame_shift_seconds = 0.02


@found_by("lengths_are_right", "features")
class NeedsAWholeWindow(right.Spectrum):
    def forward(self, waveforms, lengths):
        spectrum = torch.fft.rfft(waveforms.unfold(1, self.window, self.hop) * self.hann)
        return self.finished(spectrum.abs().square()), self.frames(lengths)


@found_by("times_are_in_order", "features")
class TimesInFrames(right.Spectrum):
    def forward(self, waveforms, lengths):
        values, frames = super().forward(waveforms, lengths)
        return values, frames, torch.arange(values.shape[1]).expand(values.shape[:2])


@found_by("the_same_twice", "features")
class Dither(right.Spectrum):
    def prepared(self, waveforms, lengths):
        return waveforms + 1e-3 * torch.randn_like(waveforms)


@found_by("global_generators_are_not_seeded", "features")
class SeedsNumpy(right.Spectrum):
    def __init__(self, config):
        super().__init__(config)
        np.random.seed(0)


@found_by("silence_is_finite", "features")
class LogarithmOfZero(right.Spectrum):
    def finished(self, power):
        return power.log()


@found_by("sound_is_heard", "features")
class Deaf(right.Spectrum):
    def finished(self, power):
        return torch.ones_like(power)


@found_by("input_is_untouched", "features")
class EmphasisesInPlace(right.Spectrum):
    def prepared(self, waveforms, lengths):
        waveforms[:, 1:] -= 0.97 * waveforms[:, :-1].clone()
        return waveforms


@found_by("runs_where_its_input_is", "features")
class PlainWindow(right.Spectrum):
    def __init__(self, config):
        nn.Module.__init__(self)
        self.hann = torch.hann_window(self.window)


@found_by("survives_bf16", "features")
class FiltersInHalf(right.Spectrum):
    def finished(self, power):
        blurred = power @ (
            torch.eye(self.dim, device=power.device) - 0.499 * torch.roll(torch.eye(self.dim), 1, 0)
        )
        return blurred.float().abs().clamp(min=1e-8).log() * 100


@found_by("state_dict_round_trip", "features")
class FittedAndForgotten(right.Spectrum):
    level = None

    def finished(self, power):
        if self.level is None:
            self.level = float(torch.rand(())) + 1  # as if measured on the first batch
        return super().finished(power) * self.level


# Decoders.


@found_by("is_a_decoder", "decoder", right.SearchSettings)
class ForgetsToList(right.Search):
    def __call__(self, emissions):
        return [found[0] for found in super().__call__(emissions)]


@found_by("hypotheses_can_be_written", "decoder")
class TensorScores(right.Search):
    def chosen(self, found):
        return [
            Hypothesis(each.text, torch.tensor(each.score), each.words)
            for each in super().chosen(found)
        ]


@found_by("hypotheses_can_be_written", "decoder")
class ConfidenceInLogarithms(right.Search):
    def word(self, *given):
        word = super().word(*given)
        return Word(word.text, word.start_seconds, word.end_seconds, -1.2)


@found_by("clear_speech_is_read", "decoder")
class RepeatsNotMerged(right.Search):
    def row(self, emissions, row):
        best = emissions.log_probs[row, : self.length(emissions, row)].argmax(-1).tolist()
        return [Hypothesis(self.vocabulary.text(label for label in best if label), 0.0)]


@found_by("clear_speech_is_read", "decoder")
class MergesAfterDroppingBlanks(right.Search):
    def row(self, emissions, row):
        best = emissions.log_probs[row, : self.length(emissions, row)].argmax(-1)
        labels = best[best > 0].unique_consecutive().tolist()
        return [Hypothesis(self.vocabulary.text(labels), 0.0)]


@found_by("batched_equals_one_by_one", "decoder")
class EndsWithTheShortest(right.Search):
    def length(self, emissions, row):
        return int(emissions.lengths.min())


@found_by("padding_changes_nothing", "decoder")
class ReadsPadding(right.Search):
    def length(self, emissions, row):
        return emissions.log_probs.shape[1]


@found_by("nbest_is_sorted", "decoder")
class Unsorted(right.Search):
    def chosen(self, found):
        return super().chosen(found)[::-1]


@found_by("nbest_is_distinct", "decoder")
class PathsForTexts(right.Search):
    def chosen(self, found):
        return [each for each in super().chosen(found) for _ in range(2)]


@found_by("nbest_is_distinct", "decoder")
class TooMany(right.Search):
    def chosen(self, found):
        return sorted(found, key=lambda each: -each.score)


@found_by("times_are_in_order", "decoder")
class WordTimesInFrames(right.Search):
    def word(self, emissions, row, text, begin, end):
        return Word(text, float(begin), float(end), 0.5)


@found_by("times_are_in_order", "decoder")
class IgnoresDroppedFrames(right.Search):
    def word(self, emissions, row, text, begin, end):
        shift = emissions.frame_shift_seconds
        return Word(text, begin * shift, end * shift, 0.5)


@found_by("times_are_in_order", "decoder")
class WordsOfNoLength(right.Search):
    def word(self, emissions, row, text, begin, end):
        start = emissions.start_seconds(row, begin)
        return Word(text, start, start, 0.5)


@found_by("silence_and_short_rows", "decoder")
class NeedsAFrame(right.Search):
    def row(self, emissions, row):
        emissions.log_probs[row, : self.length(emissions, row)][0]
        return super().row(emissions, row)


@found_by("silence_and_short_rows", "decoder")
class NothingForSilence(right.Search):
    def row(self, emissions, row):
        return [each for each in super().row(emissions, row) if each.text]


@found_by("ties_and_impossible_labels", "decoder")
class NotANumber(right.Search):
    def hypothesis(self, emissions, row, path, log_probs):
        found = super().hypothesis(emissions, row, path, log_probs)
        off = float((log_probs - log_probs).sum())  # 0, or not a number
        return Hypothesis(found.text, found.score + off, found.words)


@found_by("ties_and_impossible_labels", "decoder")
class TiesByChance(right.Search):
    def hypothesis(self, emissions, row, path, log_probs):
        if len(log_probs) and bool((log_probs == log_probs[0, 0]).all()):
            path = torch.tensor([secrets.randbelow(len(log_probs[0])) for _ in path])
        return super().hypothesis(emissions, row, path, log_probs)


@found_by("the_same_twice", "decoder")
class RemembersTheLast(right.Search):
    before = 0.0

    def row(self, emissions, row):
        self.before += 0.1
        return super().row(emissions, row)

    def bonus(self, text):
        return super().bonus(text) + self.before


@found_by("the_same_twice", "decoder")
class DrawsInVain(right.Search):
    def chosen(self, found):
        random.shuffle(found)
        return super().chosen(found)


@found_by("input_is_untouched", "decoder")
class ExponentInPlace(right.Search):
    def __call__(self, emissions):
        found = super().__call__(emissions)
        emissions.log_probs.exp_()
        return found


@found_by("weight_0_is_no_language_model", "decoder")
class BonusStays(right.Search):
    def bonus(self, text):
        return super().bonus(text) + (2.0 * len(text.split()) if self.language_model else 0.0)


@found_by("the_language_model_counts", "decoder")
class DoesNotAsk(right.Search):
    def bonus(self, text):
        return 0.0


def _within():
    class Inside(right.Search):
        pass

    return Inside


found_by("goes_to_workers", "decoder")(_within())


# Augmentations.


@found_by("is_an_augmentation", "augmentation")
class ForgetsSources(right.Louder):
    def __call__(self, values, lengths, draws):
        return super().__call__(values, lengths, draws)[:2]


@found_by("is_an_augmentation", "augmentation")
class GivesNoSources(right.Louder):
    def __call__(self, values, lengths, draws):
        return *super().__call__(values, lengths, draws)[:2], None


@found_by("same_streams_give_the_same", "augmentation")
class DrawsFromNumpy(right.Louder):
    def drawn(self, draws):
        return np.random.random((len(draws), 2)).tolist()


@found_by("same_streams_give_the_same", "augmentation")
class DrawsFromTorch(right.Louder):
    def drawn(self, draws):
        return torch.rand(len(draws), 2).tolist()


@found_by("other_streams_give_another", "augmentation")
class OwnSeed(right.Louder):
    def drawn(self, draws):
        return np.random.default_rng(0).random((len(draws), 2)).tolist()


@found_by("a_row_is_the_same_alone", "augmentation")
class OneDrawForAll(right.Louder):
    def drawn(self, draws):
        return [draws[0].random(2).tolist()] * len(draws)


@found_by("a_row_is_the_same_alone", "augmentation")
class ByTheLoudestOfTheBatch(right.Louder):
    def changed(self, values, lengths, gain):
        return super().changed(values, lengths, gain) / values.abs().max().clamp(min=0.01)


@found_by("padding_content_changes_nothing", "augmentation")
class LevelWithPadding(right.Louder):
    def changed(self, values, lengths, gain):
        level = values.square().sum(1, keepdim=True).sqrt()
        return super().changed(values, lengths, gain) / (1 + level)


@found_by("lengths_are_right", "augmentation")
class LongerThanItIs(right.Louder):
    def __call__(self, values, lengths, draws):
        values, lengths, sources = super().__call__(values, lengths, draws)
        return values, lengths + 1, sources


@found_by("lengths_are_right", "augmentation")
class StretchesWithoutSayingSo(right.Louder):
    def changed(self, values, lengths, gain):
        return super().changed(values, lengths, gain).repeat_interleave(2, 1)


@found_by("lengths_are_right", "augmentation")
class LosesARow(right.Louder):
    def __call__(self, values, lengths, draws):
        return tuple(each[:-1] for each in super().__call__(values, lengths, draws))


@found_by("lengths_are_right", "augmentation")
class MeanOfNothing(right.Louder):
    def changed(self, values, lengths, gain):
        sums = values.where(length_mask(lengths, values.shape[1]), 0.0).sum(1)
        return super().changed(values, lengths, gain) - (sums / (lengths - 1))[:, None]


@found_by("probability_0_changes_nothing", "augmentation")
class Always(right.Louder):
    def __init__(self, config, *, sample_rate, dim):
        super().__init__(right.LouderSettings(probability=1.0), sample_rate=sample_rate, dim=dim)


@found_by("dtype_and_range_stay", "augmentation")
class BecomesDouble(right.Louder):
    def changed(self, values, lengths, gain):
        return super().changed(values.double(), lengths, gain)


@found_by("dtype_and_range_stay", "augmentation")
class SixteenBits(right.Louder):
    def changed(self, values, lengths, gain):
        return super().changed(values, lengths, gain) * 32768


@found_by("input_is_untouched", "augmentation")
class ChangesInPlace(right.Louder):
    def changed(self, values, lengths, gain):
        return values.mul_(gain[:, None])


@found_by("global_generators_are_not_seeded", "augmentation")
class SeedsForItself(right.Louder):
    def drawn(self, draws):
        random.seed(int(draws[0].integers(9)))
        return super().drawn(draws)


@found_by("features_need_no_sample_rate", "augmentation")
class WantsARate(right.LouderFrames):
    def __init__(self, config, *, sample_rate, dim):
        super().__init__(config, sample_rate=sample_rate, dim=dim)
        self.frames_a_second = sample_rate // 160


@found_by("runs_where_its_input_is", "augmentation")
class SourcesOnTheCpu(right.Louder):
    def changed(self, values, lengths, gain):
        return values * torch.arange(values.shape[1]).lt(5) + values * gain[:, None]


# Units.


@found_by("is_units", "units")
class NoVocabulary(right.Letters):
    def __init__(self, config, *, alphabet):
        super().__init__(config, alphabet=alphabet)
        self.vocabulary = list(self.vocabulary.labels)


@found_by("text_comes_back", "units")
class DropsDoubled(right.Letters):
    def encode(self, text):
        labels = super().encode(text)
        return [each for place, each in enumerate(labels) if labels[place - 1 : place] != [each]]


@found_by("labels_are_of_the_vocabulary", "units")
class FromZero(right.Letters):
    def encode(self, text):
        return [each - 1 for each in super().encode(text)]


@found_by("empty_text_has_no_labels", "units")
class EdgesOfNothing(right.Letters):
    def encode(self, text):
        return super().encode(f" {text} ")


@found_by("every_build_is_the_same", "units")
class InAnyOrder(right.Letters):
    def __init__(self, config, *, alphabet):
        letters = list(alphabet)
        secrets.SystemRandom().shuffle(letters)
        self.vocabulary = Vocabulary(("", *letters))


@found_by("what_is_outside_is_told", "units")
class SilentlyLess(right.Letters):
    def encode(self, text):
        return super().encode("".join(each for each in text if each in self.vocabulary.labels))


@found_by("goes_to_workers", "units")
class HoldsALambda(right.Letters):
    def __init__(self, config, *, alphabet):
        super().__init__(config, alphabet=alphabet)
        self.key = lambda each: each.lower()


@found_by("no_random_numbers", "units")
class PiecesByChance(right.Letters):
    def encode(self, text):
        random.random()
        return super().encode(text)


# Corpora.


@found_by("is_a_corpus", "corpus")
def all_splits(config):
    return datasets.DatasetDict(train=right.build_tones(config))


@found_by("is_a_corpus", "corpus")
def another_name(config):
    return right.build_tones(config).rename_column("text", "sentence")


@found_by("rows_are_of_their_types", "corpus")
def numbers_for_ids(config):
    return right.table({**row, "id": number} for number, row in enumerate(right.rows_of()))


@found_by("rows_are_of_their_types", "corpus")
def a_row_without_text(config):
    rows = list(right.rows_of())
    rows[3]["text"] = None
    return right.table(rows)


@found_by("ids_are_unique", "corpus")
def ids_twice(config):
    return right.table({**row, "id": row["id"][:3]} for row in right.rows_of())


@found_by("the_same_order_every_time", "corpus")
def by_chance(config):
    # So many that chance does not give one order twice: of six rows it did, once in 720 times.
    rows = [each | {"id": f"{each['id']}-{n}"} for n in range(4) for each in right.rows_of()]
    secrets.SystemRandom().shuffle(rows)
    return right.table(rows)


@found_by("the_same_order_every_time", "corpus")
def said_otherwise(config):
    said = secrets.token_hex(4)
    return right.table([each | {"text": f"{each['text']} {said}"} for each in right.rows_of()])


@found_by("the_same_order_every_time", "corpus")
class UsedUp:
    column_names = ("id", "text", "audio", "duration_seconds")

    def __init__(self, config):
        self.rows = right.rows_of()

    def __iter__(self):
        return self.rows


@found_by("audio_is_not_decoded", "corpus")
def decoded(config):
    return right.table(
        {**row, "audio": {"array": [0.1] * 9, "sampling_rate": 8000}} for row in right.rows_of()
    )


@found_by("audio_can_be_read", "corpus")
def raw_samples(config):
    return right.table(
        {**row, "audio": {"bytes": b"\1\2" * 999, "path": None}} for row in right.rows_of()
    )


@found_by("audio_can_be_read", "corpus")
def no_such_file(config):
    return right.table(
        {**row, "audio": {"bytes": None, "path": "gone.wav"}} for row in right.rows_of()
    )


@found_by("durations_are_seconds", "corpus")
def milliseconds(config):
    return right.table({**row, "duration_seconds": 200.0} for row in right.rows_of())


@found_by("ready_features_are_whole", "corpus")
def not_a_number(config):
    return right.table(
        {"id": row["id"], "text": row["text"], "features": [0.0, math.nan]}
        for row in right.rows_of()
    )


class AnyPart(Config):
    part: str = "train"


@found_by("unknown_parts_are_refused", "corpus", AnyPart)
def any_part(config):
    return right.table(right.rows_of())


@found_by("parts_share_nothing", "corpus")
def one_for_all(config):
    return right.table(right.rows_of())


@found_by("no_random_numbers", "corpus")
def shuffled_by_a_seed(config):
    random.seed(0)
    return right.build_tones(config)


# Language models.


def lm(check):
    """Enter a wrong handle: the trainer is right."""

    def entered(handle):
        found_by(check, "language_model")(
            type(handle.__name__, (right.Bigrams,), {"handle": handle})
        )
        return handle

    return entered


@lm("is_a_language_model")
class PositiveScores(right.Handle):
    def score(self, text):
        return -super().score(text)


@lm("probabilities_sum_to_one")
class CommonLogarithm(right.Handle):
    def log_prob(self, before, word):
        return super().log_prob(before, word) / math.log(10)


@lm("probabilities_sum_to_one")
class NoSentenceEnd(right.Handle):
    def score(self, text):
        words = [word if word in self.word_ids else "<unk>" for word in text.split()]
        return sum(map(self.log_prob, ["<s>", *words], words), 0.0)


@lm("it_has_learnt_the_text")
class AllAlike(right.Handle):
    def log_prob(self, before, word):
        return -math.log(len(self.words))


@lm("state_equals_full_history")
class ForgetfulState(right.Handle):
    def step(self, state, word):
        return super().step(state, word)[0], "<s>"


@lm("every_sentence_has_a_score")
class UnknownIsImpossible(right.Handle):
    def score(self, text):
        return super().score(text) if set(text.split()) <= set(self.words) else -math.inf


@found_by("what_is_loaded_is_what_was_trained", "language_model")
class KeptInTheTrainer(right.Bigrams):
    model = None

    def train(self, lines, folder):
        super().train(lines, folder)
        self.model = right.Handle(folder)
        (folder / "counts.json").write_text('{"<s>\\tx": 1}')

    def load(self, folder):
        return self.model or right.Handle(folder)


@found_by("training_twice_gives_the_same", "language_model")
class SomeOfTheLines(right.Bigrams):
    def lines(self, lines):
        return (line for line in lines if secrets.randbelow(2))


@found_by("lines_are_read_once", "language_model")
class ReadsTwice(right.Bigrams):
    def lines(self, lines):
        return list(lines)[: sum(1 for _ in lines)]


@found_by("lines_are_read_once", "language_model")
class StopsEarly(right.Bigrams):
    def lines(self, lines):
        for number, line in enumerate(lines, 1):
            yield line
            if number == 30:
                return


# Text rules.


@found_by("is_a_text_rule", "text_rule")
class NoReturn(right.Spoken):
    def __call__(self, text):
        super().__call__(text)


@found_by("is_a_text_rule", "text_rule")
class GivesWords(right.Spoken):
    def __call__(self, text):
        return super().__call__(text).split()


@found_by("every_text_can_be_written", "text_rule")
class NumbersOfAnyLength(right.Spoken):
    def said(self, number):
        return super().said(str(int(number)))  # Python refuses 4300 digits


@found_by("every_text_can_be_written", "text_rule")
class EveryCharacterHasAName(right.Spoken):
    def __call__(self, text):
        return super().__call__("".join(each for each in text if unicodedata.name(each)))


@found_by("every_text_can_be_written", "text_rule")
class CutsCharactersApart(right.Spoken):
    def __call__(self, text):
        units = super().__call__(text).encode("utf-16-le")
        return units[:2].decode("utf-16-le", "surrogatepass")


@found_by("no_words_from_nothing", "text_rule")
class MarksEveryText(right.Spoken):
    def __call__(self, text):
        return f"{super().__call__(text)} ."


@found_by("no_words_from_nothing", "text_rule")
class LastWordOfNone(right.Spoken):
    def __call__(self, text):
        return super().__call__(text).strip() or "none"


@found_by("accents_may_stand_apart", "text_rule")
class AsItIsWritten(right.Spoken):
    def composed(self, text):
        return text


@found_by("it_depends_on_the_text_alone", "text_rule")
class FirstTimeInFull(right.Spoken):
    def __init__(self, config):
        self.seen = set()

    def said(self, number):
        known = number in self.seen
        self.seen.add(number)
        return number if known else super().said(number)


@found_by("it_depends_on_the_text_alone", "text_rule")
class NoughtNowAndThen(right.Spoken):
    def said(self, number):
        nought = random.choice(["zero", "nought", "oh"])
        return super().said(number).replace("zero", nought)


@found_by("it_depends_on_the_text_alone", "text_rule")
class SeedsByTheText(right.Spoken):
    def __call__(self, text):
        random.seed(text)
        return super().__call__(text)


@found_by("a_long_text_takes_its_share", "text_rule")
class SplitsAtEachWord(right.Spoken):
    def __call__(self, text):
        text = super().__call__(text)
        return " ".join(text.split()[at] for at in range(len(text.split())))


# Score protocols.


@found_by("is_a_score_protocol", "score_protocol")
class OneNumber(right.WordErrors):
    def __call__(self, pairs):
        return super().__call__(pairs)["wer"]


@found_by("is_a_score_protocol", "score_protocol")
class NamedInCapitals(right.WordErrors):
    def __call__(self, pairs):
        return {"WER": super().__call__(pairs)["wer"]}


@found_by("every_pair_has_its_numbers", "score_protocol")
class NoReferenceIsEmpty(right.WordErrors):
    def rate(self, errors, words):
        return errors / words


@found_by("every_pair_has_its_numbers", "score_protocol")
class NoRateWithoutWords(right.WordErrors):
    def rate(self, errors, words):
        return errors / words if words else math.nan


@found_by("every_pair_has_its_numbers", "score_protocol")
class NamesThatCome(right.WordErrors):
    def __call__(self, pairs):
        given = super().__call__(pairs)
        return given if given["wer"] < 1 else given | {"bad": 1.0}


@found_by("what_is_right_is_best", "score_protocol")
class AgainstItself(right.WordErrors):
    def errors(self, reference, hypothesis):
        return super().errors(reference, reference)


@found_by("what_is_right_is_best", "score_protocol")
class OverWhatIsRight(right.WordErrors):
    def rate(self, errors, words):
        return errors / (words - errors) if words > errors else 0.0


@found_by("without_errors_there_are_none", "score_protocol")
class WordsBetweenSpaces(right.WordErrors):
    def errors(self, reference, hypothesis):
        return Levenshtein.distance(reference.split(" "), f"{hypothesis} ".split(" "))


@found_by("without_errors_there_are_none", "score_protocol")
class Smoothed(right.WordErrors):
    def rate(self, errors, words):
        return (errors + 1) / (words + 2)


@found_by("the_order_of_pairs_is_no_matter", "score_protocol")
class RunningMean(right.WordErrors):
    def __call__(self, pairs):
        mean = 0.0
        for reference, hypothesis in pairs:
            rate = self.rate(self.errors(reference, hypothesis), len(reference.split()))
            mean = 0.9 * mean + 0.1 * rate
        return {"wer": mean}


@found_by("the_order_of_pairs_is_no_matter", "score_protocol")
class TheFirstFive(right.WordErrors):
    def __call__(self, pairs):
        return super().__call__(pairs[:5])


@found_by("the_same_every_time", "score_protocol")
class KeepsCounting(right.WordErrors):
    def __init__(self, config):
        self.pairs = []

    def __call__(self, pairs):
        self.pairs += pairs
        return super().__call__(self.pairs)


@found_by("the_pairs_stay_as_they_are", "score_protocol")
class Sorts(right.WordErrors):
    def __call__(self, pairs):
        pairs.sort()
        return super().__call__(pairs)


@found_by("the_pairs_stay_as_they_are", "score_protocol")
class AddsToTheList(right.WordErrors):
    def __call__(self, pairs):
        return super().__call__(pairs.append(("", "")) or pairs)


@found_by("no_random_numbers", "score_protocol")
class DrawsAgain(right.WordErrors):
    def __call__(self, pairs):
        np.random.seed(0)
        np.random.choice(len(pairs), len(pairs))
        return super().__call__(pairs)
