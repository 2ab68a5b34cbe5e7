"""What systems require of a config: a reason with a way out where it is not met, and None where it is."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from tests.runs import changed
from vae_jax.config import Data, Experiment
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.parts import requirements
from vae_jax.systems.parts.families import POSTERIORS, PRIORS
from vae_jax.systems.registry import spec_of, validate
from vae_jax.systems.system import Requirement
from vae_jax.train.source import load_data

BASE = dataclasses.replace(Experiment("a test", Data("digits")), system="mine")


def with_model(**fields: Any) -> Experiment:
    return changed(BASE, "model", **fields)


LAYERS = with_model(upper_latent_sizes=(2,))
PATH = with_model(latent_layers=(3,))
OPTIMAL = with_model(likelihood="normal", likelihood_scale="optimal")

REFUSED: list[tuple[Requirement, Experiment, str]] = [
    (requirements.same_space, with_model(posterior="sphere", prior="normal"), "use --prior uniform_sphere"),
    (requirements.bits_for_bits, with_model(likelihood="poisson"), "is for counts without a largest, but"),
    (requirements.bits_for_bits, with_model(likelihood="student_t"), "is for real numbers, but --binarisation dynamic"),
    (requirements.possible_networks, with_model(network="grid", posterior="full"), "--network grid has a vector at"),
    (requirements.possible_networks, with_model(network="conv", posterior="concrete"), "for choices use --network mlp"),
    (requirements.possible_networks, with_model(prior="coupling", latent_size=1), "--latent-size 1 is too small"),
    (requirements.possible_networks, with_model(posterior="sphere", latent_size=1), "use --latent-size 2 or more"),
    (requirements.columns_in_their_place, with_model(likelihood="columns", network="conv"), "use --network mlp, not"),
    (
        requirements.columns_in_their_place,
        changed(with_model(likelihood="columns"), "codes", corruption="masking"),
        "use --system vae",
    ),
    (requirements.trainable_bound, changed(BASE, "objective", bound="iwae"), "use --estimator total or dreg"),
    (requirements.one_layer, LAYERS, "are for --system vae; mine has one layer of codes"),
    (requirements.layers_of_vectors, LAYERS, "analytic needs a KL in closed form"),
    (
        requirements.layers_of_vectors,
        changed(changed(LAYERS, "model", prior="vamp"), "objective", estimator="total"),
        "--posterior diagonal --prior vamp cannot be the lowest and the highest",
    ),
    (requirements.one_layer, PATH, "--latent-layers are for --system vae; mine has layers of its own"),
    (requirements.no_path, PATH, "--latent-layers are for --system vae"),
    (requirements.one_vector, with_model(network="grid"), "a vector at each place, and mine one for a whole example"),
    (requirements.one_vector, with_model(posterior="concrete"), "has choices, and mine one vector of an example"),
    (requirements.free_numbers, with_model(posterior="sphere"), "and those of a sphere posterior cannot be"),
    (requirements.closed_kl, with_model(posterior="iaf"), "and --posterior iaf --prior normal have none"),
    (requirements.closed_kl, with_model(prior="mixture"), "use --posterior diagonal --prior normal"),
    (requirements.closed_kl, with_model(posterior="point"), "takes the KL in closed form"),
    (
        requirements.drawn_bound,
        with_model(posterior="straight_through", prior="relaxed_choices"),
        "use --estimator analytic",
    ),
    (requirements.every_label, changed(BASE, "labels", labelled=20), "hides no label from --system mine"),
    (
        requirements.units_to_corrupt,
        changed(changed(BASE, "codes", corruption="masking"), "data", standardise=True),
        "--corruption masking changes x in its own units",
    ),
    (requirements.normal_prior, with_model(prior="mixture"), "a prior that factorises: use --prior normal or scaled"),
    (
        requirements.shares_to_corrupt,
        changed(with_model(likelihood="logistic"), "codes", corruption="salt_pepper"),
        "for values between 0 and 1, and --likelihood logistic for counts",
    ),
    *(
        (requirements.layers_along_a_path, changed(PATH, "model", **fields), reason)
        for fields, reason in (
            ({"network": "conv"}, "are for --network mlp, whose states are vectors, or grid"),
            ({"upper_latent_sizes": (2,)}, "two kinds of several layers"),
            ({"posterior": "full"}, "--posterior full --prior normal have no place there"),
            (
                {"posterior": "iaf", "network": "grid", "hidden": (8,)},
                "or with --network mlp a flow for the",
            ),
            ({"prior": "mixture"}, "use diagonal and normal"),
            ({"latent_layers": (2, 2)}, "is one number, and --hidden the width of all states: got 2 2 and 500"),
            ({"hidden": (8, 8)}, "is one number, and --hidden the width of all states: got 3 and 8 8"),
            ({"hidden": ()}, "got 3 and none"),
            ({"network": "grid", "hidden": (8, 8)}, "how many stand on each halving of the image"),
        )
    ),
    (requirements.differentiable_codes, with_model(posterior="categorical"), "carry no gradient, which --system mine"),
    (requirements.factorised_normal, with_model(posterior="full"), "use --posterior diagonal, not full"),
    (requirements.two_in_a_batch, changed(BASE, "train", batch_size=1), "use --batch-size 2 or more"),
    (
        requirements.possible_distortion,
        changed(BASE, "objective", most_distortion=-3.0),
        "must be greater than 0 for --likelihood bernoulli",
    ),
    (requirements.gradient_scale, OPTIMAL, "with mine use --likelihood-scale shared"),
    (
        requirements.optimal_scale_alone,
        changed(OPTIMAL, "objective", most_distortion=3.0),
        "which --most-distortion weighs: use --likelihood-scale fixed",
    ),
]


@pytest.mark.parametrize(("requirement", "config", "reason"), REFUSED)
def test_a_reason_says_what_to_use_instead(requirement: Requirement, config: Experiment, reason: str) -> None:
    found = requirement(config)
    assert found is not None
    assert reason in found
    assert not found.endswith(".")


@pytest.mark.parametrize("requirement", dict.fromkeys(requirement for requirement, _, _ in REFUSED))
def test_the_usual_config_meets_all(requirement: Requirement) -> None:
    assert requirement(BASE) is None


@pytest.mark.parametrize(
    ("requirement", "config"),
    [
        (requirements.bits_for_bits, changed(with_model(likelihood="poisson"), "data", binarisation="none")),
        (requirements.possible_networks, with_model(network="grid", posterior="point")),
        (requirements.possible_networks, with_model(prior="coupling", latent_size=2)),
        (requirements.possible_networks, with_model(network="grid", prior="coupling", latent_size=1)),
        (requirements.layers_of_vectors, changed(LAYERS, "objective", estimator="total")),
        (requirements.differentiable_codes, with_model(posterior="concrete")),
        (requirements.factorised_normal, with_model(posterior="isotropic")),
        (requirements.normal_prior, with_model(prior="scaled")),
        (requirements.closed_kl, with_model(posterior="full")),
        (requirements.drawn_bound, with_model(posterior="point")),
        (requirements.drawn_bound, with_model(posterior="iaf", prior="mixture")),
        (requirements.shares_to_corrupt, changed(with_model(likelihood="logistic"), "codes", corruption="masking")),
        (requirements.two_in_a_batch, changed(BASE, "train", batch_size=2)),
        (
            requirements.possible_distortion,
            changed(with_model(likelihood="normal"), "objective", most_distortion=-3.0),
        ),
        # Of another likelihood the field says nothing.
        (requirements.gradient_scale, with_model(likelihood_scale="optimal")),
        (requirements.optimal_scale_alone, OPTIMAL),
    ],
)
def test_what_is_just_allowed_is_allowed(requirement: Requirement, config: Experiment) -> None:
    assert requirement(config) is None


def test_every_requirement_is_tried() -> None:
    tried = {requirement for requirement, _, _ in REFUSED}
    own = {
        value
        for name, value in vars(requirements).items()
        # Python has functions of its own there, as `__annotate__`.
        if getattr(value, "__module__", "") == requirements.__name__ and callable(value) and not name.startswith("__")
    }
    assert tried == own


SMALL = {"hidden": (4, 8), "latent_size": 3, "classes": 4, "prior_components": 4, "flow_layers": 1, "flow_hidden": (4,)}
# One part changed at a time. Only a likelihood of bits goes with bits.
CHANGES: list[dict[str, Any]] = [
    *({"posterior": name} for name in POSTERIORS),
    *({"prior": name} for name in PRIORS),
    {"posterior": "concrete", "prior": "relaxed_choices"},
    {"posterior": "straight_through", "prior": "relaxed_choices"},
    *({"likelihood": name} for name in LIKELIHOODS if name != "columns"),
    *({"network": name} for name in ("mlp", "conv", "grid")),
    *({"autoregressive_layers": 1}, {"upper_latent_sizes": (2,)}, {"upper_hidden": ()}, {"latent_layers": (1,)}),
]
# One config of each system, but for strings, which have networks of their own.
EACH_SYSTEM = (
    *("digits_conv", "autoencoder", "contractive_autoencoder", "sparse_autoencoder", "denoising_autoencoder"),
    *("conditional_vae", "m2", "m1m2", "tc_vae", "dip_vae", "factor_vae", "info_vae", "adversarial_autoencoder"),
    *("discriminative_vae", "geco_vae", "vq_vae", "ladder_mnist"),
)


def traced(config: Experiment) -> None:
    """The gradient of a batch, traced, which costs little and finds what the networks cannot do."""
    dataset = load_data(config)
    system, batch = spec_of(config.system).build(config, dataset), dataset.train.take(slice(4)).batch()

    def slope(key: Any) -> Any:
        seen = dataset.prepare(key, batch)
        params = system.init(key, seen)
        return jax.grad(lambda params: system.loss(params, key, seen, jnp.int32(1))[0])(params)

    jax.eval_shape(slope, jax.random.key(0))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "m2" else pytest.mark.slow) for name in EACH_SYSTEM]
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_refused_can_be_computed(name: str) -> None:
    config = changed(changed(load_config(name), "data", dataset="digits", image_size=None), "model", **SMALL)
    odd = []
    for change in CHANGES:
        tried = changed(config, "model", **change)
        if LIKELIHOODS[tried.model.likelihood].of != "bits":
            tried = changed(tried, "data", binarisation="none")
        try:
            traced(validate(tried))
        except ConfigError:
            continue
        except Exception as error:
            odd.append((change, type(error).__name__, str(error)[:200]))
    assert odd == []
