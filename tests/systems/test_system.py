import optax

from vae_jax import System


def test_optional_fields_have_defaults() -> None:
    system = System(init=lambda key, batch: {}, loss=lambda *a: (0.0, {}), vae=None)
    tx = optax.sgd(0.1)
    assert system.optimizer(tx) is tx
    assert system.given is None
