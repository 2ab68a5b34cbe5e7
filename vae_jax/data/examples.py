"""Examples that are asked for one by one, as the images of a folder: decoded when they are needed."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from vae_jax.data.rows import Rows, is_large

# What a thread reads before it takes the next.
_AT_ONCE = 64


class Examples:
    """`count` examples as the rows of an array `[count, …]`, which are asked for by their numbers, of any shape.

    `read(numbers)` gives those of these numbers, each of the shape and kind of the first one. Many are read by
    `threads` at once, by default as many as there are processors: decoders of images do not wait for each other.
    """

    def __init__(
        self, count: int, read: Callable[[list[int]], Iterable[np.ndarray]], threads: int | None = None
    ) -> None:
        self._read, self._threads = read, threads or os.cpu_count() or 1
        (first,) = read([0])
        self.shape, self.dtype = (count, *first.shape), first.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        numbers = np.asarray(rows)
        flat = numbers.ravel()
        found = np.empty((flat.size, *self.shape[1:]), self.dtype)

        def fill(first: int) -> None:
            some = slice(first, first + _AT_ONCE)
            for place, one in zip(found[some], self._read(flat[some].tolist()), strict=True):
                place[...] = one

        with ThreadPoolExecutor(self._threads) as pool:
            # Asked for its results, it raises what was raised in a thread.
            list(pool.map(fill, range(0, flat.size, _AT_ONCE)))
        return found.reshape(*numbers.shape, *self.shape[1:])

    def held(self) -> np.ndarray | Rows:
        """All of them in memory, or `Rows` where that would take too much of it."""
        left = Rows(self)
        return left if is_large(left.nbytes) else left[:]
