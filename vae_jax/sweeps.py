"""What a sweep shows: numbers of every member, their means with error bars over seeds, curves, traversals."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console, Group
from rich.progress import track
from rich.table import Table
from rich.text import Text

from vae_jax import plots
from vae_jax.atomic import write_whole
from vae_jax.distributions import Array, PointMass
from vae_jax.divergences import has_kl, kl_terms
from vae_jax.evaluate.collapse import active_units
from vae_jax.evaluate.elbo_surgery import rate_distortion
from vae_jax.measure_codes import is_vector, score_varying
from vae_jax.model import VAE, Params, discretised
from vae_jax.pictures import traversals
from vae_jax.train.loop import RunState, metrics_file, read_metrics
from vae_jax.train.sweep import Sweep, point_name

# Draws of z for each test example, and how many examples are measured at a time.
_DRAWS, _BATCH = 8, 250
# Points of the grid in one table, which a terminal has room for.
_ABREAST = 3
# Rows of the table: title, field, format.
_ROWS = (
    ("ELBO", "elbo", ".2f"),
    ("rate", "rate", ".2f"),
    ("distortion", "distortion", ".2f"),
    ("squared error", "reconstruction_error", ".4f"),
    ("active units", "active_units", ".1f"),
    ("MIG", "mig", ".3f"),
    ("SAP", "sap", ".3f"),
    ("DCI", "disentanglement", ".3f"),
    ("FactorVAE", "factor_vae_score", ".3f"),
)


def measure_members(sweep: Sweep, state: RunState, console: Console) -> list[dict[str, Any]]:
    """Numbers of every member's best parameters on the test split, in one compiled program for all.

    ELBO, rate and distortion in nats by 8 draws of z; mean squared error of an element from the mean code; active
    units; and the scores against known factors where the data have them. What a model has no answer for is left out.
    """
    dataset = sweep.dataset
    config = sweep.config
    size = config.evaluate.evaluation_size
    prepared = dataset.prepare(jax.random.key(config.data.data_seed), dataset.test.batch())

    def one(values: Any, params: Params, batch: Any) -> dict[str, Array]:
        _, system, _ = sweep.build(values)
        if system.vae is None:
            return {}
        vae = discretised(system.vae) if isinstance(system.vae, VAE) else system.vae
        x = jax.tree.map(lambda leaf: leaf[:size], system.example(batch))

        def example(at: tuple[Array, Any]) -> dict[str, Array]:
            index, x = at
            posterior, found = vae.encode(params, x), {}
            if isinstance(vae, VAE) and not isinstance(posterior, PointMass):
                key = jax.random.fold_in(jax.random.key(0), index)
                found["rate"], found["distortion"] = rate_distortion(vae, params, key, x, num_samples=_DRAWS)
                prior = vae.prior(params)
                if has_kl(posterior, prior):
                    found["kl"] = kl_terms(posterior, prior)
            if hasattr(type(posterior), "mean") and not isinstance(x, dict):
                if is_vector(posterior.mean):
                    found["code"] = jnp.ravel(posterior.mean)
                decoded = vae.decode(params, posterior.mean)
                if hasattr(type(decoded), "mean"):
                    found["reconstruction_error"] = jnp.mean(jnp.square((x - decoded.mean) / dataset.most))
            return found

        count = jax.tree.leaves(x)[0].shape[0]
        return jax.lax.map(example, (jnp.arange(count), x), batch_size=min(_BATCH, count))

    compiled = jax.jit(one)
    values = sweep.values()
    results = []
    for number in track(range(len(sweep.members)), "measuring", console=console, disable=not console.is_terminal):
        own = jax.tree.map(lambda leaf, number=number: leaf[number], (values, state.best_params))
        found = {name: np.asarray(part, np.float64) for name, part in compiled(*own, prepared).items()}
        results.append(_member(sweep, state, number, found))
    return results


def _member(sweep: Sweep, state: RunState, number: int, found: dict[str, np.ndarray]) -> dict[str, Any]:
    name, config = sweep.members[number]
    result: dict[str, Any] = {"member": name, "seed": config.train.seed}
    result |= {field: value for (_, field), value in sweep.points[number // sweep.seeds].items()}
    result |= {"validation_loss": float(state.best_loss[number]), "parameters_of_epoch": int(state.best_epoch[number])}
    if not result["parameters_of_epoch"]:
        # It diverged before it had any: the numbers would be those of its initial parameters.
        return result
    if "rate" in found:
        rate, distortion = found["rate"].mean(), found["distortion"].mean()
        result |= {"elbo": float(-rate - distortion), "rate": float(rate), "distortion": float(distortion)}
    if "kl" in found and found["kl"].ndim == 2:
        result["kl_per_dimension"] = found["kl"].mean(axis=0).tolist()
    if "reconstruction_error" in found:
        result["reconstruction_error"] = float(found["reconstruction_error"].mean())
    if "code" not in found:
        return result
    codes = found["code"]
    result["active_units"] = int(active_units(jnp.asarray(codes)).sum())
    factors = sweep.dataset.test.factors
    # A member that diverged has no codes to score.
    if factors is not None and np.isfinite(codes).all():
        result |= score_varying(codes, factors[: len(codes)])
    return result


def write_results(sweep: Sweep, results: list[dict[str, Any]]) -> Path:
    """SWEEP/evaluation.json: the protocol and every member's numbers; null is what is not known."""

    def known(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    members = [{name: known(value) for name, value in result.items()} for result in results]
    content = {"unit": "nats per example, mean over the test split", **sweep.dataset.protocol(), "members": members}
    path = sweep.directory / "evaluation.json"
    write_whole(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    return path


def by_point(sweep: Sweep, results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The results of the seeds of each point of the grid."""
    return {
        point_name(point): results[number * sweep.seeds : (number + 1) * sweep.seeds]
        for number, point in enumerate(sweep.points)
    }


def _moments(results: list[dict[str, Any]], field: str) -> tuple[float, float] | None:
    """Mean and standard error over seeds; None where a seed has no such number."""
    if any(not math.isfinite(result.get(field, math.nan)) for result in results):
        return None
    values = np.asarray([result[field] for result in results], np.float64)
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def table(sweep: Sweep, results: list[dict[str, Any]]) -> Group:
    """A column for each point of the grid, a few at a time: means over its seeds, with standard errors."""
    of = f"means over {sweep.seeds} seeds ± standard error; nats per test example"
    parts: list[Any] = [Text(str(sweep.directory), style="bold"), Text(of)]
    points = list(by_point(sweep, results).items())
    for start in range(0, len(points), _ABREAST):
        chosen = points[start : start + _ABREAST]
        grid = Table(box=None)
        for heading in ("", *(name for name, _ in chosen)):
            grid.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for title, field, form in _ROWS:
            if any(field in result for result in results):
                grid.add_row(title, *(_cell(_moments(members, field), form) for _, members in chosen))
        parts.append(grid)
    return Group(*parts)


def _cell(moments: tuple[float, float] | None, form: str) -> str:
    if moments is None:
        return "-"
    mean, error = moments
    return format(mean, form) if math.isnan(error) else f"{mean:{form}} ± {error:{form}}"


def write_pictures(sweep: Sweep, state: RunState, results: list[dict[str, Any]]) -> list[Path]:
    """Curves of training, scores against the number that is swept, and traversals of each point's median member."""
    folder = sweep.directory / "pictures"
    folder.mkdir(exist_ok=True)
    figures = {"curves": _curves(sweep)}
    points = by_point(sweep, results)
    for section, field in sweep.grid:
        # Of several swept fields each has its own picture, the others at their first values.
        first = {other: values[0] for other, values in sweep.grid.items() if other != (section, field)}
        chosen = [point for point in sweep.points if all(point[other] == first[other] for other in first)]
        if len(chosen) > 1:
            columns = {heading: _series(points, chosen, name) for heading, name, _ in _ROWS}
            values = [point[section, field] for point in chosen]
            panels = {heading: series for heading, series in columns.items() if series is not None}
            if panels:
                figures[f"scores-{field}"] = plots.error_bars(values, panels, name=field)
    for number, point in enumerate(sweep.points):
        middle = number * sweep.seeds + median_member(list(points.values())[number])
        picture = _traversals(sweep, state, middle)
        if picture is not None:
            figures[f"traversals-{point_name(point)}"] = picture
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=150)
    return paths


def median_member(results: list[dict[str, Any]]) -> int:
    """Which of some members is in the middle by MIG, or by its validation loss where there is none."""
    field = "mig" if all("mig" in result for result in results) else "validation_loss"
    order = sorted(range(len(results)), key=lambda i: results[i][field])
    return order[(len(order) - 1) // 2]


def _series(points: dict[str, list[dict[str, Any]]], chosen: list[Any], field: str) -> list[tuple[float, float]] | None:
    """The moments at every point, NaN where a member diverged; None where no point has such a number."""
    found = [_moments(points[point_name(point)], field) for point in chosen]
    return None if not any(found) else [(math.nan, math.nan) if one is None else one for one in found]


def _curves(sweep: Sweep) -> Any:
    lines = read_metrics(metrics_file(sweep))
    kind = "validation" if lines and lines[0]["validation"] else "train"
    field = "bound" if lines and "bound" in lines[0][kind] else "loss"
    values = np.asarray([line[kind][field] for line in lines], np.float64).reshape(len(lines), -1, sweep.seeds)
    steps = [line["step"] for line in lines]
    names = [point_name(point) for point in sweep.points]
    curves = {name: values[:, number] for number, name in enumerate(names)}
    return plots.bands(steps, curves, name=f"{kind} {field} (nats per example)")


def _traversals(sweep: Sweep, state: RunState, number: int) -> Any:
    values = {field: column[number] for field, column in sweep.values().items()}
    _, system, _ = sweep.build(values)
    vae = system.vae
    if not isinstance(vae, VAE) or not sweep.dataset.is_image or system.given is not None:
        return None
    params = jax.tree.map(lambda leaf: leaf[number], state.best_params)
    test = sweep.dataset.test.take(slice(_BATCH)).batch()
    batch = sweep.dataset.prepare(jax.random.key(sweep.config.data.data_seed), test)
    x = system.example(batch)
    posterior = jax.eval_shape(lambda x: vae.encode(params, x), x[0])
    if not hasattr(type(posterior), "mean") or len(posterior.event_shape) != 1:
        return None
    means = jax.vmap(lambda x: vae.encode(params, x).mean)(x)
    return traversals(vae, params, x, means, sweep.dataset.most)
