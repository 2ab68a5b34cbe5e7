"""What systems require of a config: a reason with a way out where it is not met, and None where it is."""

import dataclasses
from typing import Any

import pytest

from tests.runs import changed
from vae_jax.config import Data, Experiment
from vae_jax.systems.parts import requirements
from vae_jax.systems.system import Requirement

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
    *(
        (requirements.layers_along_a_path, changed(PATH, "model", **fields), reason)
        for fields, reason in (
            ({"network": "conv"}, "are for --network mlp, whose states are vectors, or grid"),
            ({"upper_latent_sizes": (2,)}, "two kinds of several layers"),
            ({"posterior": "iaf"}, "--posterior iaf --prior normal have no place there"),
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
        (requirements.layers_of_vectors, changed(LAYERS, "objective", estimator="total")),
        (requirements.differentiable_codes, with_model(posterior="concrete")),
        (requirements.factorised_normal, with_model(posterior="isotropic")),
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
        for value in vars(requirements).values()
        if getattr(value, "__module__", "") == requirements.__name__ and callable(value)
    }
    assert tried == own
