"""The scores of codes in a file, of any library, against known factors."""

from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from vae_jax.core.arrays import read_arrays
from vae_jax.core.errors import RequestError
from vae_jax.measure.codes import SCORES, score
from vae_jax.report.table import tables


def score_files(codes: Path, factors: Path | None) -> tuple[Group, dict[str, Any]]:
    """The table and the scores of codes `[n, d]` in a file against the factors `[n, f]` in another.

    `codes`: `.npy`, or the `.npz` of `write_codes`, whose own factors are taken where no file is named. RequestError or
    ValueError where there is nothing to score.
    """
    arrays = _read_arrays(codes, "mean")
    if factors is not None:
        arrays = {name: array for name, array in arrays.items() if name != "factors"}
        arrays |= {name: array for name, array in _read_arrays(factors, "factors").items() if name == "factors"}
    if missing := [name for name in ("mean", "factors") if name not in arrays]:
        file = factors if factors is not None and missing[0] == "factors" else codes
        raise RequestError(
            f"{file} holds no array {missing[0]!r}. Give codes [n, d] and factors [n, f] as two .npy files: vae-jax "
            "score CODES FACTORS."
        )
    scores = score(arrays["mean"], arrays["factors"])
    return Group(Text(str(codes), style="bold"), *tables([SCORES], scores)), scores


def _read_arrays(path: Path, name: str) -> dict[str, Any]:
    if path.suffix not in (".npy", ".npz"):
        raise RequestError(f"{path} must end in .npy, or .npz where it is of vae-jax encode.")
    arrays = read_arrays(path)
    return {name: arrays[""]} if "" in arrays else arrays
