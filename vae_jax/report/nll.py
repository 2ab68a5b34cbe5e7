"""The likelihood of any library's model, from a file of its log-weights."""

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from vae_jax.core.arrays import read_arrays
from vae_jax.core.errors import RequestError
from vae_jax.evaluate.log_weights import weighed
from vae_jax.measure.likelihood import LIKELIHOOD_ROWS, summary
from vae_jax.report.table import tables


def weigh_file(path: Path) -> tuple[Group, dict[str, Any]]:
    """The table and the numbers of log-weights `[n, k]` in a .npy file, nats. RequestError or ValueError for others."""
    if path.suffix != ".npy":
        raise RequestError(f"{path} must end in .npy: an array of log-weights, np.save('log_weights.npy', log_w).")
    if not path.is_file():
        raise RequestError(f"no file {path}.")
    log_weights: Any = read_arrays(path)[""]
    numbers = summary(weighed(log_weights), log_weights.shape[1]) | {"evaluated_examples": len(log_weights)}
    return Group(Text(str(path), style="bold"), *tables([LIKELIHOOD_ROWS], numbers)), numbers
