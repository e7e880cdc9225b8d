"""Augmentations: random changes of waveforms and features, in training."""

from collections.abc import Iterable

from speechkit import Augmentation, Component, hookimpl


@hookimpl
def speechkit_augmentations() -> Iterable[Component[Augmentation]]:
    """Offer `gain`, `n2`, `noise`, `room`, `spec_augment`, `speed`, `tempo` and `vtlp`."""
    # Imported when asked for: they need torch.
    from speechkit_augment.gain import Gain, GainConfig  # noqa: PLC0415
    from speechkit_augment.n2 import N2, N2Config  # noqa: PLC0415
    from speechkit_augment.noise import Noise, NoiseConfig  # noqa: PLC0415
    from speechkit_augment.room import Room, RoomConfig  # noqa: PLC0415
    from speechkit_augment.spec_augment import SpecAugment, SpecAugmentConfig  # noqa: PLC0415
    from speechkit_augment.speed import Speed, SpeedConfig  # noqa: PLC0415
    from speechkit_augment.tempo import Tempo, TempoConfig  # noqa: PLC0415
    from speechkit_augment.vtlp import VTLP, VTLPConfig  # noqa: PLC0415

    return [
        Component("gain", GainConfig, Gain),
        Component("n2", N2Config, N2),
        Component("noise", NoiseConfig, Noise),
        Component("room", RoomConfig, Room),
        Component("spec_augment", SpecAugmentConfig, SpecAugment),
        Component("speed", SpeedConfig, Speed),
        Component("tempo", TempoConfig, Tempo),
        Component("vtlp", VTLPConfig, VTLP),
    ]
