"""A training step of a VAE on 64×64 colour images: the package's convolutional pair against PyTorch, channels last.

    pip install torch
    python benchmarks/colour.py

Four halvings (32, 64, 128, 256 channels), one hidden layer of 256, 128 latent units, a normal likelihood with one
learned scale, batch 64, Adam; random images (speed does not depend on what they show). PyTorch's arm has the same
layers: convolutions and transposed convolutions 4×4 of stride 2. Steps of the two alternate in one run, and the ratio
is that of the medians. The package's steps run inside one compiled loop, as in training.
"""

import importlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from program import program, training_data

from vae_jax.config import Data, Experiment, Model

# No dependency of the project, and unknown to its type checker.
torch: Any = importlib.import_module("torch")

CHANNELS, FEATURES, LATENT, BATCH, STEPS, ROUNDS = (32, 64, 128, 256), 256, 128, 64, 8, 7


def package(images: np.ndarray) -> Callable[[], Any]:
    model = Model(network="conv", hidden=CHANNELS, latent_size=LATENT, likelihood="normal", activation="relu")
    config, data = Experiment("a benchmark", Data("random"), model), training_data(images, binarisation="none")
    state, run = program(config, data, batch_size=BATCH, optimizer=optax.adam(1e-4))
    stop = 0

    def steps() -> Any:
        nonlocal state, stop
        stop += STEPS
        state = run(state, stop)
        return jax.block_until_ready(state)

    return steps


def pytorch(images: np.ndarray) -> Callable[[], Any]:
    nn = torch.nn
    down: list[Any] = []
    for before, after in zip((3, *CHANNELS[:-1]), CHANNELS, strict=True):
        down += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU()]
    side = 64 >> len(CHANNELS)
    flat = CHANNELS[-1] * side * side
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, FEATURES), nn.ReLU(), nn.Linear(FEATURES, 2 * LATENT))
    up: list[Any] = []
    widths = (*reversed(CHANNELS), 3)
    for before, after in itertools.pairwise(widths):
        up += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
    dense = [nn.Linear(LATENT, FEATURES), nn.ReLU(), nn.Linear(FEATURES, flat), nn.ReLU()]
    decoder = nn.Sequential(*dense, nn.Unflatten(1, (CHANNELS[-1], side, side)), *up[:-1])
    log_scale = nn.Parameter(torch.zeros(()))
    for module in (encoder, decoder):
        module.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), log_scale], lr=1e-4)
    stored = torch.from_numpy(images).permute(0, 3, 1, 2)

    def step() -> None:
        rows = torch.randint(len(stored), (BATCH,))
        x = (stored[rows].float() / 255).contiguous(memory_format=torch.channels_last)
        loc, log_std = encoder(x).chunk(2, dim=1)
        z = loc + log_std.exp() * torch.randn_like(loc)
        kl = (0.5 * ((2 * log_std).exp() + loc.square() - 1) - log_std).sum(1)
        error = (x - decoder(z)).square().flatten(1).sum(1)
        loss = (0.5 * error * (-2 * log_scale).exp() + x[0].numel() * log_scale + kl).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def main() -> None:
    images = np.random.default_rng(0).integers(0, 256, (STEPS * BATCH, 64, 64, 3)).astype(np.uint8)
    arms = {"package": package(images), "PyTorch": pytorch(images)}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for run in arms.values():
        run()
    for _ in range(ROUNDS):
        for name, run in arms.items():
            # The other arm's threads wait busily for a while after their work.
            time.sleep(1.0)
            start = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - start) / STEPS)
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:8} {1e3 * value:7.1f} ms a step")
    print(f"package / PyTorch: {median['package'] / median['PyTorch']:.2f} (limit 1.1), {torch.__version__}")


if __name__ == "__main__":
    main()
