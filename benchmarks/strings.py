"""The Grammar-VAE and the VAE of characters: what they reconstruct, and what of their prior is valid.

    python benchmarks/strings.py RUNS DATA_DIR [--rows grammar characters …]

Trains into RUNS what is not there yet (an interrupted run goes on, a finished one is read), measures it with 100
decodings of each code, and prints a table as Markdown. One seed.
"""

import argparse
import json
from pathlib import Path

from founding_curves import trained

from vae_jax.cli import main as vae_jax

# A row: its title, the config, what is changed.
ROWS = {
    "grammar": ("expressions, grammar, β = 0.1", ["equations"]),
    "characters": ("expressions, characters, β = 0.1", ["equation_characters"]),
    "grammar_elbo": ("expressions, grammar, β = 1", ["equations", "--beta", "1"]),
    "grammar_published": (
        "expressions, grammar, published scaling",
        ["equations", "--beta", "1", "--published-scaling"],
    ),
    "characters_published": (
        "expressions, characters, published scaling",
        ["equation_characters", "--beta", "1", "--published-scaling"],
    ),
    "zinc": ("ZINC, grammar, β = 0.1", ["zinc"]),
    "zinc_published": (
        "ZINC, grammar, published scaling",
        ["zinc", "--beta", "1", "--beta-warmup", "0", "--published-scaling"],
    ),
}
DECODINGS = 100


def share(result: dict[str, float], name: str) -> str:
    return f"{100 * result[name]:.1f} ± {100 * result[f'{name}_error']:.1f}"


def counted(result: dict[str, float], name: str) -> str:
    """With the error of as many independent draws beside that between strings or codes."""
    return f"{share(result, name)} (binomial {100 * result[f'{name}_binomial_error']:.2f})"


def main(runs: Path, data_dir: Path, rows: list[str]) -> None:
    print("| | reconstructed, % | likeliest, % | valid, % | of these distinct, % | ELBO, nats | rate | training |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        title, arguments = ROWS[row]
        directory = trained([*arguments, "--data-dir", str(data_dir)], runs / row)
        result = json.loads((directory / "evaluation.json").read_text())
        if result["string_decodings"] != DECODINGS or "prior_valid_binomial_error" not in result:
            if vae_jax(["evaluate", str(directory), "--decodings", str(DECODINGS), "--gaps", "0"]) != 0:
                raise SystemExit(f"{directory} could not be evaluated")
            result = json.loads((directory / "evaluation.json").read_text())
        print(
            f"| {title} | {counted(result, 'reconstructed')} | {share(result, 'likely_reconstructed')} | "
            f"{counted(result, 'prior_valid')} | {100 * result['prior_distinct']:.1f} | {result['elbo']:.2f} | "
            f"{result['rate']:.2f} | {result['training_seconds'] / 60:.0f} min |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    given = parser.parse_args()
    main(given.runs, given.data_dir, given.rows)
