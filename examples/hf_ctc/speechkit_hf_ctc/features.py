"""The convolutions of a checkpoint as a feature extractor. Axes: B rows, N samples, T frames, D."""

import torch
from torch import Tensor, nn

from speechkit import Config, Field, RecipePath, length_mask
from speechkit_hf_ctc.checkpoint import load_weights, read_checkpoint

_EPSILON = 1e-7  # added to the variance, as Wav2Vec2FeatureExtractor does it


class HFFeaturesConfig(Config):
    """Settings of the features `hf_ctc`."""

    checkpoint: RecipePath = Field(description="a folder as save_pretrained leaves it")


class HFFeatures(nn.Module):
    """Samples through the convolutions of a checkpoint, which training leaves as they are."""

    def __init__(self, config: HFFeaturesConfig) -> None:
        super().__init__()
        found = read_checkpoint(config.checkpoint)
        model = load_weights(config.checkpoint, with_head=False)
        model.freeze_feature_encoder()
        self.convolutions = model.base_model.feature_extractor
        self.steps = list(zip(model.config.conv_kernel, model.config.conv_stride, strict=True))
        self.sample_rate = int(found.preprocessor.get("sampling_rate", 16_000))
        self.dim = int(model.config.conv_dim[-1])
        hop = 1
        for _, stride in self.steps:
            hop *= stride
        self.frame_shift_seconds = hop / self.sample_rate
        self._normalises = bool(found.preprocessor.get("do_normalize", True))
        # Its first layer takes mean and variance over the whole row, padding among it.
        self._one_by_one = model.config.feat_extract_norm == "group"

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples, (B,) lengths in samples -> (B, T, D) features, (B,) in frames."""
        with torch.autocast(waveforms.device.type, enabled=False):
            waves = self._normalised(waveforms.float(), lengths)
            frames = self._frames(lengths)
            size = int(self._frames(torch.tensor(waves.shape[1])))
            if not size:
                return waves.new_zeros(len(waves), 0, self.dim), frames
            if not self._one_by_one:
                return self.convolutions(waves).transpose(1, 2), frames
            features = waves.new_zeros(len(waves), size, self.dim)
            pairs = zip(lengths.tolist(), frames.tolist(), strict=True)
            for row, (samples, count) in enumerate(pairs):
                if count:
                    alone = self.convolutions(waves[row : row + 1, :samples])
                    features[row, :count] = alone[0].transpose(0, 1)
            return features, frames

    def _normalised(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Mean 0 and variance 1 over each row's samples, if the checkpoint was trained so."""
        within = length_mask(lengths, waves.shape[1])
        waves = waves.where(within, 0.0)
        if not self._normalises:
            return waves
        count = lengths.clamp(min=1)[:, None]
        centred = (waves - waves.sum(1, keepdim=True) / count).where(within, 0.0)
        variance = centred.square().sum(1, keepdim=True) / count
        return centred / (variance + _EPSILON).sqrt()

    def _frames(self, lengths: Tensor) -> Tensor:
        """Samples -> frames: each layer counts the windows that lie whole within."""
        for kernel, stride in self.steps:
            lengths = (lengths - kernel).div(stride, rounding_mode="floor").add(1).clamp(min=0)
        return lengths
