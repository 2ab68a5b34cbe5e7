"""Many runs in one program: the members of a grid of numbers and seeds, trained side by side by `vmap`.

    SWEEP/config.json     what the members have in common
    SWEEP/data.npz        what models must know of their data, and a digest of them
    SWEEP/sweep.json      the grid: numbers of some fields, and how many seeds
    SWEEP/metrics.jsonl   one line per epoch, with a number of each member
    SWEEP/checkpoints/    the state of all
    SWEEP/members/NAME/   each member as a run of its own, written when training ends

With `--patience N` all members train until none of them has improved for N epochs.

System and optimiser are built inside the trace from the traced numbers. So any real number of a config can be swept,
and a member does the same as a run of its config and seed.
"""

import functools
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.config.fields import Experiment
from vae_jax.core.checks import check_count
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.core.mesh import MEMBERS as MEMBERS_AXIS
from vae_jax.core.mesh import along, on, place, placement, replicated
from vae_jax.core.seal import sealed
from vae_jax.core.seldom import jit_seldom
from vae_jax.core.types import Array, Params
from vae_jax.data import Dataset
from vae_jax.data.look import check_varies
from vae_jax.data.rows import Rows
from vae_jax.optimizers.rules import Schedule, make_optimizer, staged_schedule
from vae_jax.systems.parts.rate import settled_at
from vae_jax.systems.registry import build_system, validate, validate_new
from vae_jax.systems.system import Metrics, System
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.devices import check_compute, draws_of, mesh_for
from vae_jax.train.directory import check_directory, write_start
from vae_jax.train.files import (
    CHECKPOINTS,
    CONFIG,
    MEMBERS,
    SWEEP,
    read_config,
    read_json,
    read_metrics,
    write_config,
    write_metrics,
)
from vae_jax.train.grid import Grid, grid_points, point_name, with_values
from vae_jax.train.loop import RunState, num_steps
from vae_jax.train.memory import check_memory, held_in_a_step
from vae_jax.train.nonfinite import Examined
from vae_jax.train.outline import check_place, check_same, manner_of, outline_of, write_outline
from vae_jax.train.processes import is_first
from vae_jax.train.program import (
    TrainState,
    epoch_by_epoch,
    epoch_order,
    initial_state,
    steps_per_epoch,
    train_in_order,
)
from vae_jax.train.run import TO_OPEN, TO_TRAIN, Run, advising, held_out_batch
from vae_jax.train.source import check_reading, load_data, settled, warn_of_faults
from vae_jax.train.validation import split_metrics

_FEWER = "Sweep fewer numbers or seeds, a part at a time."
# The axes of members in a `TrainState`. All share the step, so that the loop ends for all at once.
_AXES = TrainState(params=0, average=0, opt_state=0, step=None, key=0, metrics=0)  # pyright: ignore[reportArgumentType]


def _by_members(function: Callable[[Any, bool], Any], state: TrainState) -> TrainState:
    """`function(part, whether it has an axis of members)` of every part of a state."""

    def of_part(axis: int | None, part: Any) -> Any:
        return function(part, axis is not None)

    return jax.tree.map(of_part, _AXES, state, is_leaf=lambda axis: axis is None)


def _cut(state: TrainState) -> TrainState:
    """Inside a compiled function: the state of all members, cut along the axis `members` of the mesh that is set."""
    return _by_members(lambda part, many: along(MEMBERS_AXIS, part) if many else part, state)


def _placed(state: TrainState) -> TrainState:
    """The abstract state with where it lies: XLA must know it when it compiles."""
    if jax.sharding.get_mesh().empty:
        return state
    return _by_members(lambda part, many: placement(part, MEMBERS_AXIS if many else None), state)


@dataclass(frozen=True)
class Sweep:
    """Members that are ready to train: for every point of the grid, `seeds` seeds from the config's on."""

    directory: Path
    config: Experiment
    grid: Grid
    seeds: int
    dataset: Dataset
    steps_per_epoch: int

    @property
    def points(self) -> list[dict[tuple[str, str], float]]:
        """The combinations of numbers; each has `seeds` members."""
        return grid_points(self.grid)

    @property
    def members(self) -> list[tuple[str, Experiment]]:
        """Name and config of every member, the seed varying fastest."""
        first_seed = self.config.train.seed
        # Alone, a member has no other members to share the devices with.
        mesh = tuple(axis for axis in self.config.compute.mesh if not axis.startswith("members="))
        alone = replace(self.config, compute=replace(self.config.compute, mesh=mesh))
        return [
            (f"{point_name(values)},seed={seed}", with_values(alone, {**values, ("train", "seed"): seed}))
            for values in self.points
            for seed in range(first_seed, first_seed + self.seeds)
        ]

    @property
    def mesh(self) -> Mesh | None:
        """The devices that it is computed on; None for one."""
        lengths = {"batch_size": self.config.train.batch_size, "num_samples": draws_of(self.config)}
        return mesh_for(self.config.compute.mesh, **lengths, members=len(self.points) * self.seeds)

    @property
    def comparable(self) -> bool:
        """Whether the epoch with the smallest held-out loss is the one to keep, of every member."""
        return build_system(self.members[0][1], self.dataset).comparable

    @property
    def settled_at(self) -> float:
        """The share after which the loss of every member stays the same."""
        return max(settled_at(config.objective) for _, config in self.members)

    @property
    def learning_rate(self) -> Schedule:
        """That of the config; of members with rates of their own each has its own."""
        return staged_schedule(self.config, num_steps(self))

    def values(self) -> dict[tuple[str, str], Array]:
        """The numbers of every member: an array `[members]` for each field."""
        return {
            field: jnp.repeat(jnp.asarray([point[field] for point in self.points], jnp.float32), self.seeds)
            for field in self.grid
        }

    def seeds_of_members(self) -> np.ndarray:
        """The seed of every member, `[members]`."""
        return np.asarray([config.train.seed for _, config in self.members], np.int32)

    def build(self, values: Mapping[tuple[str, str], Any]) -> tuple[Experiment, System, Any]:
        """Config, system and optimiser of one member, from its numbers, which may be traced."""
        config = with_values(self.config, values)
        return config, build_system(config, self.dataset), make_optimizer(config.optimizer, num_steps(self))

    def shared_system(self) -> System:
        """One system for all members, whose parameters are the pair `(numbers, params)` of a member.

        So what is compiled for one member serves all of them.
        """
        first = build_system(self.members[0][1], self.dataset)

        def shared(*names: str) -> Callable[..., Any]:
            def function(pair: Any, *rest: Any) -> Any:
                numbers, params = pair
                return functools.reduce(getattr, names, self.build(numbers)[1])(params, *rest)  # pyright: ignore

            return function

        vae = first.vae and type(first.vae)(*(shared("vae", name) for name in first.vae._fields))
        return first._replace(vae=vae, classify=first.classify and shared("classify"))

    def member_run(self, number: int, system: System) -> Run:
        """A member as a run of its own, with the given system."""
        name, config = self.members[number]
        optimizer = make_optimizer(config.optimizer, num_steps(self))
        directory = self.directory / MEMBERS / name
        rate = staged_schedule(config, num_steps(self))
        return Run(directory, config, self.dataset, system, optimizer, self.steps_per_epoch, rate)

    def initial(self) -> RunState:
        """The state of all members before the first step."""
        return place(jit_seldom(self._start)(*place((self.values(), self.seeds_of_members()), MEMBERS_AXIS)))

    def begun(self, state: RunState) -> RunState:
        """The initial state: members begin with the parameters of their seeds."""
        return state

    def abstract(self) -> RunState:
        """The shapes of the state."""
        return jax.eval_shape(self._start, self.values(), self.seeds_of_members())

    def _start(self, values: Any, seeds: Array) -> RunState:
        data = self.dataset.train.batch()

        def start(values: Any, seed: Array) -> TrainState:
            config, system, optimizer = self.build(values)
            averaged = config.train.average_decay is not None
            # The key of a member is that of a run with its seed.
            key = jax.random.key(seed)
            return initial_state(system, optimizer, self.dataset.prepare_training, data, key, averaged=averaged)

        state = _cut(jax.vmap(start, out_axes=_AXES)(values, seeds))
        count = len(seeds)
        loss, epoch = along(MEMBERS_AXIS, (jnp.full(count, jnp.inf), jnp.zeros(count, jnp.int32)))
        return RunState(state, jax.tree.map(jnp.copy, state.params), loss, epoch, jnp.float32(0.0))

    def advance(self) -> Callable[[TrainState, int], TrainState]:
        """`(state, stop) -> state`, compiled. ConfigError where it would not fit into memory, before it runs."""
        data, values = place(self.dataset.train.batch()), place(self.values(), MEMBERS_AXIS)

        def advanced(state: TrainState, values: Any, data: Any, order: Array, stop: Array) -> TrainState:
            config, system, optimizer = self.build(values)
            decay = config.train.average_decay
            options = {"batch_size": config.train.batch_size, "average_decay": 0.0 if decay is None else decay}
            options["precision"] = config.compute.precision
            return train_in_order(system, optimizer, self.dataset.prepare_training, data, order, state, stop, **options)

        def orders(state: TrainState, epoch: Array) -> Array:
            of_one = functools.partial(epoch_order, epoch=epoch, size=len(self.dataset.train.x))
            return along(MEMBERS_AXIS, jax.vmap(of_one, in_axes=(_AXES,))(state))

        over_members = jax.vmap(advanced, in_axes=(_AXES, 0, None, 0, None), out_axes=_AXES)
        program = jax.jit(lambda *arguments: _cut(over_members(*arguments)), donate_argnums=0)
        state = _placed(self.abstract().train)
        order = jax.eval_shape(orders, state, np.int32(0))
        if not jax.sharding.get_mesh().empty:
            order = placement(order, MEMBERS_AXIS)
        compiled = program.lower(state, values, data, order, place(np.int32(0))).compile()
        memory = compiled.memory_analysis()
        if memory is not None:
            needed = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
            needed -= memory.alias_size_in_bytes
            check_memory(f"a sweep of {len(self.members)} members", needed, _FEWER)

        def train(state: TrainState, order: Array, stop: np.int32) -> TrainState:
            return compiled(state, values, data, order, place(stop))

        return epoch_by_epoch(self.steps_per_epoch, jit_seldom(orders), train)

    def examined(self, state: TrainState) -> Examined:
        """Not of a sweep: its members go on each by itself."""
        raise RequestError(f"{self.directory} is a sweep, whose members go on each by itself: there is no one step.")

    def held_out(self) -> Callable[[Params], Metrics]:
        """`params -> metrics` `[members]` on the validation split."""
        if len(self.dataset.validation.x) == 0:
            return lambda params: {}
        key, batch = held_out_batch(self.config.data, self.dataset)

        def metrics(values: Any, params: Params, batch: Any) -> Metrics:
            config, system, _ = self.build(values)
            step = jnp.int32(num_steps(self))
            return split_metrics(system, params, key, batch, step, batch_size=config.train.batch_size)

        compiled = jit_seldom(jax.vmap(metrics, in_axes=(0, 0, None)))
        values = place(self.values(), MEMBERS_AXIS)
        return lambda params: compiled(values, params, batch)


def prepare_sweep(
    config: Experiment, grid: Grid, seeds: int, directory: Path, *, shuffle_test: bool = True, gap_words: bool = True
) -> Sweep:
    """Load the data and check that every member fits them, and that all can be traced. Writes nothing.

    ConfigError or ValueError, with what to change.
    """
    check_count("sweep", "--seeds", seeds)
    if config.compute.stream:
        raise ConfigError("--stream is for one run: the members of a sweep see their data in different orders.")
    if config.train.snapshots:
        raise ConfigError("--snapshots are for one run: a sweep keeps the best parameters of each member.")
    if config.train.start_from is not None:
        raise ConfigError("--start-from is for one run: members of a sweep begin with parameters of their seeds.")
    if config.train.on_nonfinite == "skip":
        raise ConfigError("--on-nonfinite skip is for one run: members of a sweep go on each by itself, whole or not.")
    for point in grid_points(grid):
        validate(with_values(config, point))
    dataset = load_data(config, shuffle_test=shuffle_test, gap_words=gap_words)
    if isinstance(dataset.train.x, Rows):
        raise ConfigError(
            f"{dataset.name} does not fit the memory, and the members of a sweep see their data in different orders: "
            "train one run after the other."
        )
    for point in grid_points(grid):
        build_system(with_values(config, point), dataset)
    per_epoch = steps_per_epoch(dataset.train.batch(), config.train.batch_size, config.train.epochs)
    sweep = Sweep(directory, config, grid, seeds, dataset, per_epoch)
    try:
        state = sweep.abstract()
    except jax.errors.ConcretizationTypeError as error:
        names = ", ".join(f"{section}.{name}" for section, name in grid)
        raise ConfigError(
            f"--over {names}: cannot be traced with this config, since a choice is made by it: train its values one by "
            f"one. ({str(error).splitlines()[0]})"
        ) from error
    # `advance` asks the compiled program for all of it.
    check_memory(f"a sweep of {len(sweep.members)} members", held_in_a_step(state, state.best_params), _FEWER)
    return sweep


@advising(TO_TRAIN)
def create_sweep(config: Experiment, grid: Grid, seeds: int, directory: Path) -> Sweep:
    """A new sweep in an empty directory. ConfigError if the directory is not empty."""
    check_directory(directory)
    config = settled(config)
    sweep = prepare_sweep(config, grid, seeds, directory)
    for _, member in sweep.members:
        validate_new(member)
    check_compute(sweep)
    check_reading(config, sweep.dataset)
    check_varies(sweep.dataset)
    names = [name for name, _ in sweep.members]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two members of the sweep would be called {twice}: their values must differ in six digits.")
    warn_of_faults(config, sweep.dataset)
    over = {f"{section}.{name}": values for (section, name), values in grid.items()}
    write_start(directory, config, sweep.dataset, {SWEEP: sealed({"over": over, "seeds": seeds})})
    return sweep


@advising(TO_OPEN)
def open_sweep(directory: Path) -> Sweep:
    """The sweep of a directory that holds one."""
    saved = read_json(directory / SWEEP, "Put back a copy of it.")
    grid = {tuple(field.split(".")): tuple(values) for field, values in saved["over"].items()}
    config, grid = read_config(directory), typing.cast(Grid, grid)
    check_place(config.data, directory)
    sweep = prepare_sweep(config, grid, saved["seeds"], directory, **manner_of(directory))
    check_same(directory, sweep.dataset)
    return sweep


def member_state(state: RunState, number: Array | int) -> RunState:
    """The state of one member, as that of a run of its own."""
    train = _by_members(lambda part, many: jax.tree.map(lambda leaf: leaf[number], part) if many else part, state.train)
    best = [jax.tree.map(lambda leaf: leaf[number], part) for part in state[1:4]]
    return RunState(train, *best, seconds=state.seconds)


def write_members(sweep: Sweep, state: RunState) -> list[Path]:
    """Write every member as a finished run in SWEEP/members, for all other commands; those that are there stay.

    Of many processes all must call it: a checkpoint is of them all. The first one writes what is beside it.
    """
    written = [sweep.directory / MEMBERS / name for name, _ in sweep.members]
    # The config is written last: it says that the rest is there.
    missing = [number for number, directory in enumerate(written) if not (directory / CONFIG).is_file()]
    if not missing:
        return written
    with on(sweep.mesh):
        state = place(state)
        of_member = jax.jit(member_state, out_shardings=replicated())
        for number in missing:
            written[number].mkdir(parents=True, exist_ok=True)
            checkpoints = Checkpoints(written[number] / CHECKPOINTS, keep=2)
            checkpoints.save(int(state.train.step), of_member(state, np.int32(number)))
            checkpoints.close()
    if is_first():
        lines, outline = read_metrics(sweep.directory), outline_of(sweep.dataset)
        for number in missing:
            _write_beside(sweep, number, written[number], lines, outline)
    return written


def _write_beside(
    sweep: Sweep, number: int, directory: Path, lines: list[dict[str, Any]], outline: dict[str, Any]
) -> None:
    """All of a member but its checkpoint."""
    config = sweep.members[number][1]
    rate = staged_schedule(config, num_steps(sweep))
    member_lines = [
        line
        | {part: _of_member(line[part], number) for part in ("train", "validation")}
        | {"learning_rate": float(rate(line["step"]))}
        for line in lines
    ]
    write_metrics(directory, member_lines)
    write_outline(directory, outline)
    write_config(directory, config)


def _of_member(metrics: dict[str, Any], number: int) -> dict[str, Any]:
    return {name: values[number] for name, values in metrics.items()}
