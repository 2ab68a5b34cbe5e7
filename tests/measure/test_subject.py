"""What a subject answers, for one model of each kind."""

import dataclasses
from pathlib import Path

import pytest

import vae_jax as vj
from tests.runs import changed, experiment
from vae_jax.config import Experiment, Labels, Quantisation, Stages, quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import RequestError
from vae_jax.measure.subject import Subject, subject_of
from vae_jax.train.run import prepare_run

BASE = experiment(epochs=1)
VQ = dataclasses.replace(
    changed(BASE, "model", network="grid", hidden=(4,)),
    system="vq",
    quantisation=Quantisation(codebook_size=4, code_prior_layers=1, code_prior_width=2),
    stages=Stages(second_stage_at=0.5),
)
LAYERS = changed(
    changed(BASE, "model", upper_latent_sizes=(2,), upper_hidden=(4,)), "objective", estimator="total", bound="iwae"
)
STRINGS = changed(changed(quick(load_config("equations")), "model", hidden=(8, 8)), "strings", recurrent_size=8)

# A config, and what is true of it; what is not named is false.
KINDS: dict[str, tuple[Experiment, str, set[str]]] = {
    "vae": (
        BASE,
        "vector",
        {"has_density", "is_discrete", "has_mean", "has_real_mean", "has_stddev", "has_family", "factorises"}
        | {"has_normal_prior", "has_fitted_prior", "decodes_to_mean", "has_images"},
    ),
    "full": (
        changed(BASE, "model", posterior="full"),
        "vector",
        {"has_density", "is_discrete", "has_mean", "has_real_mean", "has_stddev", "has_family"}
        | {"has_normal_prior", "has_fitted_prior", "decodes_to_mean", "has_images"},
    ),
    "point": (
        dataclasses.replace(changed(BASE, "model", posterior="point"), system="autoencoder"),
        "vector",
        {"is_discrete", "has_mean", "has_real_mean", "decodes_to_mean", "has_images"},
    ),
    "layers": (
        LAYERS,
        "layers",
        {"has_density", "is_discrete", "has_fitted_prior", "decodes_to_mean", "has_images"},
    ),
    "indices": (
        VQ,
        "indices",
        {"has_density", "is_discrete", "is_certain", "has_mean", "decodes_to_mean", "has_images"},
    ),
    "choices": (
        changed(BASE, "model", posterior="concrete", classes=4),
        "choices",
        {"has_density", "is_discrete", "has_mean", "has_real_mean", "has_fitted_prior", "decodes_to_mean"}
        | {"has_images"},
    ),
    "conditional": (
        dataclasses.replace(BASE, system="conditional"),
        "vector",
        {"has_density", "is_discrete", "is_conditional", "has_stddev", "has_family", "factorises"}
        | {"has_normal_prior", "has_fitted_prior", "decodes_to_mean", "has_images"},
    ),
    "a class and a style": (
        dataclasses.replace(BASE, system="m2", labels=Labels(labelled=20, label_batch=10)),
        "layers",
        {"has_density", "is_discrete", "has_fitted_prior", "decodes_to_mean", "has_images"},
    ),
    "strings": (
        STRINGS,
        "vector",
        {"has_density", "is_discrete", "has_mean", "has_real_mean", "has_stddev", "has_family", "factorises"}
        | {"has_normal_prior", "has_fitted_prior"},
    ),
}
ANSWERS = (
    *("is_conditional", "is_discrete", "is_certain", "has_codes", "has_density", "has_mean", "has_real_mean"),
    *("has_stddev", "has_family", "factorises", "has_normal_prior", "has_fitted_prior", "decodes_to_mean"),
    "has_images",
)


def untrained(config: Experiment, folder: Path) -> Subject:
    run = prepare_run(config, folder)
    return subject_of(run, run.initial())


@pytest.mark.parametrize("kind", KINDS)
def test_a_subject_answers(kind: str, tmp_path: Path) -> None:
    config, code, true = KINDS[kind]
    subject = untrained(config, tmp_path)
    assert subject.code == code
    assert {name for name in ANSWERS if getattr(subject, name)} == true | {"has_codes"}
    assert (subject.grammar is not None) == (kind == "strings")


def test_a_system_without_codes_is_a_subject_too(tmp_path: Path) -> None:
    subject = untrained(BASE, tmp_path)
    system = subject.run.system._replace(vae=None)
    nothing = dataclasses.replace(subject, run=dataclasses.replace(subject.run, system=system))
    asked = ("has_codes", "has_density", "has_mean", "is_certain", "has_fitted_prior", "has_normal_prior")
    assert not any(getattr(nothing, name) for name in asked)
    with pytest.raises(RequestError, match="is no run on strings"):
        _ = nothing.language


def test_what_version_0_1_0_measured_is_known_again(tmp_path: Path) -> None:
    """The fingerprint of a run does not depend on how it is measured."""
    subject = untrained(BASE, tmp_path)
    other = changed(changed(BASE, "evaluate", evaluation_samples=7), "evaluate", measurements=("mine.py",))
    measured = dataclasses.replace(subject, run=dataclasses.replace(subject.run, config=other))
    assert measured.fingerprint == subject.fingerprint
    another = dataclasses.replace(subject.run, config=changed(BASE, "train", seed=1))
    assert dataclasses.replace(subject, run=another).fingerprint != subject.fingerprint


def test_a_model_without_density_says_so(digits) -> None:
    run, state = digits
    with pytest.raises(RequestError, match="has no codes"):
        _ = subject_of(dataclasses.replace(run, system=run.system._replace(vae=None)), state).density
    coder = vj.Autoencoder(run.system.vae.encode, run.system.vae.decode)
    without_prior = subject_of(dataclasses.replace(run, system=run.system._replace(vae=coder)), state)
    assert without_prior.coder is coder
    with pytest.raises(RequestError, match="has no prior, so there is no log p"):
        _ = without_prior.density
    with pytest.raises(RequestError, match="has no prior, so there is no log p"):
        without_prior.check_fitted_prior()
