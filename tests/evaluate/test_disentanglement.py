"""Scores of codes against known factors: values found by hand, and what they must not depend on."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from vae_jax.evaluate import beta_vae_score, dci, disentanglement, factor_vae_score, mig, modularity, sap
from vae_jax.evaluate.disentanglement import mutual_information
from vae_jax.evaluate.factors import varies

METRICS: dict[str, Callable[..., float]] = {
    "mig": mig,
    "modularity": modularity,
    "sap": sap,
    "disentanglement": lambda codes, factors: dci(codes, factors).disentanglement,
    "completeness": lambda codes, factors: dci(codes, factors).completeness,
    "informativeness": lambda codes, factors: dci(codes, factors).informativeness,
    "factor_vae_score": factor_vae_score,
    "beta_vae_score": beta_vae_score,
}
# Two factors of 4 values, every combination equally often.
FACTORS = np.tile(np.indices((4, 4)).reshape(2, -1).T, (100, 1))
RANDOM = np.random.default_rng(0)
# An ideal code moves with its factor alone; a little noise, since real codes are no integers.
IDEAL = FACTORS + 0.01 * RANDOM.standard_normal(FACTORS.shape)
TURNED = (FACTORS - 1.5) @ np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2.0)
NOISE = RANDOM.standard_normal((1600, 5))

# The same two factors as classes in every way that they can be stored, and as real numbers.
KINDS: dict[str, tuple[np.ndarray, bool]] = {
    "int64": (FACTORS, False),
    "uint8": (FACTORS.astype(np.uint8), False),
    "whole float32": (FACTORS.astype(np.float32), False),
    "whole float64": (FACTORS.astype(np.float64) - 2.0, False),
    "bool": (FACTORS > 1, False),
    "real": (0.5 * FACTORS + 0.25, True),
    "real float32": ((0.1 * FACTORS).astype(np.float32), True),
    "one of each": (FACTORS * [1.0, 0.3], True),
    # No value occurs twice.
    "continuous": (FACTORS + RANDOM.uniform(-0.4, 0.4, FACTORS.shape), True),
}


def rounded(value: float, dtype: Any = np.float64) -> np.ndarray:
    """One number, the half of the times off by the last digit."""
    one = dtype(value)
    return np.where(np.random.default_rng(2).random(1600) < 0.5, one, np.nextafter(one, dtype(np.inf)))


# For each score the least and the most that it may be.
EXPECTED: dict[str, tuple[Any, dict[str, tuple[float, float]]]] = {
    "ideal": (
        IDEAL,
        {
            "mig": (1.0, 1.0),
            "modularity": (0.999, 1.0),
            "sap": (0.2, 0.8),
            "disentanglement": (0.999, 1.0),
            "completeness": (0.999, 1.0),
            "informativeness": (1.0, 1.0),
            "factor_vae_score": (1.0, 1.0),
            "beta_vae_score": (1.0, 1.0),
        },
    ),
    # Each code says as much of either factor.
    "turned by 45 degrees": (
        TURNED,
        {
            "mig": (0.0, 1e-9),
            "modularity": (0.0, 1e-9),
            "sap": (0.0, 0.1),
            "disentanglement": (0.0, 0.1),
            "completeness": (0.0, 0.1),
            "informativeness": (1.0, 1.0),
        },
    ),
    # Two codes for each factor: nothing is mixed, but no code has its factor to itself.
    "every code twice": (
        np.concatenate([FACTORS, FACTORS], axis=1).astype(float),
        {
            "mig": (0.0, 1e-12),
            "modularity": (1.0, 1.0),
            "sap": (0.0, 1e-12),
            "disentanglement": (0.999, 1.0),
            # ½ where both share evenly, 1 where the forest took one of them.
            "completeness": (0.45, 0.75),
            "informativeness": (1.0, 1.0),
            "factor_vae_score": (1.0, 1.0),
            "beta_vae_score": (1.0, 1.0),
        },
    ),
    "one code for both": (
        (4 * FACTORS[:, :1] + FACTORS[:, 1:]).astype(float),
        {"mig": (1.0, 1.0), "modularity": (0.0, 1e-9), "completeness": (1.0, 1.0), "disentanglement": (0.0, 0.1)},
    ),
    "noise": (
        NOISE,
        {
            "mig": (0.0, 0.02),
            "sap": (0.0, 0.06),
            "disentanglement": (0.0, 0.1),
            "completeness": (0.0, 0.1),
            "informativeness": (0.0, 0.1),
            "factor_vae_score": (0.45, 0.65),
            "beta_vae_score": (0.45, 0.65),
        },
    ),
    # A code that never moves neither helps nor harms.
    "ideal and a constant": (
        np.concatenate([IDEAL, np.zeros((1600, 1))], axis=1),
        {"mig": (1.0, 1.0), "disentanglement": (0.999, 1.0), "factor_vae_score": (1.0, 1.0)},
    ),
}


@pytest.mark.parametrize("case", EXPECTED)
def test_values_found_by_hand(case: str) -> None:
    codes, expected = EXPECTED[case]
    for name, (least, most) in expected.items():
        found = METRICS[name](codes, FACTORS)
        assert least - 1e-9 <= found <= most + 1e-9, (name, found)


def test_the_gap_of_a_code_that_is_a_class_is_what_the_next_cannot_tell() -> None:
    bits = RANDOM.integers(0, 2, (4000, 1))
    # A code that is the bit tells it always, and where there is no other, nothing else does.
    assert sap(bits, bits) == 1.0
    # A constant tells what half of the examples are, of which 2,000 are tested.
    gap = sap(np.concatenate([bits, np.zeros_like(bits)], axis=1), bits)
    assert abs(gap - 0.5) < 4 * 0.5 / math.sqrt(2000)


@pytest.mark.parametrize("name", METRICS)
def test_order_sign_and_names_do_not_matter(name: str) -> None:
    codes = IDEAL + 0.4 * NOISE[:, :2]
    plain = METRICS[name](codes, FACTORS)
    assert METRICS[name](-codes[:, ::-1], FACTORS) == pytest.approx(plain, abs=0.02)
    renamed = np.array([7, -2, 30, 5])[FACTORS]
    assert METRICS[name](codes, renamed) == pytest.approx(plain, abs=0.02)
    assert METRICS[name](codes.astype(np.float32), FACTORS) == pytest.approx(plain, abs=0.02)
    # A linear machine is penalised, the others do not know the unit of a code.
    if name != "sap":
        assert METRICS[name](codes * np.array([3.0, 0.2]) + 5.0, FACTORS) == pytest.approx(plain, abs=0.02)
    assert METRICS[name](codes, FACTORS) == plain


@pytest.mark.parametrize("name", METRICS)
def test_less_noise_scores_higher(name: str) -> None:
    scores = [METRICS[name](IDEAL + noise * NOISE[:, :2], FACTORS) for noise in (3.0, 0.7, 0.1)]
    assert scores[0] <= scores[1] <= scores[2]
    if name != "modularity":
        assert scores[2] > scores[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METRICS)
def test_every_score_takes_every_kind_of_factor(name: str, kind: str) -> None:
    """A code that is its factor scores near 1, noise near chance; classes score the same however they are stored."""
    factors, real = KINDS[kind]
    metric = METRICS[name]
    ideal = metric(factors + 0.01 * NOISE[:, :2] * np.ptp(factors.astype(float), axis=0), factors)
    noise = metric(NOISE, factors)
    # Of bits a code of two values and noise in it is known by the forest, the machine and the pieces alike.
    least = {"sap": 0.2 if not real else 0.55, "mig": 0.6 if kind == "continuous" else 0.95}.get(name, 0.9)
    assert ideal >= least, ideal
    assert noise <= (0.7 if "vae" in name else 0.75 if name == "modularity" else 0.1), noise
    if not real and kind != "bool":
        codes = IDEAL + 0.4 * NOISE[:, :2]
        assert metric(codes, factors) == metric(codes, FACTORS)


def test_scores_of_real_factors_in_closed_form() -> None:
    factors = np.random.default_rng(3).standard_normal((5000, 2)) @ np.array([[1.0, 0.0], [0.0, 2.0]]) + 0.3
    noise = np.random.default_rng(4).standard_normal((5000, 2))
    # R² of a code that is its factor plus noise of half its variance; of the other factor's code nothing.
    codes = factors / [1.0, 2.0] + math.sqrt(0.5) * noise
    assert sap(codes, factors) == pytest.approx(1.0 / 1.5, abs=0.03)
    # Another unit of a code or of a factor is the same to a correlation.
    assert sap(codes * [3.0, 1e-3], factors * [1e4, 1.0]) == pytest.approx(sap(codes, factors))
    found = dci(np.concatenate([factors, noise], axis=1), factors)
    assert found.informativeness > 0.99
    assert found.disentanglement > 0.99
    assert found.completeness > 0.99
    assert dci(noise, factors).informativeness < 0.05
    # The information of equal pieces is their entropy.
    information, entropies = mutual_information(factors, factors)
    np.testing.assert_allclose(np.diagonal(information), entropies)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, -3e-5, 1e6 + 0.5, 1.0])
@pytest.mark.parametrize("name", METRICS)
def test_a_code_of_rounding_alone_is_a_constant(name: str, value: float, dtype: Any) -> None:
    live = IDEAL + 0.4 * NOISE[:, :2]
    exact = np.concatenate([live, np.full((1600, 1), dtype(value))], axis=1)
    noisy = np.concatenate([live, rounded(value, dtype)[:, None]], axis=1)
    assert METRICS[name](noisy, FACTORS) == METRICS[name](exact, FACTORS)
    # In the precision of the whole array.
    assert METRICS[name](noisy.astype(dtype), FACTORS) == METRICS[name](exact.astype(dtype), FACTORS)


@pytest.mark.parametrize(
    ("column", "moves"),
    [
        (np.array([0.1, 0.1, 0.1]), False),
        (np.array([0.1, np.nextafter(0.1, 1.0), 0.1]), False),
        (np.array([0.1, 0.1 + 1e-12, 0.1]), True),
        (np.array([1.0, np.nextafter(np.float32(1.0), np.float32(2.0)), 1.0]), False),
        (np.array([0.0, 5e-324, 0.0]), True),
        (np.array([0.0, 0.0, 0.0]), False),
        (np.array([1e9, 1e9 + 1.0, 1e9]), True),
        (np.array([2**40, 2**40 + 1, 2**40]), True),
        (np.array([True, False, True]), True),
        (np.array([3, 3, 3], np.uint8), False),
        (np.array([255, 0, 255], np.uint8), True),
    ],
)
def test_what_moves(column: np.ndarray, moves: bool) -> None:
    assert varies(column[:, None]).tolist() == [moves]


@pytest.mark.parametrize("units", [1, 3, 10, 30, 100])
def test_codes_of_few_digits_are_cut_all_the_same(units: int) -> None:
    """Numbers too close together for 20 pieces of different ends."""
    codes = 0.1 + units * np.spacing(0.1) * FACTORS
    assert 0.0 <= mig(codes, FACTORS) <= 1.0
    assert 0.0 <= modularity(codes, FACTORS) <= 1.0


def test_mutual_information_is_scikit_learns() -> None:
    codes = IDEAL + NOISE[:, :2]
    found, entropies = mutual_information(codes, FACTORS)
    np.testing.assert_allclose(entropies, math.log(4.0))
    for i in range(2):
        edges = np.linspace(codes[:, i].min(), codes[:, i].max(), 21)
        pieces = np.clip(np.searchsorted(edges, codes[:, i], side="right") - 1, 0, 19)
        for j in range(2):
            np.testing.assert_allclose(found[i, j], mutual_info_score(pieces, FACTORS[:, j]), atol=1e-12)


def test_the_gap_of_a_channel() -> None:
    # A bit that is flipped one time in ten: the information is log 2 − H(0.1); the other code says nothing.
    bits = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (1000, 1))
    flipped = bits.copy()
    flipped[:400, 0] ^= 1
    flipped[:400, 1] ^= 1
    said = 1.0 + (0.1 * math.log(0.1) + 0.9 * math.log(0.9)) / math.log(2.0)
    assert mig(flipped, bits) == pytest.approx(said, abs=1e-9)


@pytest.mark.parametrize("name", ["sap", "dci", "beta_vae_score", "factor_vae_score"])
def test_the_key_decides_what_is_drawn(name: str) -> None:
    function = {"sap": sap, "dci": dci, "beta_vae_score": beta_vae_score, "factor_vae_score": factor_vae_score}[name]
    codes = IDEAL + NOISE[:, :2]
    first, again, other = (function(codes, FACTORS, key=jax.random.key(seed)) for seed in (1, 1, 2))
    assert first == again != other
    np.testing.assert_allclose(first, other, atol=0.06)


@pytest.mark.parametrize("name", METRICS)
def test_bad_input(name: str) -> None:
    metric = METRICS[name]
    with pytest.raises(ValueError, match="one row of factors for each row of codes is needed, got 1600 codes and 1599"):
        metric(IDEAL, FACTORS[1:])
    with pytest.raises(ValueError, match="at least two examples are needed, got 1"):
        metric(IDEAL[:1], FACTORS[:1])
    with pytest.raises(ValueError, match=r"codes must have shape \(n, c\), got \(1600,\)"):
        metric(IDEAL[:, 0], FACTORS)
    with pytest.raises(ValueError, match="1 of 1600 codes are not finite, the first in row 3"):
        metric(np.where(np.arange(1600)[:, None] == 3, np.nan, IDEAL), FACTORS)
    with pytest.raises(ValueError, match="factor 1 has one value only"):
        metric(IDEAL, FACTORS * [1, 0])
    with pytest.raises(ValueError, match="2 of 1600 factors are not finite, the first in row 5"):
        metric(IDEAL, np.where(np.isin(np.arange(1600), [5, 9])[:, None], np.nan, FACTORS))
    with pytest.raises(ValueError, match="codes and factors must be numbers, got float64 and <U"):
        metric(IDEAL, FACTORS.astype(str))
    with pytest.raises(ValueError, match="factor 0 has one value only"):
        metric(IDEAL, np.stack([rounded(0.1), FACTORS[:, 1]], axis=1))


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="factor 0 has one value among the 2 that train"):
        sap(IDEAL[:4], np.array([[0], [0], [0], [1]]))
    with pytest.raises(ValueError, match="at least two are needed"):
        modularity(IDEAL, FACTORS[:, :1])
    with pytest.raises(ValueError, match="all codes are constant"):
        factor_vae_score(np.ones((1600, 2)), FACTORS)


@pytest.mark.parametrize("score", [beta_vae_score, factor_vae_score])
def test_groups_of_wide_codes_are_not_looked_up_at_once(score: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disentanglement, "_TRAIN", 300)
    monkeypatch.setattr(disentanglement, "_TEST", 100)
    codes = np.random.default_rng(0).standard_normal((160, 1024))
    tracemalloc.start()
    found = score(codes, FACTORS[:160])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # For each of two factors, about 200 points of 64 examples each.
    assert peak < 200 * 64 * codes[0].nbytes
    monkeypatch.setattr(disentanglement, "_BLOCK", 2**40)
    assert found == score(codes, FACTORS[:160])


def test_the_size_of_a_block_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    codes, first, second = random.normal(size=(50, 3)), *random.integers(50, size=(2, 20, 8))
    expected = np.abs(codes[first] - codes[second]).mean(axis=1)
    for block in (1, 7 * 8 * 3, 2**20):
        monkeypatch.setattr(disentanglement, "_BLOCK", block)
        found = disentanglement._in_blocks(lambda z, other: np.abs(z - other).mean(axis=1), codes, first, second)
        np.testing.assert_array_equal(found, expected)
    # No point may be of a factor.
    assert disentanglement._in_blocks(lambda z: z.var(axis=1), codes, first[:0]).shape == (0, 3)


def test_a_factor_that_does_not_vary_in_the_test_half_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = lambda *arguments: (np.arange(20), np.arange(20, 40))
    monkeypatch.setattr("vae_jax.evaluate.disentanglement._halves", halves)
    codes = np.random.default_rng(0).standard_normal((40, 2))
    rare, other = (np.arange(40) == 0).astype(int), np.random.default_rng(1).integers(0, 2, 40)
    both = dci(codes, np.stack([rare, other], axis=1), key=jax.random.key(0)).informativeness
    assert both == dci(codes, other[:, None], key=jax.random.key(0)).informativeness < 0.7
    assert math.isnan(dci(codes, rare[:, None], key=jax.random.key(0)).informativeness)
