"""What is measured of a run on strings: whether it writes what it read, and whether what it writes is valid."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.statistics import standard_error
from vae_jax.evaluate.usage import latent_means
from vae_jax.languages.grammar import Grammar
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.subject import Subject

# The protocol of Grammar Variational Autoencoder, arXiv 1703.01925, and of its successors, but for the examples.
EXAMPLES, ENCODINGS, PRIOR_CODES = 200, 10, 1000
# Codes decoded at a time: times the decodings of each, still little memory.
_CODES_AT_ONCE = 20


def texts(grammar: Grammar, numbers: Any) -> list[str]:
    """The strings of derivations `[n, T]`."""
    return [grammar.unparse(row.tolist()) for row in np.asarray(numbers)]


def likely_strings(subject: Subject, z: Any) -> list[str]:
    """What each code of `z` `[n, d]` is likeliest to be, rule by rule."""
    vae, params = subject.density, subject.params
    return texts(subject.language, map_batches(lambda i, z: vae.decode(params, z).likely(), jnp.asarray(z)))


def strings(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """Shares of decoded strings, with standard errors.

    `reconstructed`: of `decodings` draws from p(x | z) for each of 10 codes of each of the first 200 test strings, the
    share that is the string itself. `prior_valid`: of as many draws for each of 1,000 codes of the prior, the share
    that is valid. `prior_distinct`: the share of different strings among the valid. `likely_reconstructed`: the share
    of the test strings that the likeliest derivation of their mean code writes again. `…_error` is between strings, or
    codes; `…_binomial_error` that of as many independent draws, which is too small, since draws of one code agree.
    """
    del found
    vae, params, grammar, is_valid = subject.density, subject.params, subject.language, subject.is_valid
    decodings, x = options.decodings, subject.examples[:EXAMPLES]
    code_key, prior_key, draw_key = jax.random.split(jax.random.key(options.seed), 3)

    def drawn(z: Any, key: Any) -> np.ndarray:
        def one(i: Any, z: Any) -> Any:
            return vae.decode(params, z).sample(jax.random.fold_in(key, i), (decodings,))

        return map_batches(one, z, batch_size=_CODES_AT_ONCE)

    def encoded(i: Any, x: Any) -> Any:
        return vae.encode(params, x).sample(jax.random.fold_in(code_key, i), (ENCODINGS,))

    again = drawn(map_batches(encoded, x).reshape(len(x) * ENCODINGS, -1), jax.random.fold_in(draw_key, 0))
    same = np.all(again.reshape(len(x), -1, x.shape[-1]) == np.asarray(x)[:, None], axis=-1).mean(axis=1)
    means = latent_means(vae, params, jax.random.fold_in(draw_key, 2), x)
    likely = np.asarray(texts(grammar, x)) == np.asarray(likely_strings(subject, means))

    z = vae.prior(params).sample(prior_key, (PRIOR_CODES,))
    written = texts(grammar, drawn(z, jax.random.fold_in(draw_key, 1)).reshape(-1, x.shape[-1]))
    verdicts = {string: is_valid(string) for string in set(written)}
    valid = np.array([verdicts[string] for string in written]).reshape(PRIOR_CODES, -1)
    return {
        **_share("reconstructed", same, len(x) * ENCODINGS * decodings),
        **_share("likely_reconstructed", likely.astype(np.float64)),
        **_share("prior_valid", valid.mean(axis=1), PRIOR_CODES * decodings),
        "prior_distinct": sum(verdicts.values()) / max(1, int(valid.sum())),
        "string_examples": len(x),
        "string_encodings": ENCODINGS,
        "string_decodings": decodings,
        "prior_codes": PRIOR_CODES,
    }


def _share(name: str, shares: np.ndarray, draws: int | None = None) -> dict[str, float]:
    """The mean share with its error, and where it is one of `draws` with the binomial error too."""
    share = float(shares.mean())
    result = {name: share, f"{name}_error": float(standard_error(shares))}
    return result if draws is None else {**result, f"{name}_binomial_error": math.sqrt(share * (1 - share) / draws)}


_ROWS = (
    (
        "reconstructed",
        "{reconstructed:.2%} ± {reconstructed_error:.2%}",
        "{string_examples} test strings, {string_encodings} codes of each, {string_decodings} draws of each; "
        "binomial error {reconstructed_binomial_error:.2%}",
    ),
    (
        "likeliest",
        "{likely_reconstructed:.2%} ± {likely_reconstructed_error:.2%}",
        "of mean codes, decoded by the likeliest rule at each step",
    ),
    (
        "valid",
        "{prior_valid:.2%} ± {prior_valid_error:.2%}",
        "of {string_decodings} draws for each of {prior_codes} codes of the prior; "
        "binomial error {prior_valid_binomial_error:.2%}",
    ),
    ("distinct", "{prior_distinct:.2%}", "of the valid ones"),
)

STRINGS = Measurement(
    "strings",
    lambda subject: subject.grammar is not None and subject.has_density,
    strings,
    rows=(("strings, shares of decoded ones", _ROWS),),
    summary=(
        (
            "reconstruction",
            "{reconstructed:.1%} ± {reconstructed_error:.1%} of draws, {likely_reconstructed:.1%} ± "
            "{likely_reconstructed_error:.1%} of likeliest strings: {string_examples} test examples",
        ),
        (
            "prior samples",
            "{prior_valid:.1%} ± {prior_valid_error:.1%} valid, {prior_distinct:.1%} of these distinct",
        ),
    ),
)
