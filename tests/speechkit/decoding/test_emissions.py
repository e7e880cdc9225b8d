"""Emissions of a corpus in a file, read whole or one utterance at a time."""

import pytest
import torch

from speechkit.decoding.emissions import emissions_of, load_emissions, save_emissions
from speechkit.errors import RunError
from speechkit.interfaces import Emissions


@pytest.mark.parametrize("have_times", [False, True])
def test_one_utterance_is_read_as_it_was_written(tmp_path, have_times):
    lengths = torch.tensor([3, 1, 4])
    log_probs = torch.randn(3, 4, 5)
    times = torch.arange(12.0).reshape(3, 4) if have_times else None
    place = tmp_path / "dev.safetensors"
    made = [([2, 0, 1], Emissions(log_probs, lengths, 0.04, times))]
    save_emissions(place, made, ("a", "b", "c"))
    assert load_emissions(place).lengths.tolist() == [1, 4, 3]
    for id_, row in (("a", 1), ("b", 2), ("c", 0)):
        found = emissions_of(place, id_)
        length = int(lengths[row])
        assert found.lengths.tolist() == [length]
        assert found.frame_shift_seconds == 0.04
        assert torch.equal(found.log_probs[0], log_probs[row, :length])
        if have_times:
            assert torch.equal(found.frame_times[0], times[row, :length])
        else:
            assert found.frame_times is None
    assert emissions_of(place, "d") is None


def test_a_file_that_is_not_there_or_damaged_is_told(tmp_path):
    place = tmp_path / "dev.safetensors"
    for read in (load_emissions, lambda file: emissions_of(file, "a")):
        place.unlink(missing_ok=True)
        with pytest.raises(RunError, match="no emissions"):
            read(place)
        place.write_bytes(b"damaged")
        with pytest.raises(RunError, match="no emissions"):
            read(place)
