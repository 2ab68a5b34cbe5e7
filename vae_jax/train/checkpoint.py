"""Checkpoints by Orbax: one tree for each step that is saved, which is whole or not there."""

from pathlib import Path
from typing import Any

import absl.logging
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from vae_jax.core.errors import ConfigError
from vae_jax.core.types import PyTree


class Checkpoints:
    """Trees saved by number in one folder. `save` returns at once and writes in the background.

    `keep`: how many of the newest checkpoints stay; by default all.
    """

    def __init__(self, directory: Path, *, keep: int | None = None, read_only: bool = False) -> None:
        # A reader must not clean up: what looks left behind may be the save of a run that is training.
        handler = ocp.StandardCheckpointHandler()
        # Orbax warns of what read-only means to it, which is meant here.
        loud = absl.logging.get_verbosity()
        absl.logging.set_verbosity(absl.logging.ERROR)
        try:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=keep, cleanup_tmp_directories=not read_only, read_only=read_only
            )
            self._manager = ocp.CheckpointManager(directory.absolute(), item_handlers=handler, options=options)
        finally:
            absl.logging.set_verbosity(loud)

    def save(self, step: int, tree: PyTree) -> None:
        """Write `tree` under `step`, unless that step is saved already."""
        if step != self.newest():
            self._manager.save(step, args=ocp.args.StandardSave(tree))

    def newest(self) -> int | None:
        """The largest number that can be restored; None where nothing is saved."""
        return self._manager.latest_step()

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints that can be restored, rising."""
        return sorted(self._manager.all_steps())

    def restore(self, template: PyTree, step: int | None = None) -> PyTree | None:
        """The newest whole checkpoint, or that of `step`, in the structure of `template`; None if there is none.

        ConfigError, naming the first differing array, if the checkpoint is of another architecture.
        """
        step = self.newest() if step is None else step
        if step is None or step not in self._manager.all_steps():
            return None
        # Orbax reports a mismatch by printing both trees; one line is enough.
        saved = _shapes(self._manager.item_metadata(step).tree)
        expected = _shapes(template)
        for name in sorted(saved.keys() | expected.keys()):
            if saved.get(name) != expected.get(name):
                raise ConfigError(
                    f"checkpoint {step} is of another architecture: {name} has shape "
                    f"{saved.get(name, 'none')} there and {expected.get(name, 'none')} in the run's config.json."
                )
        return self._manager.restore(step, args=ocp.args.StandardRestore(template))

    def close(self) -> None:
        """Wait for the last save to be whole."""
        self._manager.wait_until_finished()
        self._manager.close()


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    def shape(leaf: Any) -> tuple[int, ...]:
        is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return tuple(jax.random.key_data(leaf).shape if is_key else leaf.shape)

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): shape(leaf) for path, leaf in leaves}
