import os
from pathlib import Path

import numpy as np
import pytest

from vae_jax.data import cache
from vae_jax.data.cache import cache_file, kept_arrays, kept_lines


def test_arrays_are_made_once() -> None:
    calls = []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(6, dtype=np.uint8).reshape(2, 3), "names": np.array(["a", "bc"])}

    path = cache_file("some", ["made once"])
    first, again = kept_arrays(path, make), kept_arrays(path, make)
    assert len(calls) == 1
    assert first.keys() == again.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
        assert array.dtype == again[name].dtype


def test_what_is_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_BYTES", 3)
    path = cache_file("some", ["large"])
    assert kept_arrays(path, lambda: {"x": np.zeros(4, np.uint8)})["x"].shape == (4,)
    assert not path.exists()


def test_the_oldest_arrays_make_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path))
    make = lambda: {"x": np.zeros(1000, np.uint8)}
    paths = [cache_file("some", [number]) for number in range(4)]
    for age, path in enumerate(paths[:3]):
        kept_arrays(path, make)
        os.utime(path, (age, age))
    monkeypatch.setattr(cache, "_MOST_IN_ALL", 3 * paths[0].stat().st_size)
    kept_arrays(paths[3], make)
    assert [path.is_file() for path in paths] == [False, True, True, True]


def test_a_file_that_cannot_be_read_is_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As that of another user is."""

    def refused(*_: object) -> None:
        raise PermissionError("not yours")

    (tmp_path / "x.npz").touch()
    (tmp_path / "x.txt").touch()
    monkeypatch.setattr(cache, "read_arrays", refused)
    monkeypatch.setattr(cache, "read_lines", refused)
    assert kept_arrays(tmp_path / "x.npz", lambda: {"x": np.arange(2)})["x"].tolist() == [0, 1]
    assert kept_lines(tmp_path / "x.txt", lambda: ["a"]) == ["a"]


def test_a_folder_that_cannot_be_written_costs_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"nothing was kept .*VAE_JAX_CACHE names another folder"):
        made = kept_arrays(cache_file("some", ["x"]), lambda: {"x": np.arange(3)})
    assert made["x"].tolist() == [0, 1, 2]


def test_lines_are_made_once_and_need_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    assert kept_lines(path, lambda: ["a", "b"]) == ["a", "b"] == kept_lines(path, list)
    with pytest.warns(UserWarning, match=r"nothing was kept .*VAE_JAX_CACHE names another folder"):
        assert kept_lines(path / "below.txt", lambda: ["c"]) == ["c"]


def test_the_file_is_of_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path / "mine"))
    path = cache_file("some", ["a", 1])
    assert path.parent == tmp_path / "mine"
    assert path == cache_file("some", ("a", 1))
    assert len({path, cache_file("some", ["a", 2]), cache_file("other", ["a", 1]), cache_file("some", ["a1"])}) == 4
    monkeypatch.delenv("VAE_JAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file("some", []).parent == tmp_path / "vae_jax"
