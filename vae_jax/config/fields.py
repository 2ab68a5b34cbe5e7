"""Experiments as frozen dataclasses: one file of `configs/` each, changed field by field on the command line.

A config is data. `vae_jax.config.rules` checks it where it is loaded, not when it is made, so that inside a sweep its
numbers may be tracers.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from vae_jax.config.compute import Compute
from vae_jax.config.ranges import InnerShare, NotNegative, Positive, Several, Share, ShareBelowOne

Binarisation = Literal["dynamic", "static", "none"]
# What a likelihood is for: 0 and 1; counts 0..levels; counts without a largest; values between 0 and 1; real numbers;
# columns of a table, each of its own kind.
Kind = Literal["bits", "counts", "unbounded", "intensities", "reals", "columns"]


@dataclass(frozen=True)
class Data:
    """Which examples, and how they are shown to the model."""

    dataset: str
    """digits, curve, cancer, sprites, colour_sprites, frey_faces, equations, zinc, images of TFDS, hf:NAME, or a path:
    a folder of images, arrays (.npz, .npy), a table (.csv, .parquet), strings (.txt, .smi, which may end in .gz)."""
    data_dir: str | None = None
    """Folder of prepared TFDS datasets (array_record), or of frey_faces.npz, equation2_15.txt.gz, zinc250k.smi.gz."""
    binarisation: Binarisation = "dynamic"
    """dynamic: bits are drawn afresh at every step; static: they are drawn once; none."""
    validation_size: NotNegative[int | None] = None
    """Examples cut off for validation; by default a tenth."""
    data_seed: NotNegative[int] = 0
    """Fixes the splits, the static binarisation and the bits of validation and test."""
    levels: Positive[int | None] = None
    """Largest count that there can be in your own file; by default 255, 1 where all are 0 or 1, and for a likelihood of
    counts without a largest that of the file. Between 2 and 127 it must be said."""
    image_size: Positive[int | None] = None
    """Images are scaled to a square of this many pixels a side; by default they stay as they are."""
    image_crop: Positive[int | None] = None
    """Before that, a square of this many pixels a side is cut from their middle; by default the largest."""
    image_colour: Literal["grey", "colour"] | None = None
    """Images of a folder become grey, or of three colours; by default they have colours where one of them has."""
    mirror: bool = False
    """In training every second image has left and right exchanged."""
    shift: NotNegative[int] = 0
    """In training images are moved by up to this many pixels each way; their edge is repeated."""
    label: str | None = None
    """Which of several labels: an attribute, as Smiling of celeb_a, or a column of a table."""
    columns: tuple[str, ...] = ()
    """Columns of a table that are not what they look like: age=counts sex=categories id=skip; or reals, bits."""
    standardise: bool | None = None
    """Networks see each real number less its mean, divided by its standard deviation; by default those of your own
    tables. log p(x) stays that of the data in their own units."""
    stand_in: bool = False
    """Put a small embedded dataset in the place of this one (what --quick does)."""


@dataclass(frozen=True)
class Model:
    """Networks, posterior, prior and likelihood."""

    network: Literal["mlp", "conv", "grid"] = "mlp"
    """mlp is fully connected; conv is convolutional; grid is convolutional, with a code at each place of a grid."""
    hidden: Positive[tuple[int, ...]] = (500,)
    """Hidden sizes of the mlp, or channels of the convolutions, each of which halves the sides."""
    activation: Literal["tanh", "relu", "silu", "gelu", "softplus"] = "tanh"
    """Activation of the hidden layers."""
    latent_size: Positive[int] = 20
    """Dimension of z; for grid, at each place."""
    upper_latent_sizes: Positive[tuple[int, ...]] = ()
    """Dimensions of further stochastic layers above z, from the lowest up; by default z is the only one."""
    upper_hidden: Positive[tuple[int, ...]] = (100, 100)
    """Hidden sizes of the networks between two stochastic layers."""
    latent_layers: Positive[tuple[int, ...]] = ()
    """Layers of z along one path from the top down: for mlp how many, for grid how many after each halving."""
    posterior: Literal[
        "diagonal",
        "isotropic",
        "full",
        "planar",
        "radial",
        "iaf",
        "coupling",
        "spline",
        "sphere",
        "concrete",
        "straight_through",
        "categorical",
        "point",
        "unit_point",
    ] = "diagonal"
    """q(z | x): a normal, a flow on a diagonal one, von Mises-Fisher, choices, or a function of x without a density."""
    prior: Literal[
        "default",
        "normal",
        "scaled",
        "mixture",
        "vamp",
        "autoregressive",
        "coupling",
        "spline",
        "uniform_sphere",
        "uniform_choices",
        "relaxed_choices",
    ] = "default"
    """p(z); by default the standard normal, or uniform on the sphere or over choices, as the posterior needs."""
    prior_components: Positive[int] = 500
    """Components of a mixture, or pseudo-inputs of vamp."""
    prior_temperature: Positive[float] = 0.5
    """Temperature of relaxed_choices."""
    flow_layers: Positive[int] = 4
    """Layers of a flow, in the posterior or the prior."""
    flow_hidden: Positive[tuple[int, ...]] = (64,)
    """Hidden sizes of the networks inside a flow."""
    classes: Positive[int] = 10
    """Choices of each of latent_size variables, for a posterior over choices."""
    temperature: Positive[float] = 0.67
    """Temperature of relaxed samples."""
    likelihood: Literal[
        "bernoulli",
        "normal",
        "bounded_normal",
        "student_t",
        "continuous_bernoulli",
        "binomial",
        "categorical",
        "logistic",
        "logistic_mixture",
        "poisson",
        "negative_binomial",
        "columns",
    ] = "bernoulli"
    """p(x | z): of bits, of real numbers, of intensities 0..1, of counts, or of a table's columns, each of its kind."""
    autoregressive_layers: NotNegative[int] = 0
    """Layers of masked convolutions in the decoder, which show each pixel those before it; by default none."""
    autoregressive_reach: Positive[int] = 1
    """Rows and columns that the first of them sees; above 1 the others see one pixel, which costs less."""
    autoregressive_context: NotNegative[int] = 0
    """Numbers that z says to them of each element of x, beside those of the likelihood."""
    likelihood_scale: Literal["fixed", "shared", "optimal", "predicted"] = "shared"
    """Standard deviation of a normal likelihood: fixed, one learned number, its optimum, or predicted."""
    initial_scale: Positive[float | None] = None
    """The fixed standard deviation, or where the learned one starts; by default 0.1, or that of the data where they are
    standardised."""


@dataclass(frozen=True)
class Objective:
    """What is maximised, and by which gradient."""

    bound: Literal["elbo", "iwae", "renyi"] = "elbo"
    """The bound on log p(x)."""
    estimator: Literal["total", "stl", "dreg", "score", "analytic", "sampled"] = "analytic"
    """The gradient estimator; analytic is the ELBO with the KL in closed form, sampled the ELBO with a drawn KL."""
    num_samples: Positive[int] = 1
    """Samples of z per example (L, or k)."""
    grow_to: Positive[tuple[int, ...]] = ()
    """Later values of num_samples: cheap gradients first, a tight bound at the end."""
    grow_at: InnerShare[tuple[float, ...]] = ()
    """Where each of grow_to begins, as a fraction of the run."""
    alpha: float = 0.5
    """Order of the Rényi bound."""
    beta: NotNegative[float] = 1.0
    """Weight of the KL; this and all that follow need the KL by itself: the estimator analytic or sampled."""
    beta_warmup: Share[float] = 0.0
    """Share of the run, or of each cycle, in which the weight of the KL (or the capacity) rises from 0. Of m1m2, of
    its first stage."""
    beta_cycles: Positive[int] = 1
    """How often the weight rises again from 0."""
    free_bits: NotNegative[float] = 0.0
    """The KL of a dimension, on the mean of the batch, is not pressed below this many nats; that of a layer, or of the
    whole code, where it is no sum over dimensions."""
    capacity: NotNegative[float | None] = None
    """Hold the KL at this many nats, with the weight beta."""
    most_distortion: float | None = None
    """Find the weight (GECO): the least KL whose -log p(x | z) is at most so many nats, negative for a density."""


@dataclass(frozen=True)
class Codes:
    """What a system asks of the codes, instead of a KL or beside it."""

    penalty: Literal["none", "l1", "kl_sparsity", "contractive"] = "none"
    """Penalty of --system autoencoder."""
    penalty_weight: NotNegative[float] = 0.0
    """Weight of the penalty."""
    sparsity: InnerShare[float] = 0.1
    """Share of the examples for which kl_sparsity wants a unit to be on."""
    corruption: Literal["none", "gaussian", "masking", "dropout", "salt_pepper"] = "none"
    """How an input is spoilt in training: noise is added, or elements become 0 (dropout enlarges the others), or 0 or
    1."""
    corruption_level: Positive[float] = 0.3
    """Standard deviation of the noise, or share of the elements."""
    corruption_shift: NotNegative[int] = 0
    """An image is moved by up to this many pixels, each way, before it is spoilt."""
    divergence: Literal["mmd_imq", "mmd_rbf"] = "mmd_imq"
    """Divergence between q(z) and p(z) of --system info."""
    info_alpha: float = 0.0
    """α of InfoVAE: the KL has the weight 1 - α; 1 is MMD-VAE, and with --posterior point WAE-MMD."""
    info_lambda: float = 1.0
    """λ of InfoVAE: the divergence has the weight α + λ - 1."""
    critic_hidden: Positive[tuple[int, ...]] = (200, 200)
    """Hidden sizes of the critic of --system adversarial and factor, or of the classifier of discriminative."""
    critic_rate: Positive[float] = 1e-3
    """Learning rate of the critic or classifier, by Adam."""
    critic_weight: NotNegative[float] = 1.0
    """For --system adversarial, weight of misleading the critic; for factor, weight γ of the total correlation; for
    discriminative, weight of what its hidden layers make of x."""
    minibatch: Literal["weighted", "stratified"] = "weighted"
    """How --system tc estimates q(z) from a batch."""
    index_weight: NotNegative[float] = 1.0
    """α of --system tc: weight of the information between an example and its code; β is --beta."""
    dimension_weight: NotNegative[float] = 1.0
    """γ of --system tc: weight of the KL of each dimension."""
    covariance_of: Literal["means", "codes"] = "means"
    """Whose covariance --system dip makes the identity: means of q(z | x) (DIP-VAE-I), or codes (II)."""
    off_diagonal_weight: NotNegative[float] = 10.0
    """Weight of the squared covariances of --system dip."""
    diagonal_weight: NotNegative[float] = 100.0
    """Weight of the squared differences between the variances and 1, of --system dip."""


@dataclass(frozen=True)
class Labels:
    """How labels are used by the systems that learn from them."""

    labelled: Positive[int | None] = None
    """Training examples whose label is seen, as many of each class; by default all. m2 and m1m2 need a number."""
    label_seed: NotNegative[int] = 0
    """Which examples these are."""
    label_batch: Positive[int] = 100
    """Labelled examples per step, drawn from those."""
    label_weight: NotNegative[float] = 1.0
    """Weight of the labelled bound beside the unlabelled one."""
    classifier_weight: NotNegative[float] = 1.0
    """Weight of -log q(y | x) on labelled examples."""
    classifier_channels: Positive[tuple[int, ...]] = ()
    """Channels of a convolutional q(y | x) of M2, one halving each; by default it is like the encoder."""
    label_gradient: Literal["marginalised", "concrete"] = "marginalised"
    """The label of an unlabelled example is summed over all classes, or drawn relaxed (Gumbel-Softmax)."""


@dataclass(frozen=True)
class Quantisation:
    """How --system vq makes codes of vectors, and the prior that it fits to them."""

    codebook: Literal["running", "gradient", "finite_scalar"] = "running"
    """Codes are running means of their vectors, follow a gradient, or are numbers rounded to scalar_levels."""
    codebook_size: Several[int] = 512
    """Codes of each grid."""
    scalar_levels: Several[tuple[int, ...]] = (8, 8, 8)
    """How many values each number of a code has, for finite_scalar."""
    codebook_decay: ShareBelowOne[float] = 0.99
    """Share of the running means, of codes and of their use, that stays at each step."""
    least_use: ShareBelowOne[float] = 0.03
    """A code used less than this share of the mean use begins anew, at a vector of the batch."""
    commitment: NotNegative[float] = 0.25
    """Weight of the squared distance between vectors and their codes, beside nats."""
    grids: Positive[int] = 1
    """Grids of codes, each of half the sides of that below; two are VQ-VAE-2."""
    code_prior_layers: Positive[int] = 6
    """Layers of masked convolutions of the prior over codes."""
    code_prior_width: Positive[int] = 64
    """Their channels."""


@dataclass(frozen=True)
class Stages:
    """For systems that are trained in two stages, one after the other."""

    second_stage_at: InnerShare[float | None] = None
    """Share of the run after which the first part stands still, and the second is fitted to it."""
    second_stage_rate: Positive[float] = 1e-3
    """Peak learning rate of the second stage."""


@dataclass(frozen=True)
class Strings:
    """How --system strings reads and writes strings."""

    grammar: str = "equations"
    """equations, smiles (OpenSMILES), smiles_zinc (what of it the molecules of ZINC need), characters (any string over
    those of the data), or the path of a .lark file."""
    max_rules: Positive[int | None] = None
    """Rules of the longest derivation; by default that of the data."""
    skip_strings: bool = False
    """Leave out strings that are outside the language or too long; otherwise they are an error."""
    valid_as: Literal["equations", "molecules"] | None = None
    """What a decoded string should be; by default one of the grammar."""
    recurrent_size: Positive[int] = 256
    """Units of the recurrent decoder."""
    rule_embedding: NotNegative[int] = 64
    """Numbers that tell the decoder which rule it wrote last; with 0 it is not told."""
    published_scaling: bool = False
    """The loss of Kusner et al.: noise of 0.01 and the mean of the KL over dimensions, which is not a bound."""


@dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes a step."""

    optimizer: Literal["adam", "adamw", "adamax", "rmsprop", "adagrad", "sgd", "muon"] = "adam"
    """Rule, by its name in optax."""
    learning_rate: Positive[float] = 1e-3
    """Peak learning rate."""
    schedule: Literal["constant", "cosine", "linear", "exponential", "ladder"] = "constant"
    """Shape of the learning rate over the run; ladder is that of Burda et al., 8 stairs from 1 down to 1/10."""
    final_fraction: NotNegative[float] = 0.01
    """Where cosine, linear and exponential end, as a fraction of the peak."""
    warmup_steps: NotNegative[int] = 0
    """Steps of a linear rise to the peak."""
    clip_norm: Positive[float | None] = None
    """Largest global norm of the gradient."""
    skip_norm: Positive[float | None] = None
    """A step whose gradient has a larger global norm than this is left out."""
    spectral_weight: Positive[float | None] = None
    """Weight of a term that presses down the largest singular value of each kernel; by default none."""
    weight_decay: NotNegative[float] = 0.0
    """Decoupled weight decay (adamw and muon)."""
    adam_epsilon: Positive[float] = 1e-8
    """ε of adam, adamw, adamax and of muon's Adam."""


@dataclass(frozen=True)
class Train:
    """How long, and with what safety nets."""

    epochs: Positive[int] = 100
    """Passes over the training split."""
    batch_size: Positive[int] = 128
    """Examples per step."""
    average_decay: ShareBelowOne[float | None] = None
    """Measure a running mean of the parameters over about 1 / (1 - decay) steps; by default the last ones."""
    patience: Positive[int | None] = None
    """Stop after this many epochs without a better validation loss; by default never."""
    seed: NotNegative[int] = 0
    """Seed of the parameters, the order of the data and the noise."""
    start_from: str | None = None
    """A trained run of the same architecture, whose parameters this one begins with; by default new ones."""
    snapshots: Positive[tuple[int, ...]] = ()
    """Epochs after which the parameters are kept, to be measured later: vae-jax evaluate RUN --epoch N."""
    save_seconds: NotNegative[float] = 30.0
    """Least time between checkpoints; one is always written at the end."""
    chunk_seconds: Positive[float] = 1.5
    """About how long the compiled program runs between looks at clock, signals and display."""
    on_nonfinite: Literal["halt", "skip"] = "halt"
    """When the loss or a gradient of a step is not finite: end there, or leave the step out, most_skips times."""
    most_skips: Positive[int] = 20
    """Steps that skip may leave out in a whole run."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Where metrics and pictures are written beside the run's own files; each needs its extra."""


@dataclass(frozen=True)
class Evaluate:
    """How the trained model is measured."""

    evaluation_samples: Positive[int] = 1000
    """k of the importance-weighted log p(x), to begin with; after training it grows where that is not enough."""
    evaluation_size: Several[int | None] = None
    """Test examples to measure on; by default all."""
    gap_examples: NotNegative[int] = 100
    """Test examples of the inference gaps, which take a thousand gradient steps each; 0 leaves the gaps out."""
    measurements: tuple[str, ...] = ()
    """Your own measurements: paths of Python files, each with a MEASUREMENT."""


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run."""

    description: str
    """One line on what it is."""
    data: Data
    model: Model = field(default_factory=Model)
    objective: Objective = field(default_factory=Objective)
    codes: Codes = field(default_factory=Codes)
    labels: Labels = field(default_factory=Labels)
    quantisation: Quantisation = field(default_factory=Quantisation)
    stages: Stages = field(default_factory=Stages)
    strings: Strings = field(default_factory=Strings)
    optimizer: Optimizer = field(default_factory=Optimizer)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)
    compute: Compute = field(default_factory=Compute)
    system: str = "vae"
    """A published model (a file of vae_jax/systems), or the path of your own my_system.py."""


def sections(config: Experiment) -> dict[str, Any]:
    """The parts of an experiment by name: `data`, `model`, …"""
    parts = {part.name: getattr(config, part.name) for part in dataclasses.fields(Experiment)}
    return {name: part for name, part in parts.items() if dataclasses.is_dataclass(part)}
