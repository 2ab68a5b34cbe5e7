"""Examples that are asked for one by one, as the images of a folder: decoded when they are needed."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from vae_jax.data.rows import Rows, is_large

# A thread reads at most so many before it takes the next.
_AT_ONCE = 64


class Examples:
    """`count` examples as the rows of an array `[count, …]`, which are asked for by their numbers, of any shape.

    `read(numbers)` gives those of these numbers, each of the shape and kind of the first one. Many are read by
    `threads` at once, by default as many as there are processors: decoders of images do not wait for each other. With
    one thread, `read` is called by whoever asks, and never by two at a time.
    """

    def __init__(
        self, count: int, read: Callable[[list[int]], Iterable[np.ndarray]], threads: int | None = None
    ) -> None:
        self._read, self._threads, self._alone = read, threads or os.cpu_count() or 1, threading.Lock()
        (first,) = read([0])
        self.shape, self.dtype = (count, *first.shape), first.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        asked = np.asarray(rows)
        flat = asked.ravel()
        found = np.empty((flat.size, *self.shape[1:]), self.dtype)
        step = max(1, min(_AT_ONCE, -(-flat.size // self._threads)))

        def fill(first: int) -> None:
            some = slice(first, first + step)
            numbers = flat[some].tolist()
            for place, number, one in zip(found[some], numbers, self._read(numbers), strict=True):
                self._check(number, one)
                place[...] = one

        firsts = range(0, flat.size, step)
        if self._threads == 1:
            with self._alone:
                for first in firsts:
                    fill(first)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                # Asked for its results, it raises what was raised in a thread.
                list(pool.map(fill, firsts))
        return found.reshape(*asked.shape, *self.shape[1:])

    def _check(self, number: int, one: np.ndarray) -> None:
        if (one.shape, one.dtype) != (self.shape[1:], self.dtype):
            raise ValueError(
                f"example {number} holds {one.dtype} of shape {one.shape}, and the first one {self.dtype} of shape "
                f"{self.shape[1:]}: all must be alike."
            )

    def held(self) -> np.ndarray | Rows:
        """All of them in memory, or `Rows` where that would take too much of it."""
        left = Rows(self)
        return left if is_large(left.nbytes) else left[:]
