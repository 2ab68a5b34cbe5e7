"""An autoencoder compresses only what resembles its data: digits against clothes, as a score and a picture.

    python benchmarks/resemblance.py RUNS DATA_DIR [PICTURE]

Trains the config `autoencoder` on the intensities of MNIST and of Fashion-MNIST into RUNS (what is not there yet), and
shows both test sets to both. The score of an image is the share of it that is lost: its squared error, over that of the
mean image of what the model was trained on. AUROC is how often an image of the other kind has the larger one.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from founding_curves import trained
from sklearn.metrics import roc_auc_score

from vae_jax.data import load
from vae_jax.evaluate.representation import reconstruction_errors
from vae_jax.measure.subject import subject_of
from vae_jax.pictures import plots
from vae_jax.train.run import load_state, open_run

DATASETS = ("mnist", "fashion_mnist")
COLUMNS = 12


def decoded(model: Any, params: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(jax.vmap(lambda x: model.decode(params, model.encode(params, x).mean).mean)(x))


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    runs, data_dir = Path(sys.argv[1]), Path(sys.argv[2])
    rows, names = [], []
    for own in DATASETS:
        directory = runs / f"autoencoder-{own}-intensities"
        changed = ["--dataset", own, "--binarisation", "none", "--likelihood", "normal"]
        trained(["autoencoder", *changed, "--data-dir", str(data_dir)], directory)
        run = open_run(directory)
        subject = subject_of(run, load_state(run))
        model, params = subject.coder, subject.params
        mean = run.dataset.mean()
        errors = {}
        for seen in DATASETS:
            data = load(seen, data_dir=data_dir, binarisation=run.config.data.binarisation)
            x = subject.prepared(data, data.test)
            squared = reconstruction_errors(model, params, x)
            errors[seen] = squared / np.mean(np.square(x - mean), axis=(1, 2, 3))
            shown = np.asarray(x[:COLUMNS])
            rows += [shown, decoded(model, params, shown)]
            names += [seen, f"by {own}"]
            print(
                f"trained on {own:13}, shown {seen:13}: squared error {squared.mean():.4f}, "
                f"lost {errors[seen].mean():.1%}"
            )
        other = next(name for name in DATASETS if name != own)
        labels = np.repeat([0, 1], [len(errors[own]), len(errors[other])])
        score = roc_auc_score(labels, np.concatenate([errors[own], errors[other]]))
        print(f"trained on {own:13}: AUROC of the share lost against {other}: {score:.4f}")
    picture = sys.argv[3] if len(sys.argv) > 3 else "docs/resemblance.png"
    title = "an autoencoder of digits and one of clothes, on digits and clothes"
    plots.show_images(np.stack(rows), title=title, row_names=names).savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
