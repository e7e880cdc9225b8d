"""Feature extractors: waveforms to frames of numbers."""

from collections.abc import Iterable

from speechkit import Component, FeatureExtractor, hookimpl


@hookimpl
def speechkit_features() -> Iterable[Component[FeatureExtractor]]:
    """Offer `log_mel`, `mfcc`, `spectrogram` and `sphinx_mfcc`."""
    # Imported when asked for: they need torch.
    from speechkit_features.log_mel import LogMel, LogMelConfig  # noqa: PLC0415
    from speechkit_features.mfcc import Mfcc, MfccConfig  # noqa: PLC0415
    from speechkit_features.spectrogram import Spectrogram, SpectrogramConfig  # noqa: PLC0415
    from speechkit_features.sphinx_mfcc import SphinxMfcc, SphinxMfccConfig  # noqa: PLC0415

    return [
        Component("log_mel", LogMelConfig, LogMel),
        Component("mfcc", MfccConfig, Mfcc),
        Component("spectrogram", SpectrogramConfig, Spectrogram),
        Component("sphinx_mfcc", SphinxMfccConfig, SphinxMfcc),
    ]
