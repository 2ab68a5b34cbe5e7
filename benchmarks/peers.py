"""A training step of one VAE in five libraries, beside the matrix products that none of them can leave out.

    pip install 'torch==2.13.0' 'pythae==0.1.2' numpyro
    python benchmarks/peers.py [--rounds 9] [--json FILE] [--picture FILE]

784-200-200-50, tanh, bits drawn anew from stored bytes at each step, Adam: the ELBO with its closed-form KL, k = 1 and
a batch of 128, and the importance-weighted bound with k = 50 and a batch of 100. Every arm is a process of its own and
starts from the same weights. First the losses of all are compared on the same bits: where one differs by more than
five standard errors that is printed, and its time says nothing. Then the arms take turns, a second of steps each, and a
ratio is the median over the rounds. An arm whose library is not installed is left out.

`floor` is the products of the networks alone, forward and backward, in one compiled loop. XLA would move products out
of a loop, and shrink those of which little is read: `optimization_barrier` holds what goes in and what comes out.
"""

import argparse
import importlib
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HIDDEN, LATENT, PIXELS, STORED, SECONDS = 200, 50, 784, 10_000, 1.0
# Draws of the loss that are compared, on one batch.
DRAWS = 200
Weights = dict[str, list[tuple[np.ndarray, np.ndarray]]]


class Setting(NamedTuple):
    """A bound: its number of draws, and the size of a batch."""

    k: int
    batch: int


class Arm(NamedTuple):
    """`losses(bits)`: nats, of many draws on one batch. `run(steps)`: train, and return when it is done."""

    losses: Callable[[np.ndarray], np.ndarray]
    run: Callable[[int], Any]


def initial_weights() -> Weights:
    """Of both networks, layer by layer; the encoder ends with means and logarithms of scales."""
    random = np.random.default_rng(0)
    widths = {"encoder": (PIXELS, HIDDEN, HIDDEN, 2 * LATENT), "decoder": (LATENT, HIDDEN, HIDDEN, PIXELS)}
    return {
        name: [
            ((random.normal(size=(a, b)) / a**0.5).astype(np.float32), np.zeros(b, np.float32))
            for a, b in itertools.pairwise(sizes)
        ]
        for name, sizes in widths.items()
    }


def stored_images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (STORED, PIXELS)).astype(np.uint8)


def vae_jax(setting: Setting) -> Arm:
    import jax
    import jax.numpy as jnp
    from program import program, training_data

    from vae_jax.config import Data, Experiment, Model, Objective
    from vae_jax.systems.vae import build

    k, batch = setting
    objective = Objective() if k == 1 else Objective(bound="iwae", estimator="total", num_samples=k)
    config = Experiment("a benchmark", Data("random"), Model(hidden=(HIDDEN, HIDDEN), latent_size=LATENT), objective)
    data = training_data(stored_images().reshape(-1, 28, 28, 1))
    system = build(config, data)
    state, run = program(config, data, batch_size=batch)

    def dense(name: str, i: int) -> dict[str, Any]:
        kernel, bias = initial_weights()[name][i]
        return {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}

    hidden = {name: {f"Dense_{i}": dense(name, i) for i in (0, 1)} for name in initial_weights()}
    last = dense("decoder", 2)
    params = {
        "encoder": {"layers_1": hidden["encoder"], "layers_2": {"Dense_0": dense("encoder", 2)}},
        "decoder": {
            "layers_0": hidden["decoder"],
            "layers_1": {"Dense_0": {"kernel": last["kernel"]}},
            "layers_2": {"bias": last["bias"].reshape(28, 28, 1)},
        },
    }
    state = state._replace(params=params)
    loss = jax.jit(lambda key, x: system.loss(params, key, {"x": x}, jnp.int32(0))[0])

    def train(steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(run(state, int(state.step) + steps))

    def losses(bits: np.ndarray) -> np.ndarray:
        x = jnp.asarray(bits.reshape(-1, 28, 28, 1))
        return np.asarray([loss(key, x) for key in jax.random.split(jax.random.key(2), DRAWS)])

    return Arm(losses, train)


def _jax_loop(step: Callable[[Any, Any, Any], Any], carry: Any, batch: int) -> Callable[[int], None]:
    """`step(carry, key, bits) -> carry` in one compiled loop over random batches of the stored images."""
    import jax

    stored = jax.device_put(stored_images())

    @jax.jit
    def loop(carry: Any, key: Any, steps: Any) -> Any:
        def once(i: Any, carry: Any) -> Any:
            rows_key, bits_key, noise_key = jax.random.split(jax.random.fold_in(key, i), 3)
            rows = jax.random.randint(rows_key, (batch,), 0, STORED)
            bits = jax.random.bernoulli(bits_key, stored[rows].astype(np.float32) / 255.0).astype(np.float32)
            return step(carry, noise_key, bits)

        return jax.lax.fori_loop(0, steps, once, carry)

    calls = 0

    def run(steps: int) -> None:
        nonlocal carry, calls
        calls += 1
        carry = jax.block_until_ready(loop(carry, jax.random.key(calls), steps))

    return run


def by_hand(setting: Setting) -> Arm:
    import jax
    import jax.numpy as jnp
    import optax

    k, batch = setting

    def forward(layers: Any, h: Any) -> Any:
        for matrix, bias in layers[:-1]:
            h = jnp.tanh(h @ matrix + bias)
        return h @ layers[-1][0] + layers[-1][1]

    def loss(params: Any, key: Any, x: Any) -> Any:
        loc, log_scale = jnp.split(forward(params["encoder"], x), 2, axis=1)
        noise = jax.random.normal(key, (k, *loc.shape))
        z = loc + jnp.exp(log_scale) * noise
        logits = forward(params["decoder"], z)
        log_x = jnp.sum(x * logits - jnp.maximum(logits, 0) - jnp.log1p(jnp.exp(-jnp.abs(logits))), axis=-1)
        if k == 1:
            kl = jnp.sum(0.5 * (jnp.exp(2 * log_scale) + loc**2 - 1) - log_scale, axis=1)
            return jnp.mean(kl - log_x[0])
        log_weight = log_x + jnp.sum(0.5 * (noise**2 - z**2) + log_scale, axis=-1)
        return -jnp.mean(jax.nn.logsumexp(log_weight, axis=0) - jnp.log(k))

    tx = optax.adam(1e-3)
    params = jax.tree.map(jnp.asarray, initial_weights())

    def step(carry: Any, key: Any, bits: Any) -> Any:
        params, opt_state = carry
        updates, opt_state = tx.update(jax.grad(loss)(params, key, bits), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def losses(bits: np.ndarray) -> np.ndarray:
        of_key = jax.jit(lambda key: loss(params, key, bits))
        return np.asarray([of_key(key) for key in jax.random.split(jax.random.key(3), DRAWS)])

    return Arm(losses, _jax_loop(step, (params, tx.init(params)), batch))


def numpyro(setting: Setting) -> Arm:
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import SVI, RenyiELBO, TraceMeanField_ELBO

    k, batch = setting

    def network(name: str, h: Any) -> Any:
        layers = initial_weights()[name]
        for i, (matrix, bias) in enumerate(layers):
            h = h @ numpyro.param(f"{name}{i}", jnp.asarray(matrix)) + numpyro.param(f"{name}{i}b", jnp.asarray(bias))
            h = h if i == len(layers) - 1 else jnp.tanh(h)
        return h

    def model(x: Any) -> None:
        with numpyro.plate("examples", len(x), dim=-1):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((len(x), LATENT)), 1.0).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=network("decoder", z)).to_event(1), obs=x)

    def guide(x: Any) -> None:
        loc, log_scale = jnp.split(network("encoder", x), 2, axis=-1)
        with numpyro.plate("examples", len(x), dim=-1):
            numpyro.sample("z", dist.Normal(loc, jnp.exp(log_scale)).to_event(1))

    objective = TraceMeanField_ELBO() if k == 1 else RenyiELBO(alpha=0, num_particles=k)
    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), objective)
    state = svi.init(jax.random.key(0), jnp.zeros((batch, PIXELS)))

    def step(state: Any, key: Any, bits: Any) -> Any:
        return svi.update(state._replace(rng_key=key), bits)[0]

    def losses(bits: np.ndarray) -> np.ndarray:
        x = jnp.asarray(bits)
        of_key = jax.jit(lambda key: svi.evaluate(state._replace(rng_key=key), x) / len(x))
        return np.asarray([of_key(key) for key in jax.random.split(jax.random.key(4), DRAWS)])

    return Arm(losses, _jax_loop(step, state, batch))


def floor(setting: Setting) -> Arm:
    import jax
    import jax.numpy as jnp

    k, batch = setting
    weights = jax.tree.map(jnp.asarray, initial_weights())
    barrier = jax.lax.optimization_barrier

    def products(matrices: list[Any], rows: int, first: Any) -> list[Any]:
        """Those of each layer: forward, the gradient of its matrix, and that of its input where one is needed."""
        made = []
        h = first
        for i, matrix in enumerate(matrices):
            gradient = barrier(jnp.ones((rows, matrix.shape[1])) * h[0, 0])
            out = h @ matrix
            made += [out, h.T @ gradient]
            # The gradient of x is not needed, that of z is.
            if i or first.shape[1] == LATENT:
                made.append(gradient @ matrix.T)
            h = barrier(out)
        return made

    def step(total: Any, key: Any, bits: Any) -> Any:
        held, x, networks = barrier((total, bits, weights))
        made = products([matrix for matrix, _ in networks["encoder"]], batch, x)
        z = jnp.broadcast_to(made[-3][:1, :LATENT], (k * batch, LATENT))
        made += products([matrix for matrix, _ in networks["decoder"]], k * batch, barrier(z))
        held, *made = barrier((held, *made))
        # What nobody reads is not computed; one number of each is read after the barrier, and so all of it is made.
        return held + sum(product[0, 0] for product in made)

    return Arm(lambda bits: np.asarray([]), _jax_loop(step, jnp.zeros(()), batch))


def _torch_loss(setting: Setting, torch: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    k, _ = setting
    names = ("encoder", "decoder")
    layers = {name: [tuple(map(torch.from_numpy, layer)) for layer in initial_weights()[name]] for name in names}
    parameters = [array.requires_grad_() for name in names for layer in layers[name] for array in layer]
    functional = torch.nn.functional

    def forward(name: str, h: Any) -> Any:
        for matrix, bias in layers[name][:-1]:
            h = torch.tanh(h @ matrix + bias)
        matrix, bias = layers[name][-1]
        return h @ matrix + bias

    def loss(x: Any) -> Any:
        loc, log_scale = forward("encoder", x).chunk(2, dim=1)
        noise = torch.randn((k, *loc.shape))
        z = loc + log_scale.exp() * noise
        logits = forward("decoder", z)
        nats = functional.binary_cross_entropy_with_logits(logits, x.expand(logits.shape), reduction="none").sum(-1)
        if k == 1:
            return (nats[0] + (0.5 * ((2 * log_scale).exp() + loc.square() - 1) - log_scale).sum(1)).mean()
        log_weight = (0.5 * (noise.square() - z.square()) + log_scale).sum(-1) - nats
        return -(log_weight.logsumexp(0) - np.log(k)).mean()

    return parameters, loss


def _torch_arm(loss: Callable[[Any], Any], parameters: list[Any], setting: Setting, torch: Any) -> Arm:
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    stored = torch.from_numpy(stored_images())

    def run(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(STORED, (setting.batch,))
            bits = torch.bernoulli(stored[rows].float() / 255)
            optimizer.zero_grad()
            loss(bits).backward()
            optimizer.step()

    def losses(bits: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray([float(loss(torch.from_numpy(bits))) for _ in range(DRAWS)])

    return Arm(losses, run)


def pytorch(setting: Setting) -> Arm:
    torch: Any = importlib.import_module("torch")
    parameters, loss = _torch_loss(setting, torch)
    return _torch_arm(loss, parameters, setting, torch)


def torch_compile(setting: Setting) -> Arm:
    torch: Any = importlib.import_module("torch")
    parameters, loss = _torch_loss(setting, torch)
    return _torch_arm(torch.compile(loss), parameters, setting, torch)


def pythae(setting: Setting) -> Arm:
    torch: Any = importlib.import_module("torch")
    models: Any = importlib.import_module("pythae.models")
    nn: Any = importlib.import_module("pythae.models.nn")
    output: Any = importlib.import_module("pythae.models.base.base_utils").ModelOutput
    k, _ = setting

    def dense(weights: list[tuple[np.ndarray, np.ndarray]]) -> list[Any]:
        made = []
        for matrix, bias in weights:
            layer = torch.nn.Linear(*matrix.shape)
            layer.weight.data, layer.bias.data = torch.from_numpy(matrix.T.copy()), torch.from_numpy(bias.copy())
            made += [layer, torch.nn.Tanh()]
        return made[:-1]

    class Encoder(nn.BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            *hidden, (matrix, bias) = initial_weights()["encoder"]
            self.hidden = torch.nn.Sequential(*dense(hidden), torch.nn.Tanh())
            (self.loc,) = dense([(matrix[:, :LATENT], bias[:LATENT])])
            # It asks for the logarithm of the variance.
            (self.log_variance,) = dense([(2 * matrix[:, LATENT:], 2 * bias[LATENT:])])

        def forward(self, x: Any) -> Any:
            h = self.hidden(x.reshape(len(x), -1))
            return output(embedding=self.loc(h), log_covariance=self.log_variance(h))

    class Decoder(nn.BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(*dense(initial_weights()["decoder"]), torch.nn.Sigmoid())

        def forward(self, z: Any) -> Any:
            return output(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

    known: dict[str, Any] = {"input_dim": (1, 28, 28), "latent_dim": LATENT, "reconstruction_loss": "bce"}
    if k == 1:
        model = models.VAE(models.VAEConfig(**known), Encoder(), Decoder())
    else:
        model = models.IWAE(models.IWAEConfig(**known, number_samples=k), Encoder(), Decoder())

    def loss(bits: Any) -> Any:
        return model({"data": bits.reshape(-1, 1, 28, 28)}).loss

    return _torch_arm(loss, list(model.parameters()), setting, torch)


ARMS: dict[str, Callable[[Setting], Arm]] = {
    "floor": floor,
    "vae_jax": vae_jax,
    "scan by hand": by_hand,
    "numpyro SVI": numpyro,
    "torch.compile": torch_compile,
    "PyTorch": pytorch,
    "Pythae": pythae,
}
SETTINGS = (Setting(1, 128), Setting(50, 100))


def work(name: str, setting: Setting, pipe: Any) -> None:
    """The process of an arm: answers `("losses", bits)` and `("run", steps)`, the latter with its seconds."""
    try:
        arm = ARMS[name](setting)
    except ImportError as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    while (question := pipe.recv()) is not None:
        asked, argument = question
        if asked == "losses":
            pipe.send(arm.losses(argument))
            continue
        began = time.perf_counter()
        arm.run(argument)
        pipe.send(time.perf_counter() - began)


def started(setting: Setting) -> dict[str, Any]:
    """A pipe to the process of every arm that can be had."""
    context, pipes = multiprocessing.get_context("spawn"), {}
    for name in ARMS:
        here, there = context.Pipe()
        context.Process(target=work, args=(name, setting, there), daemon=True).start()
        reason = here.recv()
        if reason is None:
            pipes[name] = here
        else:
            print(f"{name}: left out ({reason})")
    return pipes


def asked(pipe: Any, *question: Any) -> Any:
    pipe.send(question)
    return pipe.recv()


def compared(setting: Setting, pipes: dict[str, Any]) -> dict[str, float]:
    """The mean loss of every arm on the same bits, printed where it is not that of the scan by hand."""
    bits = (np.random.default_rng(5).random((setting.batch, PIXELS)) < 0.5).astype(np.float32)
    losses = {name: asked(pipe, "losses", bits) for name, pipe in pipes.items() if name != "floor"}
    means = {name: float(found.mean()) for name, found in losses.items()}
    errors = {name: float(found.std(ddof=1) / DRAWS**0.5) for name, found in losses.items()}
    for name, mean in means.items():
        allowed = 5 * np.hypot(errors[name], errors["scan by hand"])
        same = abs(mean - means["scan by hand"]) <= allowed
        print(f"  {name:<14} {mean:9.3f} ± {errors[name]:.3f} nats{'' if same else '   ANOTHER LOSS'}")
    return means


def measured(pipes: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a step of every arm, one for each round."""
    steps = {}
    for name, pipe in pipes.items():
        # The first call compiles, the second says how many steps take a second.
        asked(pipe, "run", 5)
        steps[name] = max(5, int(SECONDS * 20 / asked(pipe, "run", 20)))
    times: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            times[name].append(asked(pipe, "run", steps[name]) / steps[name] * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    found = []
    for setting in SETTINGS:
        print(f"k = {setting.k}, batch {setting.batch}, {os.cpu_count()} cores")
        pipes = started(setting)
        losses = compared(setting, pipes)
        times = measured(pipes, arguments.rounds)
        for name, each in times.items():
            floors = np.median(np.divide(each, times["floor"]))
            ours = np.median(np.divide(each, times["vae_jax"]))
            spread = f"{min(each):.2f} to {max(each):.2f}"
            print(f"  {name:<14} {np.median(each):7.2f} ms ({spread})   {floors:5.2f} floors   {ours:5.2f} of vae_jax")
        found.append({"k": setting.k, "batch": setting.batch, "losses": losses, "milliseconds": times})
        for pipe in pipes.values():
            pipe.send(None)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if arguments.picture:
        draw(found, arguments.picture)


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """A bar for every arm, its spread over the rounds as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(found), figsize=(10, 3.2), layout="constrained")
    for axis, setting in zip(axes, found, strict=True):
        times = setting["milliseconds"]
        names = list(times)[::-1]
        medians = [float(np.median(times[name])) for name in names]
        around = [[m - min(times[n]), max(times[n]) - m] for n, m in zip(names, medians, strict=True)]
        colours = ["#2a6f97" if name == "vae_jax" else "#b0b0b0" for name in names]
        axis.barh(names, medians, xerr=np.transpose(around), color=colours, ecolor="#404040")
        axis.set_xlabel("milliseconds of a step")
        axis.set_title(f"k = {setting['k']}, batch {setting['batch']}")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
