"""What a masked decoder costs: a training step of `ladder_mnist` with decoders that see the same pixels.

    python benchmarks/masked_decoder.py

Batch 128. Steps of all alternate in one run; the medians are printed, and how many times the step without a masked
decoder each takes.
"""

import time
from dataclasses import replace

import jax
import numpy as np
from program import images, program, training_data

from vae_jax.config.files import load_config

# Both see five rows up and five columns to either side, or nearly so: four layers of 3×3 after a first one.
ROWS: dict[str, dict[str, int]] = {
    "none": {},
    "4 layers of 3x3": {"autoregressive_layers": 4},
    "3 layers, reach 5": {"autoregressive_layers": 3, "autoregressive_reach": 5},
    "3 layers, reach 5, context 8": {
        "autoregressive_layers": 3,
        "autoregressive_reach": 5,
        "autoregressive_context": 8,
    },
}
ROUNDS, STEPS, BATCH = 7, 5, 128


def main() -> None:
    config, data = load_config("ladder_mnist"), training_data(images())
    configs = {name: replace(config, model=replace(config.model, **fields)) for name, fields in ROWS.items()}
    programs = {name: program(config, data, batch_size=BATCH) for name, config in configs.items()}
    states = {name: state for name, (state, _) in programs.items()}
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for number in range(1, ROUNDS + 2):
        for name, (_, run) in programs.items():
            began = time.perf_counter()
            states[name] = jax.block_until_ready(run(states[name], number * STEPS))
            times[name].append((time.perf_counter() - began) / STEPS * 1e3)
    least = np.median(times["none"][1:])
    for name, each in times.items():
        print(f"{name:<30} {np.median(each[1:]):6.1f} ms a step   {np.median(each[1:]) / least:5.2f}")


if __name__ == "__main__":
    main()
