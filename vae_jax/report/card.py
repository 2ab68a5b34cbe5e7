"""The card of an exported model: what it is, what was measured, and how it is loaded."""

from typing import Any

import jax

from vae_jax.config.fields import Experiment
from vae_jax.config.files import to_json
from vae_jax.measure.subject import Subject
from vae_jax.report.origin import title_of
from vae_jax.train.files import is_of_a_command

_LOAD = """```python
from pathlib import Path

from jax import export
import numpy as np

decode = export.deserialize(bytearray(Path("decode.jaxexport").read_bytes())).call
x = decode({z})  # any number of codes
```"""


def model_card(subject: Subject, measured: dict[str, Any], *, k: int, version: str) -> str:
    """The card as Markdown, with the header that the Hugging Face Hub reads."""
    run, dataset = subject.run, subject.run.dataset
    sizes = ", ".join(str(size) for size in dataset.shape)
    lines = [
        "---",
        "library_name: vae_jax",
        "tags: [vae, variational-autoencoder, jax]",
        "license: other",
        "license_name: unknown",
        "---",
        "",
        f"# {title_of(run.config)}",
        "",
        f"A model of `{dataset.name}`, trained with vae_jax {version}. Its licence is not known: set `license` above.",
        "",
        "## What is in it",
        "",
        f"- System `{run.config.system}`, likelihood `{subject.likelihood}`, codes of {subject.code_size} numbers.",
        f"- One example has the shape ({sizes}); the model sees {_seen(subject)}.",
        f"- {len(dataset.train.x)} training examples, parameters of epoch {subject.progress['parameters_of_epoch']}.",
        "",
        "## What was measured",
        "",
        *_measured(measured, run.config),
        "",
        "## How to load it",
        "",
        "By `pip install jax flatbuffers`, on CPU, CUDA or TPU. `encode(x)`, `decode(z)`, `sample(seeds)` and "
        "`log_marginal(seeds, x)` "
        f"(nats, k = {k}; seeds are uint32, one for each example) are there where the model has them:",
        "",
        _LOAD.replace("{z}", _seven(subject.z)),
        "",
        "The parameters are in `params.safetensors`; `params.json` says the shape of each.",
        "",
        *_made(run.config),
    ]
    return "\n".join(lines)


def _made(config: Experiment) -> list[str]:
    """The config, where the model is one of a config."""
    if not is_of_a_command(config):
        return ["The model was made in Python; of its config only `optimizer` and `train` say how it came to be.", ""]
    return ["The config:", "", "```json", to_json(config).strip(), "```", ""]


def _seven(z: Any) -> str:
    """Seven codes of zeros, as they are written: an array, or a tuple of one for each layer."""
    arrays = [f"np.zeros({(7, *leaf.shape)}, np.{leaf.dtype})" for leaf in jax.tree.leaves(z)]
    return arrays[0] if jax.tree_util.all_leaves([z]) else f"({', '.join(arrays)},)"


def _seen(subject: Subject) -> str:
    dataset = subject.run.dataset
    if dataset.grammar is not None:
        return f"numbers of the rules of a grammar, and {dataset.levels} after the end of a string"
    if dataset.is_binary:
        return "bits"
    if dataset.columns is not None:
        return "rows of a table: " + ", ".join(f"{c.name} ({c.family})" for c in dataset.columns) + "; NaN is a gap"
    if dataset.as_counts:
        return f"counts 0..{dataset.levels}" if subject.is_bounded else "counts"
    return "real numbers" if dataset.levels is None else f"counts divided by {dataset.levels}"


def _measured(measured: dict[str, Any], config: Experiment) -> list[str]:
    if not measured:
        return [f"Nothing yet: `{'vae-jax evaluate RUN' if is_of_a_command(config) else 'fitted.evaluate()'}`."]
    lines = []
    if "log_marginal" in measured:
        what, how = "log p(x)", f", importance-weighted, k = {measured['k']}, {measured.get('certainty')}"
        if "certainty" not in measured:
            # Where x has one code there is nothing to draw.
            what, how = "log p(x, z) at the one code z of x, a lower bound of log p(x)", ""
        lines.append(
            f"- {what}: {measured['log_marginal']:.2f} nats per test example{how}; ± "
            f"{measured['test_examples_error']:.2f} from the choice of {measured['evaluated_examples']} examples"
        )
    names = {"elbo": "ELBO", "rate": "rate", "distortion": "distortion", "bits_per_dimension": "bits per dimension"}
    names |= {"reconstruction_error": "mean squared error of an element", "probe_accuracy": "linear probe, accuracy"}
    lines += [f"- {title}: {measured[name]:.4g}" for name, title in names.items() if name in measured]
    protocol = ("dataset", "binarisation", "data_seed", "train_seed", "evaluation_seed")
    return [*lines, "- " + ", ".join(f"{name.replace('_', ' ')} {measured[name]}" for name in protocol)]
