"""The code that an encoder gives to an example, beside the code that is most probable there.

Finding it takes a search for each example, so only `vae-jax explore` draws it.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluate.map_latent import map_latent
from vae_jax.measure.subject import Subject
from vae_jax.pictures.decoded import decoded, images
from vae_jax.pictures.picture import Picture, Shown, draws_vectors

_COLUMNS = 12


class Likeliest(NamedTuple):
    """Codes `[n, d]` of the largest log p(x, z), and log p(x, z) there and at the codes given, `[n]` in nats."""

    z: Any
    log_joint: Any
    given: Any


def likeliest(subject: Subject, x: Any, z: Any) -> Likeliest:
    """The most probable codes of examples `x` `[n, …]`, searched from the codes `z` `[n, d]`."""
    vae, params = subject.density, subject.params

    def one(x: Any, z: Any) -> Likeliest:
        found = map_latent(vae, params, x, z)
        return Likeliest(found.z, found.log_joint, vae.prior(params).log_prob(z) + vae.decode(params, z).log_prob(x))

    return jax.jit(jax.vmap(one))(x, z)


def _likeliest(subject: Subject, shown: Shown) -> Figure:
    x, means = shown.x[:_COLUMNS], jax.numpy.asarray(shown.means[:_COLUMNS])
    found = likeliest(subject, x, means)
    rows = [subject.run.dataset.shades(np.asarray(x)), decoded(subject, means), decoded(subject, found.z)]
    before, after = float(np.mean(found.given)), float(np.mean(found.log_joint))
    title = f"codes by the encoder and by search: log p(x, z) {before:.1f} and {after:.1f} nats on average"
    return images(subject, np.stack(rows), title=title, row_names=["data", "mean of q(z | x)", "most probable z"])


LIKELIEST = Picture("likeliest_codes", draws_vectors, _likeliest)
