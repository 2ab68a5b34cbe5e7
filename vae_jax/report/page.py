"""`report.html`: a run as one page that needs nothing else, to look at, to explore and to hand on."""

import base64
import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from vae_jax.config.files import to_json
from vae_jax.core.files import write_whole
from vae_jax.measure.measurement import Measurement
from vae_jax.measure.subject import Subject
from vae_jax.pictures.plane import Plane, Sheet, plane_of
from vae_jax.pictures.run import followed, followed_name
from vae_jax.report.origin import made_by, title_of
from vae_jax.report.table import filled, sections_of
from vae_jax.train.files import REPORT, read_metrics

_TEMPLATE = Path(__file__).with_name("page.html")
# What the pictures of a run show, for those who do not see them.
_SHOWS = {
    "training_curve": "The bound or the loss of training and validation after each epoch",
    "latent": "Codes of test examples",
    "codes": "Test examples, and the numbers of their codes as shades",
    "reconstructions": "Test examples, and what their codes decode to",
    "denoised": "Test examples, the same spoilt as in training, and what the model makes of those",
    "samples": "Samples of the model",
    "conditions": "Samples under each condition",
    "manifold": "What the plane of codes decodes to",
    "traversals": "What changes as one number of a code does",
    "interpolation": "What lies between two test strings",
    "neighbourhood": "What lies around one test string",
    "interpolations": "What lies between two test examples, on a line and on an arc",
    "j_diagram": "What lies between three test examples, and their analogy",
    "classes": "Test examples moved towards a class",
    "tsne": "Codes of test examples by t-SNE, which keeps neighbours together",
    "umap": "Codes of test examples by UMAP, which keeps neighbours together",
    "likeliest_codes": "Test examples, and what the encoder's codes and the most probable ones decode to",
    "layers": "How much each layer tells of an example",
    "temperatures": "Samples, the scale of every layer times a temperature",
    "layer_by_layer": "Samples of which more and more layers are drawn; those below are at their means",
}


def write_page(
    subject: Subject,
    result: dict[str, Any],
    measurements: Sequence[Measurement],
    pictures: Sequence[Path],
    *,
    version: str,
) -> Path:
    """Write RUN/report.html: the curve, the numbers, the pictures, and where codes are vectors a plane to explore."""
    path = subject.run.directory / REPORT
    write_whole(path, page(subject, result, measurements, pictures, version=version))
    return path


def page(
    subject: Subject,
    result: dict[str, Any],
    measurements: Sequence[Measurement],
    pictures: Sequence[Path],
    *,
    version: str,
) -> str:
    """The page as text. Nothing in it is fetched from elsewhere."""
    run = subject.run
    plane = plane_of(subject)
    lines = read_metrics(run.directory)
    # A run with best parameters has finished an epoch.
    name = followed(lines[0])
    data = {
        "curve": {
            "name": f"{followed_name(subject, name)}, nats per example",
            "kept": subject.progress["parameters_of_epoch"],
            "series": [
                {"name": title, "points": _points(lines, split, name)}
                for title, split in (("training", "train"), ("validation", "validation"))
            ],
        },
        "plane": None if plane is None else _plane(plane),
    }
    parts = {
        "title": html.escape(run.directory.name),
        "description": html.escape(title_of(run.config)),
        "explore": "" if plane is None else _EXPLORE,
        "tables": _tables(subject, result, measurements),
        "pictures": "\n".join(map(_picture, pictures)),
        "command": html.escape(made_by(run.config)),
        "config": html.escape(to_json(run.config)),
        "versions": f"vae_jax {version}, jax {jax.__version__}",
        # A text in the data must not end the script that holds them.
        "data": json.dumps(data, allow_nan=False, default=float).replace("<", "\\u003c"),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for part, content in parts.items():
        text = text.replace(f"<!-- {part} -->", content)
    return text


def _points(lines: Sequence[dict[str, Any]], split: str, name: str) -> list[list[float]]:
    """The epochs with a number."""
    points = [[line["epoch"], line[split][name]] for line in lines if line[split]]
    return [point for point in points if math.isfinite(point[1])]


_EXPLORE = """<section aria-labelledby="explore">
<h2 id="explore">The codes, and what they decode to</h2>
<p>Every point is the code of a test example. Move the pointer, or the arrow keys once the plane has the focus: beside
it stands what the place decodes to, and the example whose code is nearest.</p>
<div class="plane">
<canvas id="plane" tabindex="0" role="img" aria-label="The plane of codes" aria-describedby="place"></canvas>
<div class="seen">
<figure><canvas id="decoded" role="img" aria-label="What the place decodes to"></canvas>
<figcaption>decoded</figcaption></figure>
<figure><canvas id="nearest" role="img" aria-label="The test example whose code is nearest"></canvas>
<figcaption>nearest example</figcaption></figure>
<p id="place" aria-live="polite"></p>
<ul id="legend"></ul>
</div></div></section>"""


def _source(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _sheet(sheet: Sheet) -> dict[str, Any]:
    return sheet._asdict() | {"png": _source(sheet.png)}


def _plane(plane: Plane) -> dict[str, Any]:
    sheets = {"places": _sheet(plane.places), "examples": _sheet(plane.examples)}
    return plane._asdict() | sheets | {"points": plane.points.round(4).tolist()}


def _picture(path: Path) -> str:
    name = html.escape(_SHOWS[path.stem])
    return f'<figure><img src="{_source(path.read_bytes())}" alt="{name}"><figcaption>{name}</figcaption></figure>'


def _tables(subject: Subject, result: dict[str, Any], measurements: Sequence[Measurement]) -> str:
    if not result:
        return "<p>Not measured yet: <code>vae-jax evaluate RUN</code>.</p>"
    tables = []
    for title, rows in filled(sections_of(subject, measurements), result).items():
        cells = [[html.escape(cell) for cell in row] for row in rows]
        body = "\n".join(f'<tr><th scope="row">{row[0]}</th><td>{row[1]}</td><td>{row[2]}</td></tr>' for row in cells)
        head = "".join(f'<th scope="col">{column}</th>' for column in ("number", "value", "what it says"))
        caption = f"<caption>{html.escape(title)}</caption>"
        tables.append(f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>")
    return "\n".join(tables)
