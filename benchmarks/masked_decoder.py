"""What a masked decoder costs: a training step of `ladder_mnist` with decoders that see the same pixels.

    python benchmarks/masked_decoder.py

Batch 128. Steps of all alternate in one run; the medians are printed, and how many times the step without a masked
decoder each takes.
"""

from dataclasses import replace

import numpy as np
from program import images, milliseconds, program, training_data

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
    times = milliseconds(programs, rounds=ROUNDS, steps=STEPS)
    for name, each in times.items():
        print(f"{name:<30} {np.median(each):6.1f} ms a step   {np.median(each / times['none']):5.2f}")


if __name__ == "__main__":
    main()
