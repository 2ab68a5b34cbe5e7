"""VQ-VAE: the encoder picks codes from a codebook, on one grid or several, and a prior over them is fitted afterwards.

    z = argmin_k ‖e(x) − c_k‖ at each place,    log p(x, z) = log p(x | c_z) + log p(z) ≤ log p(x)

Neural Discrete Representation Learning, arXiv 1711.00937; Generating Diverse High-Fidelity Images with VQ-VAE-2, arXiv
1906.00446 (`grids` of 2); Finite Scalar Quantization, arXiv 2309.15505. The first stage trains networks and codes under
a uniform prior; then these stand still, and the second trains an autoregressive prior. q(z | x) is certain of its
codes, so minus the bound is the whole cost of x: that of its codes under the prior, and that of x given them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.examples import over_examples
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import Certain
from vae_jax.distributions.hierarchy import top_down
from vae_jax.models.vae import VAE
from vae_jax.nets.code_prior import CodePrior
from vae_jax.nets.conv import Double
from vae_jax.nets.grid import GridDecoder, GridOutput, GridTrunk, grid_sides
from vae_jax.objectives.quantise import Quantised, cluster_sums, perplexity
from vae_jax.systems.parts.networks import ACTIVATIONS, check_data, elements_of, likelihood_head, reader
from vae_jax.systems.parts.quantisers import SET, Quantiser, quantiser_of, set_exactly
from vae_jax.systems.parts.requirements import gradient_scale, one_layer
from vae_jax.systems.parts.stages import second_stage_start, staged, staged_rules
from vae_jax.systems.system import Batch, Loss, Metrics, Spec, System

# The codes of one grid, an array `[h, w]`, or of several, a tuple of such arrays, the lowest first.
Codes = Any


class Grid(NamedTuple):
    """One grid of codes. `trunk` maps x, or the features of the grid below, to features. `to_vectors` maps these, with
    the vectors from above, to a vector at each place. `up` maps vectors of this grid to the places of the one below."""

    trunk: nn.Module
    to_vectors: nn.Module
    up: nn.Module
    sides: tuple[int, int]
    prior: CodePrior


class Quantising(NamedTuple):
    """The pure functions of a model of quantised codes.

    `quantised(params, x)`: for each grid, the vectors of the encoder `[h, w, d]` and the codes they were rounded to.
    `decode(params, vectors)` is p(x | z), of the vectors of every grid. `prior(params)` is p(z).
    """

    quantised: Callable[[Params, Any], list[tuple[Array, Quantised]]]
    decode: Callable[[Params, Sequence[Array]], Any]
    prior: Callable[[Params], Any]
    quantiser: Quantiser
    grids: Sequence[Grid]
    decoder: nn.Module


def _name(part: str, i: int) -> str:
    return f"{part}{i + 1 if i else ''}"


def _codes(grids: Sequence[tuple[Array, Quantised]]) -> Codes:
    numbers = [quantised.number for _, quantised in grids]
    return tuple(numbers) if len(numbers) > 1 else numbers[0]


def quantising(grids: Sequence[Grid], decoder: nn.Module, quantiser: Quantiser) -> Quantising:
    """The functions of the model with these networks, the lowest grid first."""

    def quantised(params: Params, x: Any) -> list[tuple[Array, Quantised]]:
        features = []
        for i, grid in enumerate(grids):
            x = grid.trunk.apply({"params": params[_name("trunk", i)]}, x)
            features.append(x)
        results: list[tuple[Array, Quantised]] = []
        from_above: list[Any] = []
        for i, grid in reversed(list(enumerate(grids))):
            features_here = jnp.concatenate([features[i], *from_above], axis=-1)
            z = grid.to_vectors.apply({"params": params[_name("to_vectors", i)]}, features_here)
            result = quantiser.quantise(params[_name("codes", i)], z)  # pyright: ignore[reportArgumentType]
            results.insert(0, (z, result))  # pyright: ignore[reportArgumentType]
            if i:
                from_above = [grid.up.apply({"params": params[_name("up", i)]}, result.value)]
        return results

    def decode(params: Params, vectors: Sequence[Array]) -> Any:
        return decoder.apply({"params": params["decoder"]}, *vectors)

    def prior(params: Params) -> Any:
        if "prior" not in params:
            raise ValueError(
                "a prior over codes has not been fitted: these parameters have none. Train it in a second stage "
                "(vae-jax train vq_vae --second-stage-at 0.5), then sample."
            )
        parts = params["prior"]
        highest = len(grids) - 1
        last = grids[highest].prior.distribution(parts[_name("grid", highest)], grids[highest].sides)
        lower = [grid.prior.conditional(parts[_name("grid", i)], grid.sides) for i, grid in enumerate(grids[:-1])]
        return top_down(last, *reversed(lower)) if lower else last

    return Quantising(quantised, decode, prior, quantiser, grids, decoder)


def vae_of(model: Quantising) -> VAE:
    """The model as a VAE of discrete codes, whose posterior is `Certain`."""

    def decode(params: Params, z: Codes) -> Any:
        grids = z if isinstance(z, tuple) else (z,)
        vectors = [model.quantiser.lookup(params[_name("codes", i)], index) for i, index in enumerate(grids)]
        return model.decode(params, vectors)

    return VAE(lambda params, x: Certain(_codes(model.quantised(params, x))), decode, model.prior)


def _described(
    model: Quantising, grids: list[tuple[Array, Quantised]], distortion: Array, rate: Array, weight: float | Array
) -> tuple[Array, Metrics]:
    """`(loss, metrics)` of a batch: the loss is minus the bound, plus `weight` times the commitment."""
    commitment, metrics = jnp.zeros(()), {}
    for i, (z, quantised) in enumerate(grids):
        commitment = commitment + model.quantiser.commitment(z, quantised.nearest) / len(distortion)
        counts, _ = cluster_sums(jnp.ravel(quantised.number), z.reshape(-1, z.shape[-1]), model.quantiser.size)
        metrics[_name("perplexity", i)] = perplexity(counts)
    distortion, rate = jnp.mean(distortion), jnp.mean(rate)
    metrics |= {"bound": -distortion - rate, "log_likelihood": -distortion, "kl": rate, "commitment": commitment}
    return distortion + rate + weight * commitment, metrics


def first_loss(model: Quantising, *, commitment_weight: float | Array, parts: int = 1) -> Loss:
    """The first stage: minus the bound under a uniform prior, the commitment, and what moves the codes.

    The batch is computed in `parts`, as `over_examples` does; codes move by the whole of it.
    """
    uniform = sum(grid.sides[0] * grid.sides[1] for grid in model.grids) * jnp.log(float(model.quantiser.size))

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step

        def grids_of(key: Key, x: Any) -> tuple[list[tuple[Array, Quantised]], Array]:
            del key
            grids = model.quantised(params, x)
            return grids, -model.decode(params, [quantised.value for _, quantised in grids]).log_prob(x)

        grids, distortion = over_examples(grids_of, key, batch["x"], parts=parts)
        value, metrics = _described(model, grids, distortion, jnp.full_like(distortion, uniform), commitment_weight)
        keys = jax.random.split(key, len(grids))
        for i, (z, quantised) in enumerate(grids):
            flat = jax.tree.map(lambda leaf, z=z: leaf.reshape(-1, *leaf.shape[z.ndim - 1 :]), quantised)
            value = value + model.quantiser.learn(params[_name("codes", i)], keys[i], z.reshape(-1, z.shape[-1]), flat)
        return value, metrics

    return loss


def second_loss(model: Quantising, *, commitment_weight: float | Array, parts: int = 1) -> Loss:
    """The second stage: minus the bound, and the commitment, with a gradient in the prior alone; a batch in `parts`."""

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        still = freeze({name: part for name, part in params.items() if name != "prior"})
        prior = model.prior(params)

        def costs_of(key: Key, x: Any) -> tuple[list[tuple[Array, Quantised]], Array, Array]:
            del key
            grids = model.quantised(still, x)
            distortion = -model.decode(still, [quantised.value for _, quantised in grids]).log_prob(x)
            return grids, distortion, -prior.log_prob(_codes(grids))

        grids, distortion, rate = over_examples(costs_of, key, batch["x"], parts=parts)
        return _described(model, grids, distortion, rate, commitment_weight)

    return loss


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model, quantisation = config.model, config.quantisation
    check_data(model, dataset)
    _check_images(config, dataset)
    activation, channels = ACTIVATIONS[model.activation], model.hidden
    elements = elements_of(dataset)
    head = likelihood_head(model, elements)
    quantiser = quantiser_of(quantisation, model)
    prior = CodePrior(quantiser.size, quantisation.code_prior_layers, quantisation.code_prior_width)
    lowest = nn.Sequential([reader(model, dataset.shape, elements), GridTrunk(channels, activation)])
    grids = [
        Grid(
            trunk=GridTrunk(channels[-1:], activation) if i else lowest,
            to_vectors=nn.Dense(model.latent_size),
            up=Double(channels[-1]),
            sides=grid_sides(dataset.shape, len(channels) + i),
            prior=prior,
        )
        for i in range(quantisation.grids)
    ]
    output = GridOutput(dataset.shape, head.outputs, tuple(reversed(channels)), activation)
    networks = quantising(grids, nn.Sequential([GridDecoder(output, activation), head]), quantiser)

    def init(key: Key, batch: Batch) -> Params:
        return first_params(networks, key, jax.tree.map(lambda leaf: leaf[0], batch["x"]), model.latent_size)

    options: Any = {"commitment_weight": quantisation.commitment, "parts": config.compute.accumulate}
    losses = [make(networks, **options) for make in (first_loss, second_loss)]
    start = second_stage_start(config, dataset)
    return System(
        init=init,
        loss=staged(losses, [start]),
        vae=vae_of(networks),
        optimizer=staged_rules(config, dataset, "prior", {SET: set_exactly}),
        prior_from=start,
    )


def first_params(model: Quantising, key: Key, x: Any, code_size: int) -> Params:
    """The initial parameters, for examples like `x`."""
    params: dict[str, Any] = {}
    keys = iter(jax.random.split(key, 5 * len(model.grids) + 1))

    def start(name: str, module: nn.Module, x: Any) -> Any:
        params[name] = module.init(next(keys), x)["params"]
        return module.apply({"params": params[name]}, x)

    features = []
    for i, grid in enumerate(model.grids):
        x = start(_name("trunk", i), grid.trunk, x)
        features.append(x)
    from_above: list[Any] = []
    for i, grid in reversed(list(enumerate(model.grids))):
        z = start(_name("to_vectors", i), grid.to_vectors, jnp.concatenate([features[i], *from_above], axis=-1))
        params[_name("codes", i)] = model.quantiser.init(next(keys))
        if i:
            from_above = [start(_name("up", i), grid.up, z)]
    vectors = [jnp.zeros((*grid.sides, code_size)) for grid in model.grids]
    params["decoder"] = model.decoder.init(next(keys), *vectors)["params"]
    highest = len(model.grids) - 1
    params["prior"] = {
        _name("grid", i): grid.prior.start(next(keys), grid.sides, is_highest=i == highest)
        for i, grid in enumerate(model.grids)
    }
    return params


def _check_images(config: Experiment, dataset: Dataset) -> None:
    model, quantisation = config.model, config.quantisation
    factor = 2 ** (len(model.hidden) + quantisation.grids - 1)
    if not dataset.is_image or dataset.shape[0] % factor or dataset.shape[1] % factor:
        raise ConfigError(
            f"--grids {quantisation.grids} on --hidden of {len(model.hidden)} layers halve an image "
            f"{len(model.hidden) + quantisation.grids - 1} times, so its sides must be multiples of {factor}; "
            f"{dataset.name} has examples of shape {dataset.shape}. Use fewer grids or layers, or --image-size."
        )


def _grid_network(config: Experiment) -> str | None:
    if config.model.network == "grid":
        return None
    return "--system vq has a code at each place of a grid: use --network grid"


def _own_prior(config: Experiment) -> str | None:
    if config.model.prior == "default":
        return None
    return "--prior has no effect with --system vq, whose prior of codes is uniform, or learned in the second stage"


SPEC = Spec(
    build,
    reads=("quantisation", "stages", "compute.accumulate"),
    requires=(one_layer, gradient_scale, _grid_network, _own_prior),
)
