"""Training examples that stay outside of the device, and come to it a block of batches at a time.

The order of an epoch follows from key and epoch, as it does for data on the device. So a streamed run sees the same
batches, and goes on to the same bits wherever it is cut. Grain reads ahead while the device computes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae_jax.core.errors import ConfigError
from vae_jax.core.mesh import DATA, own_rows, place_own
from vae_jax.core.seldom import jit_seldom
from vae_jax.core.trees import num_examples
from vae_jax.data.rows import Rows
from vae_jax.systems.system import Batch
from vae_jax.train.memory import memory, size_of
from vae_jax.train.program import TrainState, epoch_order

# A block has at most so many bytes and steps; so many are read ahead.
_BLOCK_BYTES, _BLOCK_STEPS, _AHEAD = 2**25, 64, 2
# Data with more than this share of the device's memory stay outside.
_MOST_SHARE = 0.5


def is_streamed(stream: bool, data: Batch) -> bool:
    """Whether data are streamed: where that is asked for, they lie in a file, or are too many for the device."""
    most = memory()
    in_file = any(isinstance(array, Rows) for array in data.values())
    return stream or in_file or (most is not None and size_of(data) > _MOST_SHARE * most)


def check_stream(stream: bool, data: Batch) -> None:
    """ConfigError where data are to be streamed and Grain is not installed."""
    if is_streamed(stream, data):
        _grain()


@dataclass(frozen=True)
class _Blocks:
    """The blocks of an epoch from a step on, as Grain reads them: block i has the batches of `steps` steps.

    Of many processes each reads its `own` examples of every batch.
    """

    data: Mapping[str, np.ndarray]
    order: np.ndarray
    batch_size: int
    steps: int
    own: slice

    def __len__(self) -> int:
        return -(-len(self.order) // (self.batch_size * self.steps))

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        size = self.batch_size * self.steps
        # The last block is filled up, so that one compiled program serves all.
        rows = np.resize(self.order[index * size : (index + 1) * size], size)
        by_example = rows.reshape(self.steps, self.batch_size).T[self.own]
        return {name: array[by_example] for name, array in self.data.items()}


def streamed(
    data: Mapping[str, np.ndarray],
    batch_size: int,
    train: Callable[[TrainState, Batch, np.int32, np.int32], TrainState],
) -> Callable[[TrainState, int], TrainState]:
    """`(state, stop) -> state` for data `[n, …]` on the host; `train(state, block, first, stop)` is compiled.

    ConfigError where Grain is not installed.
    """
    size = num_examples(data)
    per_epoch = size // batch_size
    row_bytes = sum(array[:1].nbytes for array in data.values())
    steps = int(np.clip(_BLOCK_BYTES // (batch_size * row_bytes), 1, min(_BLOCK_STEPS, per_epoch)))
    order_of = jit_seldom(lambda state, epoch: epoch_order(state, epoch, size))
    read_ahead, own = _grain(), own_rows(batch_size, DATA)
    blocks: Iterator[Any] = iter(())
    # The block at hand, the step of its first batch, and of the first batch that comes after it.
    block, first, following = None, 0, -1

    def advance(state: TrainState, stop: int) -> TrainState:
        nonlocal blocks, block, first, following
        step = int(state.step)
        while step < stop:
            epoch = step // per_epoch
            if block is None or not first <= step < following:
                if step != following or step % per_epoch == 0:
                    order = np.asarray(order_of(state, np.int32(epoch)))[step % per_epoch * batch_size :]
                    order = order[: (per_epoch - step % per_epoch) * batch_size]
                    blocks = read_ahead(_Blocks(data, order, batch_size, steps, own))
                block, first = place_own(next(blocks), DATA, own, batch_size), step
                following = min(step + steps, (epoch + 1) * per_epoch)
            until = min(stop, following)
            state = train(state, block, np.int32(first), np.int32(until))
            step = until
        return state

    return advance


def _grain() -> Callable[[_Blocks], Iterator[Any]]:
    try:
        import grain
    except ImportError as error:
        raise ConfigError(
            "--stream, and data that do not fit the device, need Grain: pip install 'vae-jax[stream]'."
        ) from error
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=_AHEAD)
    return lambda blocks: iter(grain.MapDataset.source(blocks).to_iter_dataset(options))
