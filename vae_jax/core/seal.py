"""JSON objects that carry a checksum of themselves: a bit that storage lost, or a hand that changed one, is seen."""

import hashlib
import json
from typing import Any

from vae_jax.core.errors import DamagedError

CHECKSUM = "checksum"


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """The object with its checksum in front."""
    return {CHECKSUM: _checksum(values), **values}


def unsealed(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The object without its checksum. DamagedError where they do not fit; without a checksum it is believed."""
    content = {key: value for key, value in values.items() if key != CHECKSUM}
    if values.get(CHECKSUM) not in (None, _checksum(content)):
        raise DamagedError(
            f"{name} is damaged, or was changed by hand. Put it back; or, where the change is meant, delete its line "
            f'"{CHECKSUM}".'
        )
    return content


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()
