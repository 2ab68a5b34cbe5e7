"""A VAE of many stochastic layers along one path: read x from the bottom up, draw z from the top down.

    features_1 … features_L = encoder(x)
    s_L = start,  z_i ~ p(z_i | s_i) or q(z_i | s_i, features_i),  s_{i−1} = step_i(s_i, z_i),  p(x | s_0)

A state is a vector, or a grid of vectors whose sides double between groups of layers. The networks are residual, and
what each layer adds starts small, so that a model of many layers starts as quietly as one of few.

Ladder Variational Autoencoders, arXiv 1602.02282; Improved Variational Inference with Inverse Autoregressive Flow,
arXiv 1606.04934; Very Deep VAEs Generalize Autoregressive Models, arXiv 2011.10650.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.trees import first_example
from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions import DiagNormal
from vae_jax.distributions.hierarchy import Chain, Conditional, top_down_path
from vae_jax.models.vae import VAE
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.conv import Double, Halve
from vae_jax.nets.grid import Conv3x3, grid_sides
from vae_jax.nets.mlp import DenseOutput, OneExample

Activation = Callable[[Array], Array]
# The logarithm of a scale of the prior, and of a posterior's in units of it, stays between −5 and 5, smoothly: one
# layer that runs away would take all with it.
_MOST_LOG_SCALE = 5.0


class Mix(nn.Module):
    """`[C] -> [features]` by a dense layer, `[H, W, C] -> [H, W, features]` by a 3×3 convolution."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(self.features)(x) if x.ndim == 1 else Conv3x3(self.features)(x)


class Residual(nn.Module):
    """`x + f(x)`: f mixes to half the channels (of a vector, to all) and back, and starts with the weight `share`."""

    activation: Activation
    share: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        inner = self.activation(Mix(channels if x.ndim == 1 else max(channels // 2, 1))(self.activation(x)))
        return x + nn.Dense(channels, kernel_init=_small(self.share))(inner)


class Normal(nn.Module):
    """`(mean, log scale)` of `size` numbers at each place, from features; both start near 0."""

    size: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        inner = self.activation(Mix(max(x.shape[-1] // (1 if x.ndim == 1 else 2), 1))(self.activation(x)))
        loc, log_scale = jnp.split(nn.Dense(2 * self.size, kernel_init=_small(0.01))(inner), 2, axis=-1)
        return loc, _MOST_LOG_SCALE * jnp.tanh(log_scale / _MOST_LOG_SCALE)


class LayerPrior(nn.Module):
    """p(z | s)."""

    size: int
    activation: Activation

    @nn.compact
    def __call__(self, state: Array) -> DiagNormal:
        loc, log_scale = Normal(self.size, self.activation)(state)
        return DiagNormal(loc, jnp.exp(log_scale))


class LayerPosterior(nn.Module):
    """q(z | s, features) as a difference from p(z | s), which it starts near."""

    size: int
    activation: Activation

    @nn.compact
    def __call__(self, prior: DiagNormal, state: Array, features: Array) -> DiagNormal:
        loc, log_scale = Normal(self.size, self.activation)(jnp.concatenate([state, features], axis=-1))
        return DiagNormal(prior.loc + prior.scale * loc, prior.scale * jnp.exp(log_scale))


class FlowPosterior(nn.Module):
    """`LayerPosterior` pushed through a flow that the state and the features tell; `flow`: a head of `flow_heads`.

    After an even number of layers every coordinate is in its place, and the flow starts as the identity.
    """

    flow: nn.Module
    size: int
    activation: Activation

    @nn.compact
    def __call__(self, prior: DiagNormal, state: Array, features: Array) -> Any:
        base = LayerPosterior(self.size, self.activation)(prior, state, features)
        return self.flow(jnp.concatenate([state, features], axis=-1), base)


class LayerStep(nn.Module):
    """The state after a layer, from that before it and z; with `doubled` channels, on a grid of twice the sides."""

    activation: Activation
    share: float
    doubled: int | None = None

    @nn.compact
    def __call__(self, state: Array, z: Array) -> Array:
        state = state + nn.Dense(state.shape[-1], kernel_init=_small(self.share))(z)
        state = Residual(self.activation, self.share)(state)
        return state if self.doubled is None else Double(self.doubled)(self.activation(state))


class DenseReading(nn.Module):
    """x, flattened, to features `[width]` of each of the `layers`, the lowest first."""

    reader: nn.Module
    layers: int
    width: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        features = nn.Dense(self.width)(jnp.ravel(self.reader(x)))
        read = []
        for _ in range(self.layers):
            features = Residual(self.activation, 1.0 / self.layers)(features)
            read.append(features)
        return tuple(read)


class GridReading(nn.Module):
    """An image to features of each layer, the lowest first: `layers[i]` layers after it was halved i + 1 times."""

    reader: nn.Module
    layers: Sequence[int]
    channels: Sequence[int]
    activation: Activation

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, ...]:
        features, read = self.reader(x), []
        for i, (layers, channels) in enumerate(zip(self.layers, self.channels, strict=True)):
            features = Halve(channels)(self.activation(features) if i else features)
            for _ in range(layers):
                features = Residual(self.activation, 1.0 / sum(self.layers))(features)
                read.append(features)
        return tuple(read)


class DenseEnd(nn.Module):
    """The last state `[width]` to p(x | z)."""

    likelihood: Any
    shape: tuple[int, ...]
    activation: Activation

    @nn.compact
    def __call__(self, state: Array) -> Any:
        return self.likelihood(DenseOutput(self.shape, self.likelihood.outputs)(self.activation(state)))


class GridEnd(nn.Module):
    """The last state `[H/2, W/2, C]` to p(x | z)."""

    likelihood: Any
    shape: tuple[int, ...]
    activation: Activation

    @nn.compact
    def __call__(self, state: Array) -> Any:
        out = Double(self.shape[-1] * self.likelihood.outputs, use_bias=False)(self.activation(state))
        return self.likelihood(out.reshape(*self.shape, self.likelihood.outputs))


class Ladder(NamedTuple):
    """The networks of a whole model, of each layer one, the lowest first.

    `encoder(x)` gives the features of all layers. `priors[i](s)` is p(z | s), `posteriors[i](p, s, features)` is
    q(z | s, features), and `steps[i](s, z)` the state after it. `end(s)` is p(x | z). `start`: the shape of the first
    state.
    """

    encoder: nn.Module
    priors: Sequence[nn.Module]
    posteriors: Sequence[nn.Module]
    steps: Sequence[nn.Module]
    end: nn.Module
    start: tuple[int, ...]


def dense_ladder(
    shape: tuple[int, ...],
    likelihood: Any,
    *,
    layers: int,
    size: int,
    width: int,
    flow: nn.Module | None = None,
    reader: nn.Module | None = None,
    activation: Activation = nn.silu,
) -> Ladder:
    """`layers` layers of z `[size]`, whose states are vectors `[width]`.

    `flow`: a head of `flow_heads`, through which the posterior of the highest layer goes, that of most nats.
    """
    posteriors: list[nn.Module] = [LayerPosterior(size, activation)] * layers
    if flow is not None:
        posteriors[-1] = FlowPosterior(flow, size, activation)
    return Ladder(
        DenseReading(reader or OneExample(shape), layers, width, activation),
        [LayerPrior(size, activation)] * layers,
        posteriors,
        [LayerStep(activation, 1.0 / layers)] * layers,
        DenseEnd(likelihood, shape, activation),
        (width,),
    )


def grid_ladder(
    shape: tuple[int, ...],
    likelihood: Any,
    *,
    layers: Sequence[int],
    size: int,
    channels: Sequence[int],
    reader: nn.Module | None = None,
    activation: Activation = nn.silu,
) -> Ladder:
    """`layers[i]` layers on the image halved i + 1 times: z `[h, w, size]`, states `[h, w, channels[i]]`.

    ValueError unless there are as many channels as layers, and the image can be halved so often.
    """
    if len(layers) != len(channels):
        raise ValueError(f"grid_ladder: layers and channels must be equally many, got {layers} and {channels}.")
    depth = sum(layers)
    # The lowest layer of a grid is the last of it to be drawn: its step leads to the grid below.
    doubled = [channels[i - 1] if i and not j else None for i, count in enumerate(layers) for j in range(count)]
    return Ladder(
        GridReading(reader or OneExample(shape), layers, channels, activation),
        [LayerPrior(size, activation)] * depth,
        [LayerPosterior(size, activation)] * depth,
        [LayerStep(activation, 1.0 / depth, to) for to in doubled],
        GridEnd(likelihood, shape, activation),
        (*grid_sides(shape, len(channels)), channels[-1]),
    )


def ladder_vae(ladder: Ladder) -> VAE:
    """The model of a ladder; z is a tuple of one array per layer, the lowest first.

    The parameters are a dict: `encoder`, `decoder`, `start`, and of each layer `layer1`, `layer2`, …
    """
    encoder, end = linen_apply(ladder.encoder), linen_apply(ladder.end)
    priors, steps = ([linen_apply(module) for module in part] for part in (ladder.priors, ladder.steps))
    posteriors = [_given_features(*pair) for pair in zip(priors, map(linen_apply, ladder.posteriors), strict=True)]

    def path(params: Params, factors: Sequence[Conditional]) -> Chain:
        climbed = [Partial(step, layer["step"]) for step, layer in zip(steps, _layers(params, steps), strict=True)]
        return top_down_path(params["start"], factors[::-1], climbed[::-1])

    def prior(params: Params) -> Chain:
        layers = _layers(params, priors)
        return path(params, [Partial(p, layer["prior"]) for p, layer in zip(priors, layers, strict=True)])

    def encode(params: Params, x: Any) -> Chain:
        read = zip(posteriors, _layers(params, posteriors), encoder(params["encoder"], x), strict=True)
        return path(params, [Partial(q, layer, features) for q, layer, features in read])

    return VAE(encode, lambda params, z: end(params["decoder"], prior(params).end(z)), prior)


def _layers(params: Params, like: Sequence[Any]) -> list[Params]:
    return [params[f"layer{i}"] for i in range(1, len(like) + 1)]


def _given_features(prior: Callable[..., Any], posterior: Callable[..., Any]) -> Callable[..., Any]:
    """`(parameters of a layer, features, s) -> q(z | s, features)`."""

    def conditional(layer: Params, features: Array, state: Array) -> Any:
        return posterior(layer["posterior"], prior(layer["prior"], state), state, features)

    return conditional


def ladder_init(ladder: Ladder) -> Callable[[Key, dict[str, Any]], Params]:
    """`(key, batch) -> params` of `ladder_vae`; the batch is a dict with `x`, `[B, …]`."""

    def init(key: Key, batch: dict[str, Any]) -> Params:
        x = first_example(batch["x"])
        encoder_key, decoder_key, *keys = jax.random.split(key, 2 + len(ladder.priors))
        encoder, state = from_linen(ladder.encoder, encoder_key, x), jnp.zeros(ladder.start)
        params = {"encoder": encoder.params, "start": state}
        read = jax.eval_shape(encoder.apply, encoder.params, x)
        for i in reversed(range(len(keys))):
            prior_key, posterior_key, step_key = jax.random.split(keys[i], 3)
            prior = from_linen(ladder.priors[i], prior_key, state)
            p = prior.apply(prior.params, state)
            posterior = from_linen(ladder.posteriors[i], posterior_key, p, state, jnp.zeros(read[i].shape))
            step = from_linen(ladder.steps[i], step_key, state, p.loc)
            params[f"layer{i + 1}"] = {"prior": prior.params, "posterior": posterior.params, "step": step.params}
            state = step.apply(step.params, state, p.loc)
        return params | {"decoder": from_linen(ladder.end, decoder_key, state).params}

    return init


def _small(share: float) -> Any:
    """An initialiser with `share` of the usual variance."""
    return nn.initializers.variance_scaling(share, "fan_in", "truncated_normal")
