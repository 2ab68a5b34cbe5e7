import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.seldom import jit_seldom


def loss(scale: jax.Array, key: jax.Array) -> jax.Array:
    noise = jax.random.normal(key, (100, 7))
    return jnp.mean(jax.nn.logsumexp(scale * noise, axis=1))


def test_it_computes_what_jit_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    for function in (loss, jax.grad(loss)):
        expected = jax.jit(function)(jnp.float32(0.3), jax.random.key(0))
        found = jit_seldom(function)(jnp.float32(0.3), jax.random.key(0))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_it_takes_the_options_of_jit() -> None:
    doubled = jit_seldom(lambda x, times: x * times, static_argnums=1)
    np.testing.assert_array_equal(doubled(jnp.arange(3), 2), [0, 2, 4])


@pytest.mark.parametrize(
    ("backend", "flags", "level"),
    [("cpu", "", 1), ("cpu", "--xla_backend_optimization_level=2", None), ("gpu", "", None)],
)
def test_only_a_cpu_compiles_sooner_unless_it_is_told(
    backend: str, flags: str, level: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "jit", lambda function, **options: asked.append(options))
    jit_seldom(loss, static_argnums=1)
    chosen = {} if level is None else {"compiler_options": {"xla_backend_optimization_level": level}}
    assert asked == [{"static_argnums": 1, **chosen}]
