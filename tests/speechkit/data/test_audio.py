"""Audio is read whole and right, or not at all."""

import io

import numpy as np
import pytest
import soundfile

from speechkit import DataError
from speechkit.data.audio import from_int16, read_audio, resample, to_int16


def wav(samples, rate=16_000, kind="WAV", subtype=None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def tone(hertz, rate, seconds=1.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_any_format_and_rate_gives_the_tone(kind, rate, tmp_path):
    data = wav(tone(440, rate), rate, kind)
    (tmp_path / "a").write_bytes(data)
    for source in (data, tmp_path / "a"):
        samples, found = read_audio(source, name="a")
        assert found == rate
        spectrum = np.abs(np.fft.rfft(samples))
        assert abs(spectrum.argmax() * rate / len(samples) - 440) < 5


def test_stereo_is_averaged_and_a_channel_can_be_chosen():
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    data = wav(np.stack([left, right], 1))
    assert np.allclose(read_audio(data, name="a")[0], 0.125, atol=1e-4)
    assert np.allclose(read_audio(data, name="a", channel=1)[0], -0.25, atol=1e-4)
    with pytest.raises(DataError, match="has 2 channels, no channel 2"):
        read_audio(data, name="a", channel=2)


def test_a_part_is_read_by_its_times():
    ramp = np.arange(16_000) / 32_000
    part, _ = read_audio(wav(ramp), name="a", start_seconds=0.25, end_seconds=0.5)
    assert np.allclose(part, ramp[4_000:8_000], atol=1e-4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: 0 bytes"),
        (b"not audio at all", "cannot be read as audio"),
        (wav(tone(440, 16_000))[:999], "is cut off: 999 bytes, where its header says 32044"),
        (wav(tone(440, 16_000) * 30_000, subtype="FLOAT"), "samples up to 15000"),
        (wav(np.zeros(0)), "holds no samples"),
        (wav(tone(440, 16_000), rate=100), "100 samples a second"),
        (wav(np.array([0.0, np.nan, np.inf]), subtype="FLOAT"), "2 of 3 samples are not numbers"),
    ],
    ids=["nothing", "text", "cut off", "too loud", "no samples", "too slow", "no numbers"],
)
def test_bad_audio_is_told_with_its_name(data, message):
    with pytest.raises(DataError, match=f"talk 7: ({message})"):
        read_audio(data, name="talk 7")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_audio(tmp_path / "none.wav", name="none.wav")
    with pytest.raises(DataError, match="is a folder"):
        read_audio(tmp_path, name="tmp")


def test_resampling_keeps_a_tone_and_takes_away_what_does_not_fit():
    low = resample(tone(440, 48_000).astype(np.float32), 48_000, 16_000)
    assert len(low) == 16_000
    assert abs(np.abs(np.fft.rfft(low)).argmax() - 440) <= 1
    high = resample(tone(7_000, 16_000).astype(np.float32), 16_000, 8_000)
    assert np.abs(high[200:-200]).max() < 0.01


def test_sixteen_bits_round_trip_and_clip():
    samples = np.array([-1.5, -1.0, 0.0, 0.5, 1.5], np.float32)
    back = from_int16(to_int16(samples))
    assert np.allclose(back, [-1.0, -1.0, 0.0, 0.5, 1.0], atol=1 / 32768)
