import jax
import numpy as np

from vae_jax.evaluate.usage import latent_means
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.likeliest import LIKELIEST, likeliest
from vae_jax.pictures.run import write_pictures


def test_a_search_finds_codes_at_least_as_probable(digits) -> None:
    subject = subject_of(*digits)
    x = subject.examples[:7]
    z = latent_means(subject.coder, subject.params, jax.random.key(0), x)
    found = likeliest(subject, x, z)
    assert (np.asarray(found.log_joint) >= np.asarray(found.given) - 1e-3).all()
    assert np.mean(found.log_joint) > np.mean(found.given)


def test_it_is_drawn_where_it_is_asked_for(digits) -> None:
    subject = subject_of(*digits)
    assert LIKELIEST.suits(subject)
    assert "likeliest_codes" in {path.stem for path in write_pictures(subject, (LIKELIEST,))}
    assert "likeliest_codes" not in {path.stem for path in write_pictures(subject)}
