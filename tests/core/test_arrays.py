import numpy as np
import pytest

from vae_jax.core.arrays import read_arrays, write_arrays
from vae_jax.core.errors import DamagedError


def test_arrays_come_back_by_name(tmp_path) -> None:
    for compressed in (False, True):
        write_arrays(tmp_path / "made" / "a.npz", {"x": range(3), "name": "é"}, compressed=compressed)
        arrays = read_arrays(tmp_path / "made" / "a.npz")
        assert arrays["x"].tolist() == [0, 1, 2]
        assert str(arrays["name"]) == "é"
    np.save(tmp_path / "a.npy", np.ones(2))
    assert read_arrays(tmp_path / "a.npy")[""].tolist() == [1, 1]


@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_every_damage_is_one_error_or_harmless(tmp_path, ending) -> None:
    file = tmp_path / f"a{ending}"
    np.savez_compressed(file, x=np.arange(50), told="words") if ending == ".npz" else np.save(file, np.arange(50))
    whole, whole_arrays = file.read_bytes(), read_arrays(file)
    damages = [whole[:length] for length in range(0, len(whole), 7)]
    damages += [whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :] for at in range(len(whole))]
    refused = 0
    for damage in damages:
        file.write_bytes(damage)
        try:
            arrays = read_arrays(file)
        except DamagedError:
            refused += 1
            continue
        # The numbers of an .npz have a checksum of their own.
        if ending == ".npz":
            assert all(np.array_equal(arrays[name], whole_arrays[name]) for name in arrays if name in whole_arrays)
    assert refused > len(damages) / 10


def test_objects_are_refused_and_not_made(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.asarray([{}, 1], object), allow_pickle=True)
    with pytest.raises(DamagedError, match="of another kind"):
        read_arrays(tmp_path / "a.npy")
