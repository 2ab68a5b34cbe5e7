"""Odd arguments: every public function gives a documented error or the right finite value, and never anything else.

500 cases run with the suite; `pytest -m slow tests/test_fuzz.py` tries 10,000. Each is drawn from a seed of its own, so
that a failure names it.
"""

import dataclasses
import random
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj

SHAPES = [(), (0,), (1,), (3,), (2, 3)]
FLOATS = [jnp.float32, jnp.float32, jnp.float32, jnp.float16, jnp.bfloat16]
NUMBERS = [0.0, 1.0, -1.0, 0.5, 1e4, -1e4, 1e-20, 1e20, -1e20, np.nan, np.inf, -np.inf]
WRONG = [None, "a", [1.0, 2.0], {}, True]


def array(chance: random.Random) -> Any:
    """Mostly an array of floats of some shape, with extremes; at times of another type, or no array."""
    if chance.random() < 0.05:
        return chance.choice(WRONG)
    shape = chance.choice(SHAPES)
    size = int(np.prod(shape))
    values = [chance.choice(NUMBERS) if chance.random() < 0.3 else chance.gauss(0.0, 1.0) for _ in range(size)]
    if chance.random() < 0.1:
        kind = chance.choice([jnp.int32, jnp.bool_])
        return jnp.asarray(np.clip(np.nan_to_num(values), -1e4, 1e4).reshape(shape), kind)
    return jnp.asarray(np.reshape(values, shape), chance.choice(FLOATS))


def vector(chance: random.Random) -> Any:
    """An array `[3]` with extremes, at times any other."""
    if chance.random() < 0.3:
        return array(chance)
    return jnp.asarray([chance.choice(NUMBERS[:9]) if chance.random() < 0.4 else chance.gauss(0, 1) for _ in range(3)])


def key(chance: random.Random) -> Any:
    """Mostly a key, at times several, an old one, or none."""
    keys = [jax.random.split(jax.random.key(0), 3), jax.random.PRNGKey(0), 0, None]
    return jax.random.key(chance.randrange(5)) if chance.random() < 0.8 else chance.choice(keys)


def count(chance: random.Random) -> Any:
    """Mostly a small number, at times none that counts."""
    return chance.choice([1, 2, 3]) if chance.random() < 0.7 else chance.choice([0, -1, 2.0, True, None, "a"])


def number(chance: random.Random) -> Any:
    """A number of any size, at times none."""
    return (
        chance.choice([0.0, 0.5, 1.0, 2.0, -1.0, 1e4, 1e-20, 1e20]) if chance.random() < 0.8 else chance.choice(WRONG)
    )


class Family(NamedTuple):
    """How a distribution is drawn, and SciPy's log-density of one number, where it has one."""

    make: type
    arguments: tuple[Callable[[random.Random], Any], ...]
    reference: Callable[..., Any] | None = None


FAMILIES = {
    "Bernoulli": Family(
        vj.Bernoulli, (array,), lambda v, logits: -np.logaddexp(0.0, -logits) * v - np.logaddexp(0.0, logits) * (1 - v)
    ),
    "Binomial": Family(vj.Binomial, (array, count)),
    "Categorical": Family(vj.Categorical, (array,)),
    "Concrete": Family(vj.Concrete, (vector, number)),
    "ContinuousBernoulli": Family(vj.ContinuousBernoulli, (array,)),
    "DiagNormal": Family(vj.DiagNormal, (array, array), scipy.stats.norm.logpdf),
    "DiscretisedLogistic": Family(vj.DiscretisedLogistic, (array, number, count)),
    "FullNormal": Family(vj.FullNormal, (vector, array)),
    "NegativeBinomial": Family(vj.NegativeBinomial, (array, number)),
    "OneHotCategorical": Family(vj.OneHotCategorical, (vector,)),
    "PointMass": Family(vj.PointMass, (array,)),
    "Poisson": Family(vj.Poisson, (array,)),
    "RelaxedBernoulli": Family(vj.RelaxedBernoulli, (array, number)),
    "StudentT": Family(vj.StudentT, (number, array, number), scipy.stats.t.logpdf),
    "UniformSphere": Family(vj.UniformSphere, (count,)),
    "VonMisesFisher": Family(vj.VonMisesFisher, (vector, number)),
}

# Functions of plain arguments, and whether the result is finite where all arguments are.
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Callable[[random.Random], Any], ...]]] = {
    "elbo": (vj.elbo, (vector,)),
    "iwae": (vj.iwae, (vector,)),
    "renyi": (lambda log_w, alpha: vj.renyi(alpha)(log_w), (vector, number)),
    "ciwae": (lambda log_w, beta: vj.ciwae(beta)(log_w), (vector, number)),
    "miwae": (lambda log_w, groups: vj.miwae(groups)(log_w), (vector, count)),
    "reparameterize": (vj.reparameterize, (key, array, array)),
    "standard_normal": (vj.standard_normal, (count,)),
    "mmd": (vj.mmd, (array, array)),
    "kl": (lambda a, b, c, d: vj.kl(vj.DiagNormal(a, b), vj.DiagNormal(c, d)), (array, array, array, array)),
    "interpolate": (vj.interpolate, (vector, vector, count)),
    "manifold_grid": (vj.manifold_grid, (count,)),
    "anomaly_threshold": (lambda scores, rate: vj.anomaly_threshold(scores, false_alarms=rate), (vector, number)),
}


class OddError(AssertionError):
    """What a case showed that is no documented error and no right value."""


def attempt(call: Callable[[], Any]) -> Any:
    """The result; None after a documented error: one of ValueError and TypeError that the package raised itself."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if "vae_jax" in raised_in and "site-packages/jax" not in raised_in and len(str(error)) > 20:
            return None
        raise OddError(f"{type(error).__name__} of {raised_in}: {str(error).splitlines()[0]}") from error
    except Exception as error:
        raise OddError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error


def is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def all_finite(*trees: Any) -> bool:
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(trees) if not isinstance(leaf, str)]
    return all(np.isfinite(leaf).all() for leaf in leaves)


def as_computed(arguments: list[Any]) -> list[Any]:
    """Numbers in the type that they are computed in: 1e20 is infinite in half precision."""
    leaves = [leaf for leaf in jax.tree.leaves(arguments) if not isinstance(leaf, str)]
    return [jnp.asarray(leaf, jnp.result_type(*leaves)) for leaf in leaves]


def try_family(name: str, chance: random.Random) -> None:
    family = FAMILIES[name]
    arguments = [draw(chance) for draw in family.arguments]
    distribution = family.make(*arguments)
    # Samplers of counts take seconds to compile.
    sample = attempt(lambda: distribution.sample(key(chance))) if chance.random() < 0.3 else None
    value = array(chance)
    log_prob = attempt(lambda: distribution.log_prob(value))
    own = None if sample is None else attempt(lambda: distribution.log_prob(sample))
    for found, of in ((own, sample), (log_prob, value)):
        # A density is a real number, or -inf where there is none; NaN has to come in to come out.
        fits = all_finite(arguments, of) and all_finite(as_computed(arguments))
        if found is not None and fits and (np.isnan(found) or np.shape(found) != ()):
            raise OddError(f"log_prob is {found} for finite arguments")
    if log_prob is not None and family.reference and all_finite(arguments, value):
        parts = [np.asarray(jnp.asarray(part, jnp.float32), np.float64) for part in (value, *arguments)]
        check_reference(float(log_prob), family, parts)


def check_reference(found: float, family: Family, parts: list[np.ndarray]) -> None:
    """Against SciPy in float64, of numbers of any precision, where the sum is a number of single precision."""
    value, *arguments = parts
    assert family.reference is not None
    expected = float(np.sum(family.reference(value, *arguments)))
    largest = float(np.sum(np.abs(family.reference(value, *arguments)))) if value.size else 0.0
    # Squares of 1e20 are beyond float32.
    if not np.isfinite(expected) or largest > 1e4:
        return
    if not np.isclose(found, expected, rtol=1e-4, atol=1e-4 * max(1.0, largest)):
        raise OddError(f"log_prob is {found}, and SciPy's {expected}")


def try_function(name: str, chance: random.Random) -> None:
    function, draws = FUNCTIONS[name]
    arguments = [draw(chance) for draw in draws]
    found = attempt(lambda: function(*arguments))
    if found is None or dataclasses.is_dataclass(found):
        return
    numbers = [leaf for leaf in jax.tree.leaves(arguments) if not is_key(leaf)]
    moderate = all_finite(numbers) and all(np.all(np.abs(np.asarray(leaf)) <= 1e4) for leaf in numbers)
    if moderate and not all_finite(found):
        raise OddError(f"the result is {found} for moderate arguments")


def odd_cases(name: str, cases: range) -> list[str]:
    """The cases that gave neither a documented error nor a right value."""
    attempted = try_family if name in FAMILIES else try_function
    odd = []
    for case in cases:
        try:
            # What broadcasts is meant to; SciPy and the casts of extremes warn of what they meet.
            with jax.numpy_rank_promotion("allow"), np.errstate(all="ignore"):
                attempted(name, random.Random(f"{name} {case}"))
        except OddError as error:
            odd.append(f"case {case}: {error}")
    return odd


EACH = [*FAMILIES, *FUNCTIONS]


@pytest.mark.parametrize("name", EACH)
def test_odd_arguments_give_an_error_or_the_right_value(name: str) -> None:
    assert odd_cases(name, range(18)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_many_odd_arguments_give_an_error_or_the_right_value(name: str) -> None:
    assert odd_cases(name, range(18, 378)) == []
