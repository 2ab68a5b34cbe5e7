"""The training program: pure, and the same compiled loop for a chunk, an epoch, a whole run and a resumed one.

Everything that decides the next step is in `TrainState` or follows from it: the order of the data has the key
`fold_in(key, epoch)`, and the noise the key `fold_in(key, step)`. So it does not matter where a run is cut: the loop
stops at the step that it is given, and continues from there with the same bits.

Nothing here jits itself. `train_until`, jitted with the system closed over, is one program; `jax.vmap` of `fit`
over keys, or over numbers that a system and optimiser are built from inside the trace, trains an ensemble in one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from vae_jax.config.compute import Precision
from vae_jax.core.checks import check_count, check_key
from vae_jax.core.mesh import DATA, along
from vae_jax.core.trees import num_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.systems.system import Batch, Metrics, System
from vae_jax.train.precision import products_in

# `(key, stored batch) -> batch` that the model sees: scaling, and dynamic binarisation from the key.
Prepare = Callable[[Key, Batch], Batch]


class TrainState(NamedTuple):
    """All that a run needs to go on: `metrics` are sums since the start of the epoch, `step` counts from 0.

    `average`: the running mean of the parameters, or None where none is kept.
    """

    params: Params
    average: Params | None
    opt_state: Any
    step: Array
    key: Key
    metrics: Metrics


def steps_per_epoch(data: Batch, batch_size: int, epochs: int = 1) -> int:
    """Whole batches in one pass over the data.

    ValueError where a batch is larger than the data, or `epochs` are more steps than their counter holds.
    """
    check_count("training", "batch_size", batch_size)
    size = num_examples(data)
    if batch_size > size:
        raise ValueError(
            f"--batch-size {batch_size} is larger than the training split of {size}, which is what validation and test "
            "leave of the data. In Python it is batch_size."
        )
    per_epoch = size // batch_size
    if per_epoch * epochs >= 2**31:
        raise ValueError(
            f"--epochs {epochs} are {per_epoch * epochs:,} steps, and a run has fewer than 2^31: use --epochs "
            f"{(2**31 - 1) // per_epoch} or fewer."
        )
    return per_epoch


def initial_state(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    data: Batch,
    key: Key,
    *,
    averaged: bool = False,
) -> TrainState:
    """The state before step 0. `data` `[n, …]` only shows what examples look like.

    `averaged`: keep a running mean of the parameters (with the `average_decay` of `train_until`).
    """
    check_key("initial_state", key)
    init_key, train_key = jax.random.split(key)
    batch = prepare(init_key, jax.tree.map(lambda leaf: leaf[:2], data))
    # Each part with buffers of its own, so that a state can be donated: `init` may give the same arrays to every state,
    # and some optimisers begin with the parameters.
    params = jax.tree.map(_copied, system.init(init_key, batch))
    opt_state = jax.tree.map(_copied, system.optimizer(tx).init(params))
    _, metrics = jax.eval_shape(system.loss, params, init_key, batch, jnp.int32(0))
    metrics = {"loss": jax.ShapeDtypeStruct((), jnp.float32), **metrics, **_left_out(opt_state, opt_state)}
    # Sums in bfloat16 would stand still, and those of truth values too.
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, jnp.promote_types(leaf.dtype, jnp.float32)), metrics)
    return TrainState(
        params=params,
        # A mean moves by less than bfloat16 can tell.
        average=jax.tree.map(_at_least_single, params) if averaged else None,
        opt_state=opt_state,
        step=jnp.int32(0),
        key=train_key,
        metrics=zeros,
    )


def measured_params(state: TrainState) -> Params:
    """The parameters to evaluate: their running mean where one is kept, else the parameters themselves."""
    if state.average is None:
        return state.params
    return jax.tree.map(lambda mean, leaf: jnp.asarray(mean, leaf.dtype), state.average, state.params)


def _copied(leaf: Any) -> Any:
    return jnp.copy(leaf) if hasattr(leaf, "dtype") else leaf


def _at_least_single(leaf: Any) -> Array:
    inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jnp.array(leaf, jnp.promote_types(leaf.dtype, jnp.float32) if inexact else leaf.dtype)


def train_step(
    system: System,
    tx: optax.GradientTransformation,
    state: TrainState,
    key: Key,
    batch: Batch,
    *,
    average_decay: float | Array = 0.0,
    precision: Precision = "device",
) -> TrainState:
    """The state after one step on one prepared batch: its loss and metrics are added to the sums in `metrics`.

    In a loop of your own set these back where an epoch begins, as `mean_metrics` reads them:
    `state._replace(metrics=jax.tree.map(jnp.zeros_like, state.metrics))`. `train_until` does it.

    A running mean of the parameters, where the state keeps one, is over about `1 / (1 − average_decay)` steps, and
    at the start over about a ninth of those done. `precision`: that of the products in the loss, its gradient and the
    optimiser; those of Muon are most of a step.
    """
    value_and_grad = products_in(precision, jax.value_and_grad(system.loss, has_aux=True))
    (loss, metrics), gradient = value_and_grad(state.params, key, batch, state.step)
    update = products_in(precision, system.optimizer(tx).update)
    updates, opt_state = update(gradient, state.opt_state, state.params)
    sums = {"loss": loss, **metrics, **_left_out(state.opt_state, opt_state)}
    params = optax.apply_updates(state.params, updates)
    average = state.average
    if average is not None:
        decay = jnp.minimum(average_decay, (1.0 + state.step) / (10.0 + state.step))
        average = optax.incremental_update(params, average, 1.0 - decay)
    after = TrainState(
        params=params,
        average=average,
        opt_state=opt_state,
        step=state.step + 1,
        key=state.key,
        metrics=jax.tree.map(jnp.add, state.metrics, sums),
    )
    return jax.tree.map(_in_precision_of, after, state)


def _left_out(before: Any, after: Any) -> Metrics:
    """Whether an optimiser left the step out since its gradient was too large; {} where it never does."""
    get = optax.tree_utils.tree_get_all_with_path
    if not get(after, "should_skip"):
        return {}
    # Such a rule counts the steps that it takes, and the gradients that it adds up before one. Of two stages one stands
    # still.
    moved = [
        new != old
        for name in ("gradient_step", "mini_step")
        for (_, old), (_, new) in zip(get(before, name), get(after, name), strict=True)
    ]
    return {"left_out": 1.0 - jnp.stack(moved).any().astype(jnp.float32)}


def steps_taken(state: TrainState, skips: int) -> int:
    """How many steps the schedule of the optimiser has seen: those that it did not leave out, nor were `skips`.

    Of several rules, each with a schedule of its own, and of the members of a sweep, all steps.
    """
    counts = optax.tree_utils.tree_get_all_with_path(state.opt_state, "gradient_step")
    if len(counts) == 1 and jnp.ndim(counts[0][1]) == 0:
        return int(counts[0][1])
    return int(state.step) - (0 if counts else skips)


def _in_precision_of(new: Array, old: Array) -> Array:
    """Under jax_enable_x64 parts of a step are float64, while parameters and sums stay what they were made as."""
    return new.astype(old.dtype) if jnp.issubdtype(old.dtype, jnp.inexact) else new


def train_until(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    data: Batch,
    state: TrainState,
    stop: Array | int,
    *,
    batch_size: int,
    average_decay: float | Array = 0.0,
    precision: Precision = "device",
) -> TrainState:
    """Train from `state.step` until step `stop` (may be traced), on stored `data` `[n, …]`.

    Where a mesh is set, a batch is cut along its axis `data`. Each epoch is `n // batch_size` steps, in a new order, so
    other examples are left over. At its first step the sums of metrics start at 0 again. ValueError where `batch_size`
    is larger than n.
    """
    size = num_examples(data)
    data = jax.tree.map(jnp.asarray, data)
    per_epoch = steps_per_epoch(data, batch_size)
    options: dict[str, Any] = {"batch_size": batch_size, "average_decay": average_decay, "precision": precision}

    def epoch(state: TrainState) -> TrainState:
        """Train from the step of the state to the end of its epoch, or to `stop`."""
        number = state.step // per_epoch
        end = jnp.minimum(stop, (number + 1) * per_epoch)
        return train_in_order(system, tx, prepare, data, epoch_order(state, number, size), state, end, **options)

    return lax.while_loop(lambda state: state.step < stop, epoch, state)


def train_in_order(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    data: Batch,
    order: Array,
    state: TrainState,
    stop: Array | int,
    *,
    batch_size: int,
    average_decay: float | Array = 0.0,
    precision: Precision = "device",
) -> TrainState:
    """Train from `state.step` until step `stop` of the same epoch, whose `order` (`epoch_order`) is given."""
    per_epoch = num_examples(data) // batch_size

    def stored(state: TrainState) -> Batch:
        rows = lax.dynamic_slice_in_dim(order, state.step % per_epoch * batch_size, batch_size)
        return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="promise_in_bounds"), data)

    options = {"average_decay": average_decay, "precision": precision}
    return _within_epoch(system, tx, prepare, stored, state, stop, per_epoch, **options)


def epoch_by_epoch(
    per_epoch: int,
    order_of: Callable[[TrainState, np.int32], Array],
    train: Callable[[TrainState, Array, np.int32], TrainState],
) -> Callable[[TrainState, int], TrainState]:
    """`(state, stop) -> state` from two compiled functions: the order of an epoch, and training in it.

    An order is found once in an epoch, however many calls that takes: that of millions of examples takes seconds.
    """
    order: Any = None
    found = -1

    def advance(state: TrainState, stop: int) -> TrainState:
        nonlocal order, found
        step = int(state.step)
        while step < stop:
            epoch = step // per_epoch
            if epoch != found:
                order, found = order_of(state, np.int32(epoch)), epoch
            step = min(int(stop), (epoch + 1) * per_epoch)
            state = train(state, order, np.int32(step))
        return state

    return advance


def train_on(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    block: Batch,
    state: TrainState,
    stop: Array | int,
    *,
    first: Array | int,
    per_epoch: int,
    average_decay: float | Array = 0.0,
    precision: Precision = "device",
) -> TrainState:
    """Train from `state.step` until step `stop`, on the batches of the steps from `first` on: `block` `[B, m, …]`.

    All of them are of one epoch, in its order (`epoch_order`): then it does what `train_until` does, with data that
    come as they are needed.
    """

    def stored(state: TrainState) -> Batch:
        pick = partial(lax.dynamic_index_in_dim, index=state.step - first, axis=1, keepdims=False)
        return jax.tree.map(pick, block)

    options = {"average_decay": average_decay, "precision": precision}
    return _within_epoch(system, tx, prepare, stored, state, stop, per_epoch, **options)


def _within_epoch(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    stored: Callable[[TrainState], Batch],
    state: TrainState,
    end: Array | int,
    per_epoch: int,
    **options: Any,
) -> TrainState:
    """Train until step `end` of the epoch, on the batch that is stored for each state."""
    begins = state.step % per_epoch == 0
    sums = jax.tree.map(lambda total: jnp.where(begins, jnp.zeros_like(total), total), state.metrics)

    def step(state: TrainState) -> TrainState:
        prepare_key, step_key = batch_keys(state)
        batch = along(DATA, prepare(prepare_key, along(DATA, stored(state))))
        return train_step(system, tx, state, step_key, batch, **options)

    return lax.while_loop(lambda state: state.step < end, step, state._replace(metrics=sums))


def batch_rows(state: TrainState, size: int, batch_size: int) -> Array:
    """The rows of `size` stored examples that the next step is taken on, `[batch_size]`."""
    per_epoch = size // batch_size
    order = epoch_order(state, state.step // per_epoch, size)
    return lax.dynamic_slice_in_dim(order, state.step % per_epoch * batch_size, batch_size)


def batch_keys(state: TrainState) -> tuple[Key, Key]:
    """The keys of the next step: to prepare its batch, and for the noise of its loss."""
    _, noise_key = jax.random.split(state.key)
    prepare_key, step_key = jax.random.split(jax.random.fold_in(noise_key, state.step))
    return prepare_key, step_key


def epoch_order(state: TrainState, epoch: Array | int, size: int) -> Array:
    """The order of `size` stored examples in an epoch, `[size]`."""
    order_key, _ = jax.random.split(state.key)
    return jax.random.permutation(jax.random.fold_in(order_key, epoch), size)


def without_step(state: TrainState, per_epoch: int) -> TrainState:
    """The state after a step that is left out."""
    # The first step of an epoch sets the sums of metrics back.
    begins = int(state.step) % per_epoch == 0
    metrics = jax.tree.map(jnp.zeros_like, state.metrics) if begins else state.metrics
    return state._replace(step=state.step + 1, metrics=metrics)


def is_finite(state: TrainState) -> Array:
    """Whether the parameters, the optimiser and the loss of the epoch so far are finite.

    What is not finite once stays so until the end of the epoch.
    """
    numbers = jax.tree.leaves((state.params, state.average, state.opt_state, state.metrics["loss"]))
    checks = [jnp.isfinite(leaf).all() for leaf in numbers if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.stack(checks).all()


def mean_metrics(state: TrainState, per_epoch: int, left_out: int = 0) -> Metrics:
    """The means of the metrics in `state` over the steps of its epoch so far, of which some may have been left out.

    The sums must have begun with the epoch, as those of `train_until` do.
    """
    count = (state.step - 1) % per_epoch + 1 - left_out
    return jax.tree.map(lambda total: total / count, state.metrics)


def fit(
    system: System,
    tx: optax.GradientTransformation,
    prepare: Prepare,
    data: Batch,
    key: Key,
    *,
    batch_size: int,
    num_steps: int,
    average_decay: float | Array | None = None,
) -> TrainState:
    """Initialise and train for `num_steps`: pure, to be jitted, or vmapped over `key`. `data` is `[n, …]`.

    With `average_decay`, `average` of the result is the running mean of the parameters.
    """
    state = initial_state(system, tx, prepare, data, key, averaged=average_decay is not None)
    decay = 0.0 if average_decay is None else average_decay
    return train_until(system, tx, prepare, data, state, num_steps, batch_size=batch_size, average_decay=decay)
