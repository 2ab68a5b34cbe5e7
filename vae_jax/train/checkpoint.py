"""Checkpoints by Orbax: one tree for each step that is saved, which is whole or not there.

A checksum of every file is saved with it, and compared before it is read: storage loses bits, and Orbax takes them as
they come.
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import absl.logging
import jax
import orbax.checkpoint as ocp

from vae_jax.core.errors import ConfigError, DamagedError
from vae_jax.core.seal import sealed, unsealed
from vae_jax.core.text import read_text
from vae_jax.core.trees import first_difference
from vae_jax.core.types import PyTree
from vae_jax.train.files import going_on

# The folder of the arrays in a checkpoint, and the file in it that lists the checksums of all others.
_TREE, _CHECKSUMS = "default", "checksums.json"


class SaveError(RuntimeError):
    """A checkpoint that could not be written."""


class Checkpoints:
    """Trees saved by number in one folder. `save` returns at once and writes in the background.

    `keep`: how many of the newest checkpoints stay; by default all. `alone`: of many processes this one alone calls it;
    else all of them must.
    """

    def __init__(
        self, directory: Path, *, keep: int | None = None, read_only: bool = False, alone: bool = False
    ) -> None:
        self._directory, self._read_only = directory, read_only
        # A reader must not clean up: what looks left behind may be the save of a run that is training.
        # Orbax warns of what read-only means to it, which is meant here.
        loud = absl.logging.get_verbosity()
        absl.logging.set_verbosity(absl.logging.ERROR)
        process = jax.process_index()
        try:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=process if alone else 0, active_processes={process} if alone else None
                ),
            )
            self._manager = ocp.CheckpointManager(directory.absolute(), item_handlers=_Checked(), options=options)
        finally:
            absl.logging.set_verbosity(loud)

    def save(self, step: int, tree: PyTree) -> None:
        """Write `tree` under `step`, unless that step is saved already. SaveError where this or the last one fails."""
        if step != self.newest():
            with self._saving():
                self._manager.save(step, args=_Save(tree))

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        # Of the system, as a full disk, or of Orbax's own, which waits by the time of day.
        except Exception as error:
            raise SaveError(
                f"a checkpoint could not be saved in {self._directory} ({_in_one_line(error)}). Those that are whole "
                f"stay. When that is mended, go on with: {going_on(self._directory.parent)}"
            ) from error

    def wait(self) -> None:
        """Until what was saved is written. SaveError where it is not."""
        with self._saving():
            self._manager.wait_until_finished()

    def newest(self) -> int | None:
        """The largest number that is saved; None where nothing is."""
        return self._manager.latest_step()

    def numbers(self) -> list[int]:
        """The numbers that are saved, rising."""
        return sorted(self._manager.all_steps())

    def restore(self, template: PyTree, step: int | None = None) -> PyTree | None:
        """The newest whole checkpoint, or that of `step`, in the structure of `template`; None if there is none.

        A newer one that is damaged is named in a warning; one who writes removes it. ConfigError if the checkpoint is
        of another architecture, naming the first array that differs; DamagedError, naming the file, if that of `step`
        is damaged, or if all are.
        """
        damaged: dict[int, str] = {}
        while candidates := [n for n in self.numbers() if n not in damaged and step in (None, n)]:
            number, verified = candidates[-1], False
            try:
                verified = self._verify(self._directory / str(number))
                tree = self._read(number, template)
            except _OtherArchitectureError as error:
                # What is at hand has made the state, of which the optimiser's is a part.
                other = " Was it trained by another optimiser? Give that one." if ".opt_state" in str(error) else ""
                raise ConfigError(f"checkpoint {number} is of another architecture: {error}{other}") from None
            except Exception as error:
                # The run that is training may have removed it meanwhile: then there is a newer one.
                self._manager.reload()
                if number not in self.numbers():
                    continue
                # Whatever a library says of what it cannot read is damage; but not of files that are as they were
                # saved, and not where the system refuses them.
                if verified or (isinstance(error, OSError) and not isinstance(error, FileNotFoundError)):
                    raise
                damaged[number] = _in_one_line(error)
                continue
            self._leave_behind(damaged, number)
            return tree
        if not damaged:
            return None
        listed = "; ".join(f"{number} ({reason})" for number, reason in damaged.items())
        raise DamagedError(
            f"no checkpoint in {self._directory} is whole: {listed}. Put back a copy of that folder, or train anew in "
            "another directory."
            if step is None
            else f"checkpoint {listed} in {self._directory} is damaged. Put back a copy of that folder."
        )

    def _leave_behind(self, damaged: dict[int, str], taken: int) -> None:
        for number, reason in damaged.items():
            removed = "" if self._read_only else " It is removed."
            warnings.warn(
                f"checkpoint {number} in {self._directory} is damaged ({reason}). That of step {taken} is taken."
                f"{removed}",
                stacklevel=3,
            )
            # Orbax saves nothing with a number below the newest.
            if not self._read_only:
                shutil.rmtree(self._directory / str(number))
        if damaged and not self._read_only:
            self._manager.reload()

    def _read(self, number: int, template: PyTree) -> PyTree:
        """The tree of a checkpoint, or any error of the libraries."""
        # Orbax reports a mismatch by printing both trees; one line is enough.
        if (difference := first_difference(self._manager.item_metadata(number).tree, template)) is not None:
            name, saved, expected = difference
            if name.endswith(".key"):
                raise _OtherArchitectureError(
                    f"{name} is of another kind of random numbers: set JAX_DEFAULT_PRNG_IMPL as it was in training, or "
                    "unset it."
                )
            raise _OtherArchitectureError(f"{name} has shape {saved} there and {expected} in the run's config.json.")
        return self._manager.restore(number, args=_Restore(template))

    def _verify(self, step: Path) -> bool:
        """Whether there are checksums to go by; earlier there were none. DamagedError where a file is another."""
        if not (step / _TREE / _CHECKSUMS).is_file():
            handlers = json.loads(read_text(step / "_CHECKPOINT_METADATA"))["item_handlers"]
            if handlers[_TREE] == _Checked().typestr():
                raise DamagedError(f"{_CHECKSUMS} is missing")
            return False
        for name, saved in unsealed(json.loads(read_text(step / _TREE / _CHECKSUMS)), _CHECKSUMS).items():
            file = step / _TREE / name
            if not file.is_file():
                raise DamagedError(f"{name} is missing")
            if checksum(file) != saved:
                raise DamagedError(f"{name} is not what was saved")
        return True

    def close(self) -> None:
        """Wait for the last save to be whole. SaveError where it fails."""
        with self._saving():
            self._manager.wait_until_finished()
            self._manager.close()


class _OtherArchitectureError(Exception):
    pass


class _Checked(ocp.StandardCheckpointHandler):
    """Orbax's own way to save a tree, with checksums of its files, which become visible with it."""

    def finalize(self, directory: Any) -> None:
        super().finalize(directory)
        folder = Path(directory)
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        # By names that every system reads, since a run may be moved.
        sums = {file.relative_to(folder).as_posix(): checksum(file) for file in files}
        (folder / _CHECKSUMS).write_text(json.dumps(sealed(sums)), encoding="utf-8")


# Orbax finds a handler by the type of what is asked of it.
@ocp.args.register_with_handler(_Checked, for_save=True)  # pyright: ignore[reportArgumentType]
class _Save(ocp.args.StandardSave):
    pass


@ocp.args.register_with_handler(_Checked, for_restore=True)  # pyright: ignore[reportArgumentType]
class _Restore(ocp.args.StandardRestore):
    pass


def checksum(file: Path) -> str:
    """BLAKE2 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _in_one_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
