import itertools
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vae_jax as vj
from tests.languages.test_grammar import TINY
from vae_jax.languages.grammar import Grammar, characters, load_grammar, read_grammar
from vae_jax.nets.recurrent import DerivationDecoder

KEY = jax.random.key(0)
GRAMMARS: dict[str, Grammar] = {
    "tiny": read_grammar(TINY),
    "equations": load_grammar("equations"),
    "smiles": load_grammar("smiles"),
    "characters": characters(["abc"]),
}


def decoded(grammar: Grammar, length: int, *, embedding: int = 3, scale: float = 1.0, seed: int = 0) -> Any:
    decoder = DerivationDecoder(grammar, length, 8, embedding)
    z = jnp.arange(3.0)
    params = jax.tree.map(lambda leaf: scale * leaf, decoder.init(jax.random.key(seed), z))
    return decoder.apply(params, z)


def all_derivations(grammar: Grammar, length: int) -> list[list[int]]:
    """Every derivation of at most `length` rules, filled up."""
    found: list[list[int]] = []

    def grow(numbers: list[int], stack: list[str]) -> None:
        if not stack:
            found.append(numbers + [grammar.end] * (length - len(numbers)))
        elif len(numbers) < length:
            for i, rule in enumerate(grammar.rules):
                if rule.left == stack[-1]:
                    grow([*numbers, i], stack[:-1] + rule.nonterminals[::-1])

    grow([], [grammar.nonterminals[0]])
    return found


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize(("name", "length"), [("tiny", 7), ("equations", 6), ("characters", 5)])
def test_probabilities_of_all_derivations_sum_to_one(name: str, length: int, embedding: int) -> None:
    derivation = decoded(GRAMMARS[name], length, embedding=embedding)
    values = jnp.array(all_derivations(GRAMMARS[name], length))
    log_probs = jax.jit(jax.vmap(derivation.log_prob))(values)
    np.testing.assert_allclose(jnp.sum(jnp.exp(log_probs)), 1.0, rtol=1e-5)


def test_everything_else_has_none() -> None:
    grammar = GRAMMARS["tiny"]
    derivation, derivations = decoded(grammar, 3), {tuple(one) for one in all_derivations(grammar, 3)}
    values = list(itertools.product(range(grammar.end + 1), repeat=3))
    log_probs = jax.jit(jax.vmap(derivation.log_prob))(jnp.array(values))
    assert [bool(log_prob > -jnp.inf) for log_prob in log_probs] == [value in derivations for value in values]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31 - 1), scale=st.sampled_from([0.0, 1.0, 30.0, 1e4]))
@pytest.mark.parametrize("name", ["equations", "smiles"])
def test_any_logits_decode_to_strings_of_the_language(name: str, seed: int, scale: float) -> None:
    grammar, length = GRAMMARS[name], 20
    values = [*_DRAW[name](seed, scale)]
    for value in values:
        assert len(value) == length
        string = grammar.unparse(value.tolist())
        assert grammar.parse(string) == [number for number in value.tolist() if number != grammar.end]


def _draws(grammar: Grammar) -> Any:
    def draw(seed: Any, scale: Any) -> Any:
        derivation = decoded(grammar, 20, scale=scale, seed=seed)
        return jnp.concatenate([derivation.sample(jax.random.key(seed), (3,)), derivation.likely()[None]])

    return jax.jit(draw)


_DRAW = {name: _draws(GRAMMARS[name]) for name in ("equations", "smiles")}


@pytest.mark.parametrize("name", GRAMMARS)
def test_writing_step_by_step_has_the_log_prob_of_the_whole(name: str) -> None:
    """One rule after the other, in plain Python with a list for a stack, against teacher forcing."""
    grammar, length = GRAMMARS[name], 12
    derivation = decoded(grammar, length)
    tables, network = grammar.tables, derivation.network
    for value in np.asarray(derivation.sample(KEY, (4,))).tolist():
        state, before, stack, total = network.start, grammar.end, [0], 0.0
        left = length - tables.least
        for rule in value:
            state, features = network.step(state, network.embed(before))
            first = stack.pop() if stack else len(grammar.nonterminals)
            fits = (tables.left == first) & (tables.extra <= left)
            logits = np.where(fits, np.asarray(network.logits(features), np.float64), -np.inf)
            total += logits[rule] - np.logaddexp.reduce(logits)
            stack.extend(tables.pushes[rule, : tables.counts[rule]].tolist())
            left, before = left - int(tables.extra[rule]), rule
        assert not stack
        np.testing.assert_allclose(derivation.log_prob(jnp.array(value)), total, rtol=1e-4)


def test_samples_are_as_frequent_as_their_probability() -> None:
    derivation = decoded(GRAMMARS["tiny"], 5, scale=2.0)
    values = np.array(all_derivations(GRAMMARS["tiny"], 5))
    probability = np.exp(jax.vmap(derivation.log_prob)(jnp.asarray(values)))
    samples = np.asarray(derivation.sample(KEY, (20_000,)))
    share = (samples[:, None] == values[None]).all(axis=-1).mean(axis=0)
    error = np.sqrt(probability * (1.0 - probability) / len(samples))
    assert share.sum() == pytest.approx(1.0)
    assert (np.abs(share - probability) < 4.5 * error + 1e-4).all()


def test_the_likely_derivation_takes_the_likeliest_rules() -> None:
    derivation = decoded(GRAMMARS["characters"], 6, scale=3.0)
    likely = derivation.likely()
    samples = derivation.sample(KEY, (2000,))
    first = np.bincount(np.asarray(samples[:, 0])).argmax()
    assert int(likely[0]) == first
    assert derivation.log_prob(likely) > -jnp.inf


def test_gradients_are_finite_where_logits_are_extreme() -> None:
    grammar = GRAMMARS["equations"]
    value = jnp.array(grammar.parse("x+sin(1)") + [grammar.end] * 2)

    def log_prob(scale: Any) -> Any:
        return decoded(grammar, 8, scale=scale).log_prob(value)

    for scale in (0.0, 1.0, 1e4):
        found, slope = jax.value_and_grad(log_prob)(scale)
        assert jnp.isfinite(found)
        assert jnp.isfinite(slope)


def test_bad_input() -> None:
    grammar = GRAMMARS["equations"]
    derivation = decoded(grammar, 6)
    with pytest.raises(ValueError, match="the shortest derivation has 2 rules, more than length 1"):
        vj.Derivation(derivation.network, grammar, 1)
    with pytest.raises(ValueError, match=r"value must be one event of shape \(6,\), got \(2, 6\)"):
        derivation.log_prob(jnp.zeros((2, 6), jnp.int32))
    with pytest.raises(TypeError, match=r"value must hold numbers of rules, got float\d\d"):
        derivation.log_prob(jnp.zeros(6))
    with pytest.raises(TypeError, match="typed PRNG key"):
        derivation.sample(0)


def test_a_rare_rule_is_written_as_often_from_logits_of_half_precision() -> None:
    logits = jnp.array([0.0, -6.9, 0.0], jnp.bfloat16)
    network = SimpleNamespace(start=0.0, embed=lambda _: 0.0, step=lambda *at: at, logits=lambda _: logits)
    drawn = vj.Derivation(network, read_grammar('start: "a" | "b"'), 1).sample(KEY, (200_000,))
    share = 1.0 / (1.0 + np.exp(-float(logits[1])))
    assert abs(np.mean(drawn == 1) - share) < 4.5 * np.sqrt(share / 200_000)
