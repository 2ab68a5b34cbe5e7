from collections.abc import Callable
from typing import Any

import pytest

from vae_jax.core.trees import num_examples
from vae_jax.evaluate.batched import vectorised


@pytest.fixture
def seen_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples each call of a compiled function got."""
    sizes: list[int] = []

    def watched(function: Callable, *, shared: int) -> Callable:
        compiled = vectorised(function, shared=shared)

        def call(*arguments: Any) -> Any:
            sizes.append(num_examples(arguments[-1]))
            return compiled(*arguments)

        return call

    monkeypatch.setattr("vae_jax.evaluate.batched.vectorised", watched)
    return sizes
