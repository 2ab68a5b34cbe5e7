"""What a run leaves for people: the panel and the table of its numbers."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vae_jax.atomic import write_whole
from vae_jax.measure import evaluation_file
from vae_jax.train.loop import RunState
from vae_jax.train.run import Run


def panel(run: Run, state: RunState, result: dict[str, Any]) -> Panel:
    """The summary at the end of training: every number with its unit, its k and its error."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    examples, seed = result["evaluated_examples"], result["train_seed"]
    epochs = int(state.train.step) // run.steps_per_epoch
    rows: list[tuple[str, str]] = []
    if "codes_used" in result:
        rows += [
            ("test bound", f"{result['elbo']:.2f} nats per example, log p(x, z) at the one code z of x"),
            ("± test examples", f"{result['test_examples_error']:.2f}, from the choice of {examples} examples"),
            ("± seeds", f"not known: one training seed ({seed})"),
            ("parts", f"rate {result['rate']:.2f}, distortion {result['distortion']:.2f}"),
            ("codes used", used_of(result)),
        ]
    elif "log_marginal" in result:
        rows += [
            (
                "test log p(x | y)" if result["density_of"] != "x" else "test log p(x)",
                f"{result['log_marginal']:.2f} nats per example, importance-weighted, k = {result['k']}",
            ),
            (
                "± Monte Carlo",
                f"{result['monte_carlo_error']:.3f}, from the {result['k']} samples "
                f"(median effective number {result['median_effective_sample_size']:.0f})",
            ),
            ("± test examples", f"{result['test_examples_error']:.2f}, from the choice of {examples} examples"),
            ("± seeds", f"not known: one training seed ({seed})"),
            (
                "reliability",
                "not known: the Pareto k of the weights needs 25 samples or more"
                if math.isnan(result["fraction_pareto_k_above_0.7"])
                else f"Pareto k of the weights above 0.7 for {result['fraction_pareto_k_above_0.7']:.1%} of examples",
            ),
            (
                "test ELBO",
                f"{result['elbo']:.2f} nats: rate {result['rate']:.2f}, distortion {result['distortion']:.2f}",
            ),
            ("active units", active_of(result)),
        ]
    if "reconstruction_error" in result:
        rows.append(("reconstruction", f"mean squared error of an element {result['reconstruction_error']:.5f}"))
    if "bits_per_dimension" in result:
        rows.append(("bits", f"{result['bits_per_dimension']:.4f} per dimension"))
    if "prior_valid" in result:
        rows += [
            (
                "reconstruction",
                f"{_share(result, 'reconstructed')} of draws, {_share(result, 'likely_reconstructed')} of "
                f"likeliest strings: {result['string_examples']} test examples",
            ),
            (
                "prior samples",
                f"{_share(result, 'prior_valid')} valid, {result['prior_distinct']:.1%} of these distinct",
            ),
        ]
    if "accuracy" in result:
        rows.append(("accuracy", f"{result['accuracy']:.2%} of {examples} test examples, by q(y | x)"))
    if "mig" in result:
        rows.append(("known factors", f"MIG {result['mig']:.3f}, DCI disentanglement {result['disentanglement']:.3f}"))
    if "probe_accuracy" in result:
        of = f"{result['probe_examples']} labelled training examples"
        rows.append(("linear probe", f"{result['probe_accuracy']:.2%} accurate on the codes, trained on {of}"))
    rows += [
        ("data", f"{result['dataset']}, binarisation {result['binarisation']}"),
        ("training", f"{float(state.seconds):.1f} s, {epochs} epochs, parameters of epoch {int(state.best_epoch)}"),
        ("pictures", str(run.directory / "pictures")),
    ]
    if "warning" in result:
        rows.append(("warning", result["warning"]))
    for name, value in rows:
        table.add_row(name, value)
    return Panel(table, title=Text(str(run.directory)), title_align="left", expand=False)


def _share(result: dict[str, Any], name: str) -> str:
    return f"{result[name]:.1%} ± {result[f'{name}_error']:.1%}"


def active_of(result: dict[str, Any]) -> str:
    """`25 of 50`, a number of each stochastic layer, the lowest first."""
    pairs = zip(result["active_units"], result["latent_size"], strict=True)
    return " + ".join(f"{active} of {size}" for active, size in pairs)


def used_of(result: dict[str, Any]) -> str:
    """`310 of 512, perplexity 201`, of each grid, the lowest first."""
    pairs = zip(result["codes_used"], result["code_perplexity"], strict=True)
    return " + ".join(f"{used} of {result['codebook_size']}, perplexity {even:.0f}" for used, even in pairs)


# A section of the table: its title, then rows (what it is called, how it is written, what it says).
Section = tuple[str, list[tuple[str, str, str]]]

SCORES: Section = (
    "codes against known factors, 1 is best",
    [
        ("MIG", "{mig:.4f}", "gap of mutual information: {factors} factors, {scored_examples} examples"),
        ("SAP", "{sap:.4f}", "gap of accuracy of the two best codes of a factor"),
        ("DCI disentanglement", "{disentanglement:.4f}", "whether a code serves one factor"),
        ("DCI completeness", "{completeness:.4f}", "whether a factor is served by one code"),
        ("DCI informativeness", "{informativeness:.4f}", "how much better than chance all codes tell a factor"),
        ("modularity", "{modularity:.4f}", "whether a code speaks of one factor"),
        ("FactorVAE score", "{factor_vae_score:.4f}", "of votes on which factor was held still"),
        ("β-VAE score", "{beta_vae_score:.4f}", "of linear guesses of which factor pairs share"),
        ("total correlation", "{gaussian_total_correlation:.4f} nats", "of the codes as a normal; 0 is best"),
    ],
)

_TABLE: list[Section] = [
    (
        "likelihood, nats per test example",
        [
            ("log p(x)", "{log_marginal:.3f}", "importance-weighted, k = {k}: in expectation a lower bound"),
            ("± Monte Carlo", "{monte_carlo_error:.3f}", "from the {k} samples"),
            ("± test examples", "{test_examples_error:.3f}", "from the choice of {evaluated_examples} examples"),
            ("effective samples", "{median_effective_sample_size:.1f}", "median over examples, of {k}"),
            ("Pareto k > 0.7", "{unreliable:.1%}", "of examples: where not small, k was not enough"),
            ("bits per dimension", "{bits_per_dimension:.4f}", "-log2 p(x) for each element of x"),
            ("ELBO", "{elbo:.3f}", "mean log-weight"),
        ],
    ),
    (
        "annealed importance sampling",
        [
            ("log p(x)", "{ais_log_marginal:.3f}", "first {ais_examples} examples, {ais_temperatures} temperatures"),
            (
                "± Monte Carlo",
                "{ais_monte_carlo_error:.3f}",
                "from {ais_chains} chains, accepting {ais_acceptance:.0%}",
            ),
            ("± test examples", "{ais_test_examples_error:.3f}", "from the choice of examples"),
            (
                "by importance",
                "{ais_sampled_log_marginal:.3f} ± {ais_sampled_monte_carlo_error:.3f}",
                "importance-weighted, k = {ais_sampled_k}, the same examples",
            ),
            ("BDMC gap", "{bdmc_gap:.3f} ± {bdmc_gap_error:.3f}", "upper minus lower bound on the model's own draws"),
        ],
    ),
    (
        "code, nats",
        [
            ("distortion", "{distortion:.3f}", "-E log p(x | z)"),
            ("rate", "{rate:.3f}", "E KL(q(z | x), p(z)) = index code + marginal KL, from more draws"),
            (
                "index code",
                "{index_code:.3f} ± {index_code_error:.3f}",
                "mutual information of example and code, at most {most_index_code:.3f}",
            ),
            (
                "marginal KL",
                "{marginal_kl:.3f} ± {marginal_kl_error:.3f}",
                "KL(q(z), p(z)) = total correlation + dimension-wise KL",
            ),
            ("total correlation", "{total_correlation:.3f}", "KL(q(z), product of q(z_j))"),
            ("dimension-wise KL", "{dimension_wise_kl:.3f}", "sum of KL(q(z_j), p(z_j))"),
            ("active units", "{active}", "variance of the posterior mean above 0.01"),
            ("codes used", "{used}", "by the test examples; of each grid, the lowest first"),
        ],
    ),
    (
        "what the codes are good for",
        [
            ("reconstruction", "{reconstruction_error:.5f}", "mean squared error of an element, from the mean code"),
            (
                "linear probe",
                "{probe_accuracy:.2%}",
                "of test labels, by logistic regression on {probe_examples} training codes",
            ),
            ("accuracy", "{accuracy:.2%}", "of test labels, by q(y | x)"),
        ],
    ),
    (
        "strings, shares of decoded ones",
        [
            (
                "reconstructed",
                "{reconstructed:.2%} ± {reconstructed_error:.2%}",
                "{string_examples} test strings, {string_encodings} codes of each, {string_decodings} draws of each; "
                "binomial error {reconstructed_binomial_error:.2%}",
            ),
            (
                "likeliest",
                "{likely_reconstructed:.2%} ± {likely_reconstructed_error:.2%}",
                "of mean codes, decoded by the likeliest rule at each step",
            ),
            (
                "valid",
                "{prior_valid:.2%} ± {prior_valid_error:.2%}",
                "of {string_decodings} draws for each of {prior_codes} codes of the prior; "
                "binomial error {prior_valid_binomial_error:.2%}",
            ),
            ("distinct", "{prior_distinct:.2%}", "of the valid ones"),
        ],
    ),
    SCORES,
    (
        "joint KL(q(x, z), p(x, z)) = -ELBO - log N, nats",
        [
            ("joint", "{joint_kl:.3f}", "of the {evaluated_examples} examples and the model"),
            (
                "data + posterior",
                "{joint_kl_data:.3f} + {joint_kl_posterior:.3f}",
                "KL(q(x), p(x)) + E KL(q(z|x), p(z|x))",
            ),
            (
                "latent + conditional",
                "{joint_kl_latent:.3f} + {joint_kl_conditional:.3f}",
                "KL(q(z), p(z)) + E KL(q(x|z), p(x|z))",
            ),
        ],
    ),
    (
        "inference, nats: log p(x) - ELBO = approximation + amortisation gap",
        [
            (
                "approximation gap",
                "{approximation_gap:.3f} ± {approximation_gap_error:.3f}",
                "the best q(z) of the family: {gap_examples} examples, k = {gap_k}, {gap_steps} steps",
            ),
            (
                "amortisation gap",
                "{amortisation_gap:.3f} ± {amortisation_gap_error:.3f}",
                "the encoder instead of the best q(z)",
            ),
        ],
    ),
    (
        "protocol",
        [
            ("data", "{dataset}", "binarisation {binarisation}, data seed {data_seed}"),
            ("examples", "{train_examples} / {validation_examples} / {test_examples}", "training, validation, test"),
            (
                "training",
                "step {step} of {num_steps}",
                "parameters of epoch {parameters_of_epoch}, {training_seconds:.0f} s, seed {train_seed}",
            ),
            ("evaluation seed", "{evaluation_seed}", ""),
        ],
    ),
]


def table(result: dict[str, Any], title: str) -> Group:
    """All numbers of an evaluation with what each means; what was not measured is left out."""
    values = dict(result)
    if "log_marginal" in result:
        values |= {"active": active_of(result), "unreliable": result["fraction_pareto_k_above_0.7"]}
    if "codes_used" in result:
        values["used"] = used_of(result)
    parts: list[Any] = [Text(title, style="bold"), *sections(values, _TABLE)]
    if "warning" in values:
        parts.append(Text(f"warning: {values['warning']}", style="yellow"))
    return Group(*parts)


def sections(values: dict[str, Any], chosen: Sequence[Section]) -> list[Table]:
    """The sections of a table of which something was measured."""
    parts = []
    for section, rows in chosen:
        grid = Table(title=Text(section, style="bold"), title_justify="left", show_header=False, box=None)
        grid.add_column(min_width=21)
        grid.add_column(min_width=17)
        grid.add_column(style="dim")
        for row in rows:
            # A field that is missing was not measured for this model.
            if all(field in values for part in row for _, field, _, _ in Formatter().parse(part) if field):
                grid.add_row(*(part.format_map(values) for part in row))
        if grid.row_count:
            parts.append(grid)
    return parts


def write_evaluation(run: Run, result: dict[str, Any], epoch: int | None = None) -> Path:
    """RUN/evaluation.json, or evaluation-epoch-N.json of a snapshot.

    What an earlier evaluation of the same parameters and examples found, and this one did not look at, stays.
    """
    path = evaluation_file(run, epoch, ".json")
    before = json.loads(path.read_text()) if path.is_file() else {}
    if before.get("measured") == result["measured"]:
        result = before | result
    # JSON has no infinity and no NaN: what is not known is null.
    known = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in result.items()}
    write_whole(path, json.dumps(known, indent=2, allow_nan=False) + "\n")
    return path
