import dataclasses
import math
import re

import pytest

from vae_jax.config import Data, Experiment, Model, Objective, Optimizer, Stages
from vae_jax.core.errors import ConfigError
from vae_jax.systems.registry import validate, validate_new

replace = dataclasses.replace
BASE = Experiment("a test", Data("digits"))


def changed(section: str, **fields) -> Experiment:
    return replace(BASE, **{section: replace(getattr(BASE, section), **fields)})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed("model", latent_size=2.5), "--latent-size must be a whole number below 2**31, got 2.5"),
        (changed("model", latent_size=True), "--latent-size must be a whole number below 2**31, got True"),
        (changed("data", data_seed=10**30), "--data-seed must be a whole number below 2**31, got 1000"),
        (changed("objective", beta=10**30), "--beta must be a number (a large one with a point: 1e30), got 1000"),
        (changed("model", hidden=[64]), "--hidden must be a tuple, each item a whole number below 2**31, got [64]"),
        (changed("model", network=3), "--network must be one of mlp, conv, grid, got 3"),
        (changed("data", data_dir=3), "--data-dir must be a string or None, got 3"),
        (changed("data", stand_in=1), "--stand-in must be True or False, got 1"),
        (replace(BASE, train=None), "train must be a config.Train, got None"),
        (replace(BASE, system=3), "--system must be a string, got 3"),
        (changed("model", latent_size=0), "--latent-size must be greater than 0, got 0"),
        (changed("model", hidden=(100, -1)), "--hidden must be greater than 0, got -1"),
        (changed("objective", num_samples=0), "--num-samples must be greater than 0, got 0"),
        (changed("objective", beta=-1.0), "--beta must be at least 0, got -1.0"),
        (changed("objective", beta=float("nan")), "--beta must be at least 0, got nan"),
        (changed("optimizer", learning_rate=0.0), "--learning-rate must be greater than 0"),
        (changed("train", epochs=0), "--epochs must be greater than 0"),
        (changed("train", most_skips=3), "--most-skips 3 has no effect without --on-nonfinite skip"),
        (changed("objective", bound="iwae"), "has no iwae bound: use --estimator total or dreg"),
        (changed("objective", estimator="dreg", beta=2.0), "--beta 2.0 needs the KL by itself"),
        (changed("objective", bound="iwae", estimator="dreg", beta=2.0), "use --bound elbo --estimator analytic"),
        (changed("objective", estimator="dreg", free_bits=0.1), "--free-bits 0.1 needs the KL by itself"),
        (changed("objective", free_bits=0.1, capacity=3.0), "--free-bits and --capacity exclude each other"),
        (changed("objective", beta=2.0, most_distortion=3.0), "--beta has no effect with --most-distortion"),
        (changed("objective", beta_warmup=0.2, most_distortion=3.0), "--beta-warmup has no effect with --most-dist"),
        (changed("objective", beta_warmup=1.5), "--beta-warmup must be between 0 and 1, got 1.5"),
        (changed("objective", beta_cycles=3), "--beta-cycles 3 needs a rise in each"),
        (
            changed("model", posterior="iaf"),
            "the posterior iaf and the prior normal has no closed form: use --estimator samp",
        ),
        (changed("model", upper_latent_sizes=(2,)), "closed form, which several stochastic layers lack"),
        (changed("model", posterior="sphere", latent_size=1), "a direction needs at least 2 dimensions"),
        (changed("model", network="conv", posterior="concrete"), "--network conv decodes a vector"),
        (changed("objective", estimator="score"), "use --num-samples 2 or more"),
        (changed("objective", estimator="score", bound="iwae"), "use --num-samples 2 or more"),
        (changed("model", hidden=(), network="conv"), "--hidden needs at least one layer"),
        (changed("model", posterior="point"), "a point has no density, so no bound: use --system autoencoder"),
        (changed("codes", penalty="l1"), "--penalty l1 has no effect with --system vae: it is for --system autoenc"),
        (changed("labels", label_batch=5), "--label-batch 5 has no effect with --system vae"),
        (
            replace(changed("codes", sparsity=1.5), system="autoencoder"),
            "--sparsity must be above 0 and below 1, got 1.5",
        ),
        (changed("codes", critic_weight=-1.0), "--critic-weight must be at least 0, got -1.0"),
        (changed("objective", beta=math.nan), "--beta must be at least 0, got nan"),
        (changed("evaluate", evaluation_size=1), "--evaluation-size must be at least 2"),
        (changed("optimizer", schedule="exponential", final_fraction=0.0), "exponential never reaches 0"),
        (
            replace(changed("model", posterior="sphere", prior="normal"), system="info"),
            "the posterior sphere lives on sphere and the prior normal on vectors: use --prior uniform_sphere",
        ),
        (
            replace(changed("model", posterior="categorical"), system="info"),
            "samples of a categorical posterior carry no gradient, which --system info needs: use --posterior concrete",
        ),
        (
            replace(changed("stages", second_stage_at=0.5), system="vq", train=replace(BASE.train, patience=3)),
            "--patience 3 might stop before the second stage begins, at 50% of the epochs: use --patience None",
        ),
        (
            replace(
                changed("model", likelihood="normal", likelihood_scale="optimal"),
                system="info",
                data=replace(BASE.data, binarisation="none"),
            ),
            "--likelihood-scale optimal is for --system vae or m1m2: with info use --likelihood-scale shared",
        ),
        (changed("model", likelihood="normal"), "gives bits: use --binarisation none, or --likelihood bernoulli"),
    ],
)
def test_what_cannot_be_run_is_refused_by_field(config: Experiment, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            replace(
                changed("model", likelihood="columns", prior="vamp"),
                data=Data("t.csv", binarisation="none"),
                objective=Objective(estimator="sampled"),
            ),
            "--prior vamp learns rows, but of a choice or a count in them it learns nothing: use --prior mixture",
        ),
        (changed("data", columns=("id=skip",)), "--columns id=skip has no effect without --likelihood columns"),
        (changed("objective", alpha=0.2), "--alpha 0.2 has no effect without --bound renyi"),
        (changed("objective", capacity=3.0), "--capacity 3 holds the KL with the weight --beta, and with 1"),
        (
            changed("model", likelihood_scale="fixed"),
            "--likelihood-scale fixed has no effect without --likelihood normal or bounded_normal",
        ),
        *(
            (
                replace(changed("model", posterior=posterior), system=system, stages=stages),
                f"--system {system} is for codes whose numbers may be independent, and those of a {posterior}",
            )
            for system, posterior, stages in (
                ("factor", "concrete", Stages()),
                ("factor", "sphere", Stages()),
                ("m1m2", "sphere", Stages(second_stage_at=0.5)),
            )
        ),
        (
            replace(
                changed("codes", penalty="contractive", penalty_weight=1.0),
                system="autoencoder",
                model=Model(posterior="point", likelihood="columns"),
                data=Data("t.csv", binarisation="none"),
            ),
            "--penalty contractive is a slope by x, and choices and counts in columns have none",
        ),
        (changed("model", autoregressive_reach=3), "--autoregressive-reach 3 has no effect without --autoregressive-l"),
        (changed("model", autoregressive_context=3), "--autoregressive-context 3 has no effect without --autoregres"),
        (
            replace(
                changed("quantisation", scalar_levels=(5, 5)),
                system="vq",
                model=Model(network="grid", hidden=(4,)),
                stages=Stages(second_stage_at=0.5),
            ),
            "--scalar-levels 5 5 has no effect without --codebook finite",
        ),
        (
            replace(changed("objective", most_distortion=3.0), optimizer=Optimizer(skip_norm=50.0)),
            "the multiplier of --most-distortion goes on: use --skip-norm None --clip-norm 50",
        ),
        (
            replace(changed("labels", labelled=20), system="discriminative"),
            "--labelled 20 hides no label from --system discriminative",
        ),
        (
            replace(changed("model", prior="mixture"), system="adversarial"),
            "so mixture would stay as it starts: use --prior default",
        ),
        (
            replace(
                changed("codes", corruption="gaussian"),
                system="autoencoder",
                data=Data("t.csv", binarisation="none", standardise=True),
                model=Model(posterior="point", likelihood="normal"),
            ),
            "--corruption gaussian changes x in its own units, in which the columns of t.csv have spreads",
        ),
    ],
)
def test_what_hardly_is_meant_is_refused_of_a_new_run_and_not_of_one_that_is_there(config, message: str) -> None:
    assert validate(config) == config
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate_new(config)
