import re
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.core.errors import ConfigError, DamagedError
from vae_jax.train.checkpoint import Checkpoints, SaveError


def tree(size: int = 3):
    params = {"w": jnp.arange(size, dtype=jnp.float32), "half": jnp.ones(2, jnp.bfloat16)}
    return {"params": params, "opt": optax.adam(1e-3).init(params), "key": jax.random.key(5), "step": jnp.int32(7)}


def test_everything_round_trips_exactly(tmp_path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.restore(tree()) is None
    for step in (1, 2, 3, 3):
        checkpoints.save(step, jax.tree.map(lambda leaf, s=step: leaf if leaf.shape == () else leaf + s, tree()))
    checkpoints.close()
    again = Checkpoints(tmp_path / "c")
    found = again.restore(tree())
    again.close()
    np.testing.assert_array_equal(found["params"]["w"], [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(jax.random.key_data(found["key"]), jax.random.key_data(jax.random.key(5)))
    assert found["params"]["half"].dtype == jnp.bfloat16
    assert jax.tree.structure(found) == jax.tree.structure(tree())


def test_another_architecture_is_refused_in_one_line(tmp_path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(4, tree())
    checkpoints.close()
    again = Checkpoints(tmp_path / "c")
    with pytest.raises(
        ConfigError, match=r"checkpoint 4 is of another architecture: .*w has shape \(3,\) there and \(9,\)"
    ) as caught:
        again.restore(tree(9))
    again.close()
    assert "\n" not in str(caught.value)


def test_keys_of_another_kind_are_told_of(tmp_path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(4, {"train": {"key": jax.random.key(5, impl="rbg")}})
    checkpoints.close()
    again = Checkpoints(tmp_path / "c")
    with pytest.raises(ConfigError, match="set JAX_DEFAULT_PRNG_IMPL as it was in training"):
        again.restore({"train": {"key": jax.random.key(5)}})
    again.close()


def two_checkpoints(folder) -> None:
    checkpoints = Checkpoints(folder)
    for step in (1, 2):
        checkpoints.save(step, jax.tree.map(lambda leaf, s=step: leaf if leaf.shape == () else leaf + s, tree(300)))
    checkpoints.close()


def damaged_copies(folder, kind: str):
    """Copies of a folder in each of which one file of the newest checkpoint is damaged, in each of its regions."""
    files = sorted(path.relative_to(folder) for path in (folder / "2").rglob("*") if path.is_file())
    assert len(files) > 8
    for name in files:
        whole = (folder / name).read_bytes()
        parts = {"flipped": 3, "truncated": 1, "missing": 1}[kind]
        places = [len(whole) * part // parts + len(whole) // (2 * parts) for part in range(parts)] if whole else []
        for place in places:
            copy = folder.with_name("copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy)
            if kind == "missing":
                (copy / name).unlink()
            elif kind == "truncated":
                (copy / name).write_bytes(whole[:place])
            else:
                (copy / name).write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
            yield f"{name} at {place}", copy


@pytest.mark.parametrize("kind", ["flipped", "truncated", "missing"])
def test_what_is_damaged_is_never_taken(tmp_path, kind) -> None:
    """The newest is read as it was saved, where no one reads that byte, or it is named and the one before is taken."""
    two_checkpoints(tmp_path / "c")
    template, named = tree(300), 0
    for where, copy in damaged_copies(tmp_path / "c", kind):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reader = Checkpoints(copy, read_only=True)
            found = reader.restore(template)
            reader.close()
        messages = [str(warning.message) for warning in caught]
        taken = 1 if messages else 2
        assert found is not None, where
        np.testing.assert_array_equal(found["params"]["w"], np.arange(300) + taken, err_msg=where)
        np.testing.assert_array_equal(found["params"]["half"], np.ones(2) + taken, err_msg=where)
        assert int(found["step"]) == 7, where
        if messages:
            named += 1
            assert re.match(r"checkpoint 2 in .* is damaged \(.+\)\. That of step 1 is taken\.$", messages[0]), messages
    assert named > 3


def spoil(folder, number: int) -> None:
    """Damage the arrays of a checkpoint."""
    for path in (folder / str(number) / "default").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:-3])


def test_who_writes_removes_what_is_damaged_and_goes_on(tmp_path) -> None:
    two_checkpoints(tmp_path / "c")
    spoil(tmp_path / "c", 2)
    checkpoints = Checkpoints(tmp_path / "c", keep=2)
    with pytest.warns(UserWarning, match=r"checkpoint 2 .* That of step 1 is taken\. It is removed\."):
        found = checkpoints.restore(tree(300))
    assert checkpoints.numbers() == [1]
    checkpoints.save(2, found)
    checkpoints.close()
    reader = Checkpoints(tmp_path / "c", read_only=True)
    np.testing.assert_array_equal(reader.restore(tree(300))["params"]["w"], np.arange(300) + 1)
    reader.close()


def test_none_whole_is_an_error_and_removes_nothing(tmp_path) -> None:
    two_checkpoints(tmp_path / "c")
    for number in (1, 2):
        spoil(tmp_path / "c", number)
    checkpoints = Checkpoints(tmp_path / "c")
    with pytest.raises(DamagedError, match=r"no checkpoint in .* is whole: 2 \(.*\); 1 \(.*\)\. Put back a copy"):
        checkpoints.restore(tree(300))
    with pytest.raises(DamagedError, match=r"checkpoint 1 \(.*\) in .* is damaged"):
        checkpoints.restore(tree(300), 1)
    assert checkpoints.numbers() == [1, 2]
    checkpoints.close()


@pytest.mark.parametrize("error", [PermissionError("refused"), MemoryError("too large")])
def test_what_is_whole_but_cannot_be_read_now_is_not_taken_for_damaged(tmp_path, monkeypatch, error) -> None:
    two_checkpoints(tmp_path / "c")
    checkpoints = Checkpoints(tmp_path / "c", keep=2)

    def failing(*_, **__):
        raise error

    monkeypatch.setattr(checkpoints._manager, "restore", failing)
    with pytest.raises(type(error)):
        checkpoints.restore(tree(300))
    assert checkpoints.numbers() == [1, 2]
    checkpoints.close()


def test_of_files_that_were_never_verified_a_missing_one_is_damage_and_a_refused_one_is_not(
    tmp_path, monkeypatch
) -> None:
    """Checkpoints of earlier versions have no checksums, so the kind of the error decides."""
    two_checkpoints(tmp_path / "c")
    whole = Checkpoints._verify

    def failing(error: OSError):
        def verify(self: Checkpoints, step) -> bool:
            if step.name == "2":
                raise error
            return whole(self, step)

        return verify

    monkeypatch.setattr(Checkpoints, "_verify", failing(PermissionError("refused")))
    again = Checkpoints(tmp_path / "c")
    with pytest.raises(PermissionError, match="refused"):
        again.restore(tree(300))
    monkeypatch.setattr(Checkpoints, "_verify", failing(FileNotFoundError("gone")))
    with pytest.warns(UserWarning, match="gone"):
        found = again.restore(tree(300))
    again.close()
    np.testing.assert_array_equal(found["params"]["w"][:2], [1.0, 2.0])


def test_a_save_that_fails_says_what_stays_and_how_to_go_on(tmp_path, monkeypatch) -> None:
    two_checkpoints(tmp_path / "run" / "checkpoints")
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", keep=2)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(SaveError, match=rf"No space left.* whole stay\..*vae-jax resume {tmp_path}/run$"):
        checkpoints.save(3, tree(300))
    assert checkpoints.numbers() == [1, 2]
    checkpoints.close()
