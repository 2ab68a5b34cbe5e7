"""What systems require of a config: each function gives the reason why it cannot be run, or None where it can."""

from vae_jax.config.fields import Experiment
from vae_jax.distributions import DiagNormal, OneHotCategorical, PointMass
from vae_jax.nets.likelihoods import KINDS, LIKELIHOODS, NORMALS
from vae_jax.systems.parts.families import FLOW_POSTERIORS, POSTERIORS, PRIORS, prior_name
from vae_jax.systems.parts.legality import apart, has_closed_kl, objection
from vae_jax.systems.system import Requirement


def same_space(config: Experiment) -> str | None:
    """Posterior and prior live on the same space."""
    return apart(config.model.posterior, prior_name(config.model))


def bits_for_bits(config: Experiment) -> str | None:
    """Data are binarised only for a likelihood of bits."""
    kind, binarisation = LIKELIHOODS[config.model.likelihood].of, config.data.binarisation
    if binarisation == "none" or kind == "bits":
        return None
    return (
        f"--likelihood {config.model.likelihood} is for {KINDS[kind]}, but --binarisation {binarisation} gives "
        "bits: use --binarisation none, or --likelihood bernoulli"
    )


def possible_networks(config: Experiment) -> str | None:
    """The networks have a form for this posterior and prior."""
    model = config.model
    if model.network == "grid" and model.posterior not in ("diagonal", "point", "unit_point"):
        return (
            f"--network grid has a vector at each place, independent of the others: --posterior {model.posterior} has "
            "no such form; use diagonal (or point, for an autoencoder)"
        )
    if model.network == "conv" and POSTERIORS[model.posterior].space == "choices":
        return "--network conv decodes a vector: for choices use --network mlp"
    least = min((model.latent_size, *model.upper_latent_sizes))
    # A grid has as many at each of its places.
    if {"coupling", "spline"} & {model.posterior, model.prior} and least < 2 and model.network != "grid":
        return f"a coupling needs at least 2 dimensions: --latent-size {least} is too small"
    if model.posterior == "sphere" and model.latent_size < 2:
        return "a direction needs at least 2 dimensions: use --latent-size 2 or more"
    return None


def possible_distortion(config: Experiment) -> str | None:
    """-log p(x | z) can be as small as is asked: of a probability it is never negative."""
    most = config.objective.most_distortion
    if most is None or most > 0 or not LIKELIHOODS[config.model.likelihood].is_discrete:
        return None
    return (
        f"--most-distortion must be greater than 0 for --likelihood {config.model.likelihood}, whose p(x | z) is a "
        f"probability, got {most}"
    )


def columns_in_their_place(config: Experiment) -> str | None:
    """Rows with gaps are read by networks that know of gaps."""
    if config.model.likelihood != "columns":
        return None
    if config.model.network != "mlp":
        return f"--likelihood columns is for tables: use --network mlp, not {config.model.network}"
    if config.system in ("m2", "m1m2") or config.codes.corruption != "none":
        return "--likelihood columns is for systems that read x by one encoder, as it is: use --system vae"
    return None


# The requirements of every system.
EVERY_SYSTEM: tuple[Requirement, ...] = (
    *(same_space, bits_for_bits, possible_networks, possible_distortion, columns_in_their_place),
)


def trainable_bound(config: Experiment) -> str | None:
    """The bound has a gradient by this estimator, for this posterior and prior."""
    model, objective = config.model, config.objective
    return objection(model.posterior, prior_name(model), objective.bound, objective.estimator)


def one_layer(config: Experiment) -> str | None:
    """z is one stochastic layer."""
    if config.model.upper_latent_sizes:
        return f"--upper-latent-sizes are for --system vae; {config.system} has one layer of codes"
    return no_path(config)


def one_vector(config: Experiment) -> str | None:
    """z is not cut into places or choices."""
    if POSTERIORS[config.model.posterior].space == "choices":
        return (
            f"a {config.model.posterior} posterior has choices, and {config.system} one vector of an example: use "
            "--posterior diagonal"
        )
    if config.model.network != "grid":
        return None
    return f"--network grid has a vector at each place, and {config.system} one for a whole example: use mlp or conv"


def free_numbers(config: Experiment) -> str | None:
    """The numbers of z may be independent, as those of a direction or of a choice cannot be."""
    posterior = config.model.posterior
    if POSTERIORS[posterior].space == "vectors":
        return None
    return (
        f"--system {config.system} is for codes whose numbers may be independent, and those of a {posterior} "
        "posterior cannot be: use --posterior diagonal"
    )


def no_path(config: Experiment) -> str | None:
    """There are no layers along one path."""
    if not config.model.latent_layers:
        return None
    return f"--latent-layers are for --system vae; {config.system} has layers of its own"


def layers_along_a_path(config: Experiment) -> str | None:
    """Layers along one path are normals with networks of their own."""
    model = config.model
    layers, network = model.latent_layers, model.network
    if not layers:
        return None
    got = f"got {' '.join(map(str, layers))} and {' '.join(map(str, model.hidden)) or 'none'}"
    if network == "conv":
        return "--latent-layers are for --network mlp, whose states are vectors, or grid, whose states are images"
    if model.upper_latent_sizes:
        return "--latent-layers and --upper-latent-sizes are two kinds of several layers: use one of them"
    flows = FLOW_POSTERIORS if network == "mlp" else ()
    if model.posterior not in ("diagonal", *flows) or prior_name(model) != "normal":
        return (
            f"--latent-layers are normals, and the first state is their prior: --posterior {model.posterior} --prior "
            f"{prior_name(model)} have no place there; use diagonal and normal, or with --network mlp a flow for the "
            "highest layer"
        )
    if network == "mlp" and (len(layers) > 1 or len(model.hidden) != 1):
        return f"--latent-layers of --network mlp is one number, and --hidden the width of all states: {got}"
    if network == "grid" and len(layers) != len(model.hidden):
        return (
            "--latent-layers of --network grid says how many stand on each halving of the image, which --hidden has "
            f"the channels of: {got}"
        )
    return None


def layers_of_vectors(config: Experiment) -> str | None:
    """Where there are several stochastic layers, they are vectors, and their KL is a Monte Carlo estimate."""
    model = config.model
    if not model.upper_latent_sizes:
        return None
    if config.objective.estimator == "analytic":
        return "--estimator analytic needs a KL in closed form, which several stochastic layers lack: use total or dreg"
    if POSTERIORS[model.posterior].space != "vectors" or prior_name(model) == "vamp":
        return (
            f"several stochastic layers are vectors with a prior of their own: --posterior {model.posterior} --prior "
            f"{prior_name(model)} cannot be the lowest and the highest of them"
        )
    return None


def differentiable_codes(config: Experiment) -> str | None:
    """Samples of the posterior carry a gradient, since the loss is a function of the drawn code."""
    model = config.model
    if POSTERIORS[model.posterior].kind is not OneHotCategorical:
        return None
    return (
        f"samples of a {model.posterior} posterior carry no gradient, which --system {config.system} needs: use "
        "--posterior concrete, or --system vae --estimator score"
    )


def every_label(config: Experiment) -> str | None:
    """Labels are hidden from systems that learn from few of them alone."""
    if config.labels.labelled is None:
        return None
    return (
        f"--labelled {config.labels.labelled} hides no label from --system {config.system}, which is told those of all "
        "examples that have one: leave it out"
    )


def shares_to_corrupt(config: Experiment) -> str | None:
    """What is added to x, or put in its place, is between 0 and 1, so x is too."""
    corruption = config.codes.corruption
    if corruption not in ("salt_pepper", "gaussian") or not LIKELIHOODS[config.model.likelihood].sees_counts:
        return None
    return (
        f"--corruption {corruption} is for values between 0 and 1, and --likelihood {config.model.likelihood} for "
        "counts: use masking or dropout"
    )


def units_to_corrupt(config: Experiment) -> str | None:
    """What is added to x, or put in its place, is as large as x is."""
    if config.codes.corruption == "none" or not config.data.standardise:
        return None
    return (
        f"--corruption {config.codes.corruption} changes x in its own units, in which the columns of "
        f"{config.data.dataset} have spreads of their own: use --corruption none, or scale them in the file and "
        "use --standardise False"
    )


def closed_kl(config: Experiment) -> str | None:
    """The KL between posterior and prior has a closed form."""
    model = config.model
    if POSTERIORS[model.posterior].kind is not PointMass and has_closed_kl(model.posterior, prior_name(model)):
        return None
    return (
        f"--system {config.system} takes the KL in closed form, and --posterior {model.posterior} --prior "
        f"{prior_name(model)} have none: use --posterior diagonal --prior normal"
    )


def drawn_bound(config: Experiment) -> str | None:
    """The ELBO has a gradient by one draw of z, where q has a density; its KL is in closed form where there is one."""
    model = config.model
    if POSTERIORS[model.posterior].kind is PointMass:
        return None
    estimator = "analytic" if has_closed_kl(model.posterior, prior_name(model)) else "sampled"
    return objection(model.posterior, prior_name(model), "elbo", estimator)


def normal_prior(config: Experiment) -> str | None:
    """p(z) is a normal with a diagonal covariance."""
    name = prior_name(config.model)
    if PRIORS[name].kind is DiagNormal:
        return None
    return f"--system {config.system} is for a prior that factorises: use --prior normal or scaled, not {name}"


def factorised_normal(config: Experiment) -> str | None:
    """q(z | x) is a normal with a diagonal covariance."""
    if config.model.posterior in ("diagonal", "isotropic"):
        return None
    return (
        f"--system {config.system} is for normals that factorise: use --posterior diagonal, not "
        f"{config.model.posterior}"
    )


def two_in_a_batch(config: Experiment) -> str | None:
    """A batch has two examples or more, since the loss compares codes."""
    if config.train.batch_size > 1:
        return None
    return f"--system {config.system} compares the codes of a batch: use --batch-size 2 or more"


def gradient_scale(config: Experiment) -> str | None:
    """The scale of a normal likelihood is not set to its optimum: for this loss `to_optimum` does not hold."""
    if config.model.likelihood not in NORMALS or config.model.likelihood_scale != "optimal":
        return None
    return f"--likelihood-scale optimal is for --system vae or m1m2: with {config.system} use --likelihood-scale shared"


def optimal_scale_alone(config: Experiment) -> str | None:
    """The scale of a normal likelihood is set to its optimum only where the likelihood has the weight 1."""
    optimal = config.model.likelihood in NORMALS and config.model.likelihood_scale == "optimal"
    if not optimal or config.objective.most_distortion is None:
        return None
    return (
        "--likelihood-scale optimal finds the best σ for the likelihood itself, which --most-distortion weighs: use "
        "--likelihood-scale fixed"
    )
