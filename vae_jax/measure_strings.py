"""What is measured of a run on strings: whether it writes what it read, and whether what it writes is valid."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import expressions, molecules
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.collapse import latent_means
from vae_jax.grammar import Grammar
from vae_jax.measure import density, measured_examples
from vae_jax.model import Params
from vae_jax.train.run import Run

# The protocol of Grammar Variational Autoencoder, arXiv 1703.01925, and of its successors, but for the examples.
EXAMPLES, ENCODINGS, PRIOR_CODES = 200, 10, 1000
# Codes decoded at a time: times the decodings of each, still little memory.
_CODES_AT_ONCE = 20


def judge(run: Run) -> Callable[[str], bool]:
    """What tells whether a string is valid: the config's `valid_as`, by default its grammar."""
    grammar = run.dataset.grammar
    assert grammar is not None
    chosen = {"equations": expressions.is_valid, "molecules": molecules.is_valid}
    return chosen.get(run.config.strings.valid_as or "", grammar.accepts)


def texts(grammar: Grammar, numbers: Any) -> list[str]:
    """The strings of derivations `[n, T]`."""
    return [grammar.unparse(row.tolist()) for row in np.asarray(numbers)]


def likely_strings(run: Run, params: Params, z: Any) -> list[str]:
    """What each code of `z` `[n, d]` is likeliest to be, rule by rule."""
    vae, grammar = density(run), run.dataset.grammar
    assert grammar is not None
    return texts(grammar, map_batches(lambda i, z: vae.decode(params, z).likely(), jnp.asarray(z)))


def strings(run: Run, params: Params, *, decodings: int, seed: int = 0) -> dict[str, Any]:
    """Shares of decoded strings, with standard errors; {} where x is not a string.

    `reconstructed`: of `decodings` draws from p(x | z) for each of 10 codes of each of the first 200 test strings,
    those that are the string itself. `prior_valid`: of as many draws for each of 1,000 codes of the prior, those that
    are valid. `prior_distinct`: different ones among the valid. `likely_reconstructed`: of the mean codes of the test
    strings, those whose likeliest derivation is the string. `…_error` is between strings, or codes;
    `…_binomial_error` that of as many independent draws, which is too small, since draws of one code agree.
    """
    grammar = run.dataset.grammar
    if grammar is None:
        return {}
    vae, is_valid = density(run), judge(run)
    x = measured_examples(run)[:EXAMPLES]
    code_key, prior_key, draw_key = jax.random.split(jax.random.key(seed), 3)

    def drawn(z: Any, key: Any) -> np.ndarray:
        def one(i: Any, z: Any) -> Any:
            return vae.decode(params, z).sample(jax.random.fold_in(key, i), (decodings,))

        return map_batches(one, z, batch_size=_CODES_AT_ONCE)

    def encoded(i: Any, x: Any) -> Any:
        return vae.encode(params, x).sample(jax.random.fold_in(code_key, i), (ENCODINGS,))

    again = drawn(map_batches(encoded, x).reshape(len(x) * ENCODINGS, -1), jax.random.fold_in(draw_key, 0))
    same = np.all(again.reshape(len(x), -1, x.shape[-1]) == np.asarray(x)[:, None], axis=-1).mean(axis=1)
    means = latent_means(vae, params, jax.random.fold_in(draw_key, 2), x)
    likely = np.asarray(texts(grammar, x)) == np.asarray(likely_strings(run, params, means))

    z = vae.prior(params).sample(prior_key, (PRIOR_CODES,))
    written = texts(grammar, drawn(z, jax.random.fold_in(draw_key, 1)).reshape(-1, x.shape[-1]))
    verdicts = {string: is_valid(string) for string in set(written)}
    valid = np.array([verdicts[string] for string in written]).reshape(PRIOR_CODES, -1)
    distinct = sum(verdicts.values())
    return {
        "reconstructed": float(same.mean()),
        "reconstructed_error": _error(same),
        "reconstructed_binomial_error": _binomial_error(same, len(x) * ENCODINGS * decodings),
        "likely_reconstructed": float(likely.mean()),
        "likely_reconstructed_error": _error(likely),
        "prior_valid": float(valid.mean()),
        "prior_valid_error": _error(valid.mean(axis=1)),
        "prior_valid_binomial_error": _binomial_error(valid, PRIOR_CODES * decodings),
        "prior_distinct": distinct / max(1, int(valid.sum())),
        "string_examples": len(x),
        "string_encodings": ENCODINGS,
        "string_decodings": decodings,
        "prior_codes": PRIOR_CODES,
    }


def _error(shares: Sequence[Any] | np.ndarray) -> float:
    return float(np.std(np.asarray(shares, np.float64), ddof=1) / np.sqrt(len(shares)))


def _binomial_error(shares: np.ndarray, count: int) -> float:
    share = float(shares.mean())
    return math.sqrt(share * (1 - share) / count)
