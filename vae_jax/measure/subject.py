"""A trained model as what is measured, drawn and exported: made once, it answers what can be asked of it.

Nobody else in measure, pictures, report and commands looks at the type of a model, a posterior or an example.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.errors import RequestError
from vae_jax.core.trees import first_example, num_examples
from vae_jax.core.types import Key, Params
from vae_jax.data import Dataset, Split
from vae_jax.distributions import Certain, DiagNormal, PointMass, VonMisesFisher
from vae_jax.distributions.hierarchy import Chain
from vae_jax.distributions.kinds import is_discrete, known_parts
from vae_jax.evaluate.gaps import FAMILIES
from vae_jax.languages import expressions, molecules
from vae_jax.languages.grammar import Grammar
from vae_jax.measure.fingerprint import behaviour, fingerprint
from vae_jax.models.latent import has_quantiles
from vae_jax.models.vae import VAE, Autoencoder, discretised
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.registry import system_names
from vae_jax.train.files import read_metrics
from vae_jax.train.loop import RunState, num_steps
from vae_jax.train.run import Run, load_snapshot

# What one code is: an array of real numbers, several of them, numbers of a codebook, or one-hot choices.
Code = Literal["vector", "layers", "indices", "choices"]
# The largest count up to which each is counted by itself.
_FEW_COUNTS = 255


@dataclasses.dataclass(frozen=True)
class Subject:
    """A run with the parameters that are looked at.

    `params`: what the model's functions take. `progress`: how far the run was then; a number of an unfinished run must
    say so. `snapshot`: the epoch of the snapshot that the parameters are of, None for the best parameters. `stored`:
    the parameters as a checkpoint holds them.
    """

    run: Run
    params: Params
    progress: dict[str, Any]
    snapshot: int | None
    stored: Params

    @cached_property
    def _model(self) -> VAE | Autoencoder | None:
        vae = self.run.system.vae
        # A model that trains with relaxed choices is a model of choices.
        return discretised(vae) if isinstance(vae, VAE) else vae

    @property
    def coder(self) -> VAE | Autoencoder:
        """What encodes and decodes. RequestError if the system has neither."""
        if self._model is None:
            raise RequestError(
                f"the system {self.run.config.system!r} of {self.run.directory} has no codes, so nothing to measure."
            )
        return self._model

    @property
    def density(self) -> VAE:
        """The model as a VAE. RequestError if its system has no prior."""
        if not isinstance(self.coder, VAE):
            raise RequestError(
                f"the system {self.run.config.system!r} of {self.run.directory} has no prior, so there is no log p(x) "
                "to measure. --system info --info-alpha 1 is an autoencoder with one. Samples from a density of its "
                f"codes: vae-jax sample {self.run.directory} --density mixture"
            )
        return self.coder

    def given(self, condition: Sequence[str]) -> VAE:
        """The model of x given a condition: a class by its name or number, or the numbers that it is told.

        RequestError where the model is told none, or others.
        """
        run, dataset = self.run, self.run.dataset
        if run.system.given is None or run.system.conditions is None:
            raise RequestError(f"the model of {run.directory} is told no condition: leave --condition out.")
        size = run.system.conditions.shape[1]
        if not run.system.tells_classes:
            try:
                numbers = [float(number) for number in condition]
            except ValueError:
                numbers = []
            if len(numbers) != size:
                raise RequestError(f"--condition must be {size} numbers, got {' '.join(condition)}.")
            return run.system.given(jnp.asarray(numbers))
        names = list(map(str, dataset.classes or range(size)))
        if len(condition) != 1 or condition[0] not in names:
            known = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise RequestError(f"--condition must be one of the classes {known}; got {' '.join(condition)}.")
        return run.system.given(jnp.eye(size)[names.index(condition[0])])

    # Examples.

    def prepared(self, dataset: Dataset, split: Split) -> Any:
        """Examples of a dataset as the model sees them: with dynamic binarisation, one fixed draw by the data seed."""
        return self.run.system.example(dataset.prepare(self.data_key, split.batch()))

    def seen(self, dataset: Dataset, split: Split) -> Any:
        """The same with bits that an example draws by its own values, wherever it stands among others."""
        return self.run.system.example(dataset.prepare_alone(self.data_key, split.in_memory().batch()))

    @property
    def data_key(self) -> Key:
        """The key of the bits of validation and test."""
        return jax.random.key(self.run.config.data.data_seed)

    @cached_property
    def examples(self) -> Any:
        """The test examples that are measured, as the model sees them."""
        # Prepared whole, then cut, so that an example's bits do not depend on how many are measured.
        size = self.run.config.evaluate.evaluation_size
        return jax.tree.map(lambda leaf: leaf[:size], self.prepared(self.run.dataset, self.run.dataset.test))

    @cached_property
    def _one(self) -> Any:
        return first_example(self.prepared(self.run.dataset, self.run.dataset.test.take(slice(1))))

    @property
    def is_conditional(self) -> bool:
        """Whether an example is a pair of x and its condition."""
        return isinstance(self._one, dict)

    @cached_property
    def _decoded(self) -> Any:
        """p(x | z), abstract."""
        return jax.eval_shape(self.coder.decode, self.params, self.z)

    @property
    def _is_users(self) -> bool:
        """Whether the model is the user's own, so that its config does not say what it is."""
        return self.run.config.system not in system_names()

    @property
    def likelihood(self) -> str:
        """What p(x | z) is called: by the config, or the type of a model of the user's own."""
        own = self._is_users and self._model is not None
        return type(self._decoded).__name__ if own else self.run.config.model.likelihood

    @property
    def bound_name(self) -> str:
        """What is maximised, in capitals; of a model of the user's own the config does not say which bound."""
        return "bound" if self._is_users else self.run.config.objective.bound.upper()

    @property
    def is_discrete(self) -> bool:
        """Whether log p(x) is a log-probability, not a density."""
        if not self._is_users:
            return LIKELIHOODS[self.run.config.model.likelihood].is_discrete
        return is_discrete(self._decoded)

    @property
    def has_known_likelihood(self) -> bool:
        """Whether p(x | z) is put together from distributions of this package, so that `is_discrete` is known."""
        return not self._is_users or bool(known_parts(self._decoded))

    @property
    def is_bounded(self) -> bool:
        """Whether x is counts up to a largest, few enough to be counted one by one."""
        if self._is_users:
            return (self.run.dataset.levels or 0) <= _FEW_COUNTS
        return LIKELIHOODS[self.run.config.model.likelihood].of == "counts"

    @property
    def grammar(self) -> Grammar | None:
        """The grammar whose derivations the examples are; None where they are no strings."""
        return self.run.dataset.grammar

    @property
    def language(self) -> Grammar:
        """The grammar. RequestError where the examples are no strings."""
        if self.grammar is None:
            raise RequestError(f"{self.run.directory} is no run on strings.")
        return self.grammar

    @property
    def is_valid(self) -> Callable[[str], bool]:
        """What tells whether a string is valid: the config's `valid_as`, by default its grammar."""
        judges = {"equations": expressions.is_valid, "molecules": molecules.is_valid}
        return judges.get(self.run.config.strings.valid_as or "", self.language.accepts)

    @property
    def has_images(self) -> bool:
        """Whether x is a picture that can be shown by itself."""
        return self.run.dataset.is_image

    # Codes.

    @cached_property
    def posterior(self) -> Any:
        """q(z | x) of one example, abstract: its type and shapes, computing nothing."""
        return jax.eval_shape(self.coder.encode, self.params, self._one)

    @cached_property
    def prior(self) -> Any:
        """p(z), abstract; None where there is none."""
        return jax.eval_shape(self._model.prior, self.params) if isinstance(self._model, VAE) else None

    @cached_property
    def z(self) -> Any:
        """One code, abstract: an array, or a tuple of them where there are layers."""
        return jax.eval_shape(lambda posterior, key: posterior.sample(key), self.posterior, jax.random.key(0))

    @property
    def code(self) -> Code:
        """What one code is."""
        leaves = jax.tree.leaves(self.z)
        if all(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in leaves):
            return "indices"
        if not jax.tree_util.all_leaves([self.z]):
            return "layers"
        return "choices" if leaves[0].ndim == 2 else "vector"

    @property
    def has_averages(self) -> bool:
        """Whether a mean of codes is a code: of numbers that are names only where x has one for certain."""
        return self.code != "indices" or self.is_certain

    @property
    def is_direction(self) -> bool:
        """Whether a code is a point of a sphere, so that most vectors are none."""
        return isinstance(self.posterior, VonMisesFisher)

    @property
    def code_size(self) -> int:
        """How many numbers one code has, of all layers."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.z))

    @property
    def has_codes(self) -> bool:
        """Whether there is a model that encodes."""
        return self._model is not None

    @property
    def has_density(self) -> bool:
        """Whether log p(x) can be had by importance sampling: there is a prior, and the posterior has a density."""
        return isinstance(self._model, VAE) and not isinstance(self.posterior, PointMass)

    @property
    def is_certain(self) -> bool:
        """Whether there is one code of x, and no other to draw."""
        return self.has_codes and isinstance(self.posterior, Certain)

    @property
    def has_mean(self) -> bool:
        """Whether a code has a mean that says nothing but x; that of a conditional model is told the condition."""
        return (
            self.has_codes and not self.is_conditional and self.has_averages and hasattr(type(self.posterior), "mean")
        )

    @property
    def has_real_mean(self) -> bool:
        """Whether the mean code is one array of real numbers; the numbers of a codebook are names, not sizes."""
        return self.has_mean and self.code in ("vector", "choices")

    @property
    def has_stddev(self) -> bool:
        """Whether a code has a standard deviation in closed form."""
        return hasattr(type(self.posterior), "stddev")

    @cached_property
    def decodes_to_mean(self) -> bool:
        """Whether p(x | z) has a mean in closed form; else a picture shows a sample."""
        if not self.is_conditional:
            return hasattr(type(self._decoded), "mean")
        given = jax.eval_shape(lambda *pz: self.coder.decode(*pz).decode(self._one["condition"]), self.params, self.z)
        return hasattr(type(given), "mean")

    @property
    def has_family(self) -> bool:
        """Whether the posterior is of a family that can be optimised for one example."""
        return type(self.posterior) in FAMILIES

    @property
    def factorises(self) -> bool:
        """Whether posterior and prior are both normals with a diagonal covariance."""
        return isinstance(self.posterior, DiagNormal) and self.has_normal_prior

    @property
    def has_normal_prior(self) -> bool:
        """Whether p(z) is a normal with a diagonal covariance."""
        return isinstance(self.prior, DiagNormal)

    @property
    def has_quantiles(self) -> bool:
        """Whether p(z) has codes at given probabilities: a normal with a diagonal covariance, or a flow of one."""
        return has_quantiles(self.prior)

    @property
    def has_standard_prior(self) -> bool:
        """Whether p(z) is N(0, I)."""
        if not self.has_normal_prior:
            return False
        prior = self.density.prior(self.params)
        return bool(jnp.all(prior.loc == 0) & jnp.all(prior.scale == 1))

    @property
    def has_fitted_prior(self) -> bool:
        """Whether samples of the prior mean anything: there is one, and where it is fitted apart that has begun."""
        run = self.run
        step = self.progress["parameters_of_epoch"] * run.steps_per_epoch
        return isinstance(self._model, VAE) and not 0 < run.system.prior_from >= step

    def check_fitted_prior(self) -> None:
        """RequestError where there is nothing to sample: no prior, or parameters from before it was fitted."""
        _ = self.density
        if not self.has_fitted_prior:
            run = self.run
            more = f"Go on with: vae-jax resume {run.directory}"
            if self.progress["step"] >= num_steps(run):
                more = "The run is finished: train anew with a smaller --second-stage-at."
            raise RequestError(
                f"the prior over the codes of {run.directory} has not been fitted yet, so there is nothing to sample: "
                f"that begins at step {run.system.prior_from} of {num_steps(run)}, and its parameters are of step "
                f"{int(self.progress['parameters_of_epoch']) * run.steps_per_epoch}. {more}"
            )

    @property
    def has_layers(self) -> bool:
        """Whether the rate has a part for each of several layers, which posterior and prior draw in the same order."""
        chains = self.has_density and isinstance(self.posterior, Chain) and isinstance(self.prior, Chain)
        return chains and self.posterior.places == self.prior.places

    @property
    def is_path(self) -> bool:
        """Whether the layers stand along one path, each knowing all those above it."""
        return self.has_layers and self.prior.steps is not None

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what every measurement depends on: the config (but for k), the parameters and the examples."""
        return self.fingerprint_of(self.examples)

    def fingerprint_of(self, x: Any) -> str:
        """The same with other examples."""
        own = self._is_users and self.has_density
        model = behaviour(self.density, self.params, self._one) if own else ""
        return fingerprint(self.run.config, self.stored, x, model)

    def protocol(self, *, seed: int) -> dict[str, Any]:
        """What every number of a run must carry with it; `seed` is that of the evaluation."""
        run = self.run
        return {
            "unit": "nats per example, mean over the test split",
            "density_of": "x given its condition" if self.is_conditional else "x",
            "measured": self.fingerprint,
            "evaluated_examples": num_examples(self.examples),
            "evaluation_seed": seed,
            "train_seed": run.config.train.seed,
            "system": run.config.system,
            "likelihood": self.likelihood,
            "shape": list(run.dataset.shape),
            "grammar": None if self.grammar is None else run.config.strings.grammar,
            **run.dataset.protocol(),
            **self.progress,
        }


def subject_of(run: Run, state: RunState) -> Subject:
    """A run with the best parameters of a state."""
    return Subject(run, state.best_params, progress_of(run, state), None, state.best_params)


def subject_of_snapshot(run: Run, epoch: int) -> Subject:
    """A run with the parameters of its snapshot after `epoch`. ConfigError if it kept none."""
    params = load_snapshot(run, epoch)
    seconds = [line["seconds"] for line in read_metrics(run.directory) if line["epoch"] == epoch]
    progress = _progress(run, epoch * run.steps_per_epoch, epoch, seconds[0] if seconds else math.nan)
    return Subject(run, params, progress, epoch, params)


def progress_of(run: Run, state: RunState) -> dict[str, Any]:
    """How far a run was in a state; `parameters_of_epoch`: which epoch its best parameters are of."""
    return _progress(run, int(state.train.step), int(state.best_epoch), float(state.seconds))


def _progress(run: Run, step: int, epoch: int, seconds: float) -> dict[str, Any]:
    start = run.config.train.start_from
    begun = {} if start is None else {"start_from": start}
    done = {"step": step, "num_steps": num_steps(run), "parameters_of_epoch": epoch, "training_seconds": seconds}
    return done | begun


def stream(seed: int, measurement: str) -> Key:
    """A key of its own for each measurement, apart from those of the examples, which are small numbers folded in."""
    return jax.random.fold_in(jax.random.key(seed), np.uint32(zlib.crc32(measurement.encode())))
