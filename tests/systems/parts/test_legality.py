"""What goes with what: the table, its reasons, and a training run of every legal pair of parts."""

import dataclasses
import itertools
import typing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Train
from vae_jax.core.errors import ConfigError
from vae_jax.data import Reading, load
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.parts import legality
from vae_jax.systems.parts.families import DEFAULT_PRIORS, POSTERIORS, PRIORS
from vae_jax.systems.parts.objective import BOUNDS
from vae_jax.systems.registry import validate
from vae_jax.systems.vae import build
from vae_jax.train import program

# Posterior, prior, likelihood, bound and estimator: every combination, and those that nothing speaks against.
ALL = list(itertools.product(POSTERIORS, PRIORS, LIKELIHOODS, BOUNDS, legality.NAMES))


def objection(posterior: str, prior: str, likelihood: str, bound: str, estimator: str) -> str | None:
    return legality.objection(posterior, prior, bound, estimator)


LEGAL = [c for c in ALL if objection(*c) is None]


def experiment(posterior: str, prior: str, likelihood: str, bound: str, estimator: str) -> Experiment:
    """A small model of the parts on the digits."""
    return Experiment(
        description="every part once",
        data=Data("digits", binarisation="dynamic" if likelihood == "bernoulli" else "none"),
        model=Model(
            hidden=(12,),
            latent_size=3,
            posterior=posterior,
            prior=prior,
            likelihood=likelihood,
            prior_components=4,
            flow_layers=2,
            flow_hidden=(6,),
            classes=4,
        ),
        objective=Objective(bound=bound, estimator=estimator, num_samples=2),
        train=Train(epochs=1, batch_size=16),
        evaluate=Evaluate(evaluation_samples=2),
    )


def covering(cases: list[tuple[str, ...]], strength: int) -> list[tuple[str, ...]]:
    """Few of the cases that hold every `strength` parts which any case holds: greedily, the one with most new ones."""
    of = {case: set(itertools.combinations(enumerate(case), strength)) for case in cases}
    wanted = set().union(*of.values())
    chosen = []
    while wanted:
        best = max(cases, key=lambda case: len(of[case] & wanted))
        chosen.append(best)
        wanted -= of[best]
    return chosen


# Every pair of parts that goes together; and, for each run of the tests, at least every part.
COVERING = covering(LEGAL, 2)
EVERY_PART = covering(LEGAL, 1)


def test_the_names_of_a_config_are_the_parts() -> None:
    def names(cls: type, field: str) -> set[str]:
        return set(typing.get_args(typing.get_type_hints(cls)[field]))

    assert names(Model, "posterior") == set(POSTERIORS)
    assert names(Model, "prior") == {"default", *PRIORS}
    assert names(Model, "likelihood") == set(LIKELIHOODS)
    assert names(Objective, "bound") == set(legality.BOUNDS)
    assert names(Objective, "estimator") == set(legality.NAMES)
    assert set(DEFAULT_PRIORS) == {part.space for part in POSTERIORS.values()}


def test_the_covering_array_covers() -> None:
    for i, j in itertools.combinations(range(5), 2):
        assert {(c[i], c[j]) for c in COVERING} == {(c[i], c[j]) for c in LEGAL}
    assert len(COVERING) < len(LEGAL) / 20


@pytest.mark.parametrize(
    "case",
    [*EVERY_PART, *(pytest.param(case, marks=pytest.mark.slow) for case in COVERING if case not in EVERY_PART)],
    ids="-".join,
)
def test_every_legal_pair_of_parts_trains(case: tuple[str, ...]) -> None:
    config = validate(experiment(*case))
    if case[2] == "columns":
        dataset = load("cancer", Reading("columns"))
    else:
        dataset = load("digits", binarisation=config.data.binarisation)
    dataset = dataclasses.replace(dataset, as_counts=LIKELIHOODS[case[2]].sees_counts)
    system = build(config, dataset)
    data = dataset.train.take(slice(64)).batch()

    @jax.jit
    def train(key):
        tx = optax.adam(3e-3)
        state = program.initial_state(system, tx, dataset.prepare, data, key)

        def step(carry, step):
            params, opt_state = carry
            noise = jax.random.fold_in(key, step)
            batch = dataset.prepare(noise, jax.tree.map(lambda leaf: leaf[:16], data))
            (loss, _), slope = jax.value_and_grad(system.loss, has_aux=True)(params, noise, batch, step)
            updates, opt_state = tx.update(slope, opt_state)
            return (optax.apply_updates(params, updates), opt_state), (loss, optax.tree.norm(slope))

        return jax.lax.scan(step, (state.params, state.opt_state), jnp.arange(20))[1]

    losses, norms = train(jax.random.key(0))
    assert np.isfinite(losses).all()
    assert np.isfinite(norms).all()
    assert (norms > 0).all()
    assert losses[-5:].mean() < losses[:5].mean()


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (("diagonal", "uniform_sphere", "normal", "elbo", "total"), "lives on vectors and the prior uniform_sphere on"),
        (("diagonal", "normal", "bernoulli", "iwae", "analytic"), "analytic is the ELBO in two terms"),
        (("iaf", "normal", "bernoulli", "elbo", "analytic"), "has no closed form: use --estimator sampled"),
        (("diagonal", "vamp", "bernoulli", "elbo", "analytic"), "the prior vamp has no closed form"),
        (("categorical", "uniform_choices", "bernoulli", "iwae", "dreg"), "carry no gradient for dreg: use --esti"),
        (("straight_through", "uniform_choices", "bernoulli", "elbo", "stl"), "use --estimator analytic"),
        (("concrete", "uniform_choices", "bernoulli", "elbo", "total"), "use --prior relaxed_choices"),
        (("categorical", "relaxed_choices", "bernoulli", "elbo", "score"), "no density at a discrete one"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_reason(case: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        validate(experiment(*case))


def test_every_illegal_combination_has_a_reason_and_a_way_out() -> None:
    legal = set(LEGAL)
    assert all("use " in str(objection(*c)) for c in ALL if c not in legal)


def test_the_document_is_the_table() -> None:
    assert (Path(__file__).parents[3] / "docs" / "legality.md").read_text() == legality.table()
