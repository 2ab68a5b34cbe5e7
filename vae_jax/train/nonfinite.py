"""What is not finite in one step of training: the step is taken again, number by number."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config.compute import Precision
from vae_jax.config.fields import Experiment
from vae_jax.core.seldom import jit_seldom
from vae_jax.core.trees import by_name, num_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data import Dataset
from vae_jax.data.rows import first_rows
from vae_jax.distributions import Concrete, OneHotCategorical, sample_and_log_prob
from vae_jax.distributions.divergences import kl
from vae_jax.models.vae import VAE
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.systems.system import System
from vae_jax.train.files import is_of_a_command
from vae_jax.train.precision import products_in
from vae_jax.train.program import Prepare, TrainState, batch_keys, batch_rows, is_finite, without_step


class Examined(NamedTuple):
    """A step, as it was found: by name the loss and the metrics, and of every leaf the largest absolute value.

    `rows`: of the training split. `key`: the numbers of the key of its noise. `terms`: of a VAE, the means of the three
    log-densities in nats, with z drawn anew. `origin`: the operation that gave the first NaN or infinity, and the line
    of code that asked for it; None where all is finite.
    """

    step: int
    rows: list[int]
    key: list[int]
    loss: float
    metrics: dict[str, float]
    batch: dict[str, float]
    params: dict[str, float]
    terms: dict[str, float]
    gradient: dict[str, float]
    origin: str | None

    @property
    def bad(self) -> dict[str, list[str]]:
        """The names of what is not finite, by kind; the loss is among the metrics."""
        kinds = {
            "the batch": self.batch,
            "parameters": self.params,
            "terms": self.terms,
            "metrics": {"loss": self.loss, **self.metrics},
            "gradient": self.gradient,
        }
        return {kind: [name for name, value in part.items() if not np.isfinite(value)] for kind, part in kinds.items()}

    @property
    def finite(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.bad.values())

    @property
    def summary(self) -> str:
        """What is not finite, in one phrase: the first kind, in the order in which a step computes them."""
        if self.finite:
            # A step of finite gradients can still be too large.
            return "what the optimiser made of a finite gradient"
        kind, names = next((kind, names) for kind, names in self.bad.items() if names)
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        origin = "" if self.origin is None else f"; {self.origin}"
        return f"{kind}: {listed}{origin}"


def again(
    advance: Callable[[TrainState, int], TrainState],
    state: TrainState,
    step: int,
    *,
    skips: Sequence[int],
    per_epoch: int,
    chunk: int,
    stopped: Callable[[], bool],
) -> TrainState:
    """The state of `step`, trained from an earlier one, which is given away, without the steps `skips`.

    Where `stopped()`, which is asked every `chunk` steps, a state before it.
    """
    while (at := int(state.step)) < step and not stopped():
        if at in skips:
            state = without_step(state, per_epoch)
        else:
            state = advance(state, min([at + chunk, step, *(skip for skip in skips if skip > at)]))
    return state


def last_finite(advance: Callable[[TrainState, int], TrainState], state: TrainState, stop: int) -> TrainState:
    """The last state that is finite, from `state` on, where that of step `stop` of the same epoch is not.

    `advance(state, stop)` may give the buffers of its state away; those of `state` are.
    """
    copied, finite = (jit_seldom(function) for function in (lambda state: jax.tree.map(jnp.copy, state), is_finite))
    before, after = state, stop
    while after - int(before.step) > 1:
        kept = copied(before)
        middle = advance(before, (int(kept.step) + after) // 2)
        if finite(middle):
            before = middle
        else:
            before, after = kept, int(middle.step)
    return before


def examined(
    system: System, prepare: Prepare, data: Any, state: TrainState, *, batch_size: int, precision: Precision
) -> Examined:
    """The step that comes after `state`, looked at. `data` are the stored training examples."""
    rows = batch_rows(state, num_examples(data), batch_size)
    prepare_key, key = batch_keys(state)
    batch = prepare(prepare_key, jax.tree.map(lambda leaf: jnp.asarray(leaf[np.asarray(rows)]), data))

    def loss(params: Params) -> Any:
        return system.loss(params, key, batch, state.step)

    value_and_grad = products_in(precision, jax.value_and_grad(loss, has_aux=True))
    (value, metrics), gradient = jax.jit(value_and_grad)(state.params)
    found = Examined(
        step=int(state.step),
        rows=np.asarray(rows).tolist(),
        key=np.asarray(jax.random.key_data(key)).tolist(),
        loss=float(value),
        metrics={name: float(metric) for name, metric in metrics.items()},
        batch=_largest(batch),
        params=_largest(state.params),
        terms=_terms(system, state.params, key, batch),
        gradient=_largest(gradient),
        origin=None,
    )
    if found.finite:
        return found
    return found._replace(origin=_origin(lambda: jax.value_and_grad(loss, has_aux=True)(state.params)))


def _terms(system: System, params: Params, key: Key, batch: Any) -> dict[str, float]:
    """The means of the log-densities over the batch; {} of what is no VAE of x alone, or has no density of z."""
    vae = system.vae
    if not isinstance(vae, VAE) or system.given is not None:
        return {}

    def densities(key: Key, x: Any) -> dict[str, Array]:
        posterior, prior = vae.encode(params, x), vae.prior(params)
        z, log_q = sample_and_log_prob(posterior, key)
        log_x = vae.decode(params, z).log_prob(x)
        if isinstance(posterior, Concrete) and isinstance(prior, OneHotCategorical):
            # A relaxed sample is no choice, so it has no probability there; what is trained is the KL of the choices.
            return {"log p(x | z)": log_x, "KL(q(z | x), p(z))": kl(posterior, prior)}
        return {"log p(x | z)": log_x, "log p(z)": prior.log_prob(z), "log q(z | x)": log_q}

    xs = system.example(batch)
    try:
        means = jax.jit(jax.vmap(densities))(jax.random.split(key, num_examples(xs)), xs)
    except (TypeError, ValueError):
        # A point has no density, and a prior that is not fitted yet none either: both say so when they are traced.
        return {}
    return {name: float(jnp.mean(value)) for name, value in means.items()}


def _largest(tree: Any) -> dict[str, float]:
    """The largest absolute value of every leaf by its path; NaN or infinity where one is."""
    return {
        name: float(jnp.abs(leaf.astype(jnp.float32)).max(initial=0.0))
        for name, leaf in by_name(tree).items()
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    }


def _origin(compute: Any) -> str | None:
    """The first operation that gives a NaN, or if there is none an infinity, and who asked for it."""
    for watched in (jax.debug_nans, jax.debug_infs):
        # Operation by operation, so that each is checked.
        with watched(True), jax.disable_jit():
            try:
                compute()
            except FloatingPointError as error:
                return f"{str(error).splitlines()[0].rstrip('.')}{_asked(error)}"
    return None


def _asked(error: BaseException) -> str:
    """The innermost line that is not of a library; in the backward pass there may be none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "<" not in frame.filename]
    here = [frame for frame in own if Path(frame.filename).name != Path(__file__).name]
    return f", {here[-1].filename}:{here[-1].lineno}" if here else ""


def remedy(config: Experiment, dataset: Dataset) -> str:
    """What to try, where a step is not finite."""
    if config.system == IN_PYTHON and np.isnan(first_rows(dataset.train.x)).any():
        return (
            "The likely cause: x holds NaN, which is a gap to vj.Columns, and not a number to other distributions. "
            "Decode to vj.Columns, and let encode read what is there; or fill the gaps."
        )
    fault = dataset.scale_fault
    if fault is not None:
        return f"The likely cause: {fault}"
    if not is_of_a_command(config):
        return "Train anew with a lower learning rate, or with shorter gradients (optax.clip_by_global_norm)."
    norm = config.optimizer.clip_norm
    return f"Train anew with a lower --learning-rate, or with --clip-norm {10 if norm is None else norm / 10:g}."
