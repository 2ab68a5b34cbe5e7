import pytest

from vae_jax.core.errors import DamagedError
from vae_jax.core.seal import sealed, unsealed


def test_what_is_sealed_is_opened_and_what_was_changed_is_not() -> None:
    values = {"a": 1, "b": [0.1, None, "é"]}
    assert unsealed(sealed(values), "it") == values
    assert next(iter(sealed(values))) == "checksum"
    for changed in ({"a": 2}, {"b": [0.2, None, "é"]}, {"c": 1}, {"checksum": "0"}):
        with pytest.raises(DamagedError, match=r'it is damaged, or was changed by hand\..* delete its line "checksum"'):
            unsealed(sealed(values) | changed, "it")


def test_without_a_checksum_it_is_believed() -> None:
    assert unsealed({"a": 1}, "it") == {"a": 1}
