"""The shell blocks of the README and the site, typed in their order: each command ends well.

They are typed in a folder that holds what a page speaks of, as printed but smaller: an epoch, few samples, images of 16
by 16, and `--quick`, which stands in for datasets that must be downloaded too.
"""

import re
import shlex
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.runs import experiment, trained
from tests.test_docs import PAGES, text
from vae_jax.cli import main

# What only another machine can do: several hosts, the Hub, a converter that no extra of ours installs.
ELSEWHERE = ("--distributed", "--push", "--onnx")
FEWER = dict.fromkeys(("--epochs", "--seeds", "--autoregressive-layers"), "1")
FEWER |= {"--image-size": "16", "--k": "20", "--temperatures": "20", "--ais": "2"}
SMALL = {"images": ["--image-size", "16"], "equations": ["--recurrent-size", "8"], "zinc": ["--recurrent-size", "8"]}


def typed(page: str) -> list[list[str]]:
    """The words of the `vae-jax` commands of a page's shell blocks, but for what only another machine can do."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text(page), re.DOTALL)).replace("\\\n", " ")
    found = [shlex.split(line, comments=True)[1:] for line in blocks.splitlines() if line.startswith("vae-jax ")]
    return [words for words in found if not set(ELSEWHERE) & set(words)]


def shortened(words: list[str]) -> list[str]:
    """The same command for seconds, of runs that are there: one of `--quick` says so in its name."""
    words = [FEWER.get(flag, word) for flag, word in zip(["", *words], words, strict=False)]
    words = ["runs/digits" if word == "RUN" else word for word in words]
    words = [f"{word}-quick" if Path(f"{word}-quick").is_dir() and not Path(word).exists() else word for word in words]
    if words[0] == "search":
        return [*words, "--rounds", "1", "--batch", "5", "--start", "20"]
    if words[0] not in ("train", "sweep"):
        return words
    if "DIR" in words:
        place = words.index("--data-dir")
        words = [*words[:place], *words[place + 2 :]]
    added = [["--quick"], ["--epochs", "1"], SMALL.get(words[1], [])]
    return words + [word for flag in added if not set(flag[:1]) & set(words) for word in flag]


def write_data(folder: Path) -> None:
    """What the pages call by name: photos, a table with gaps, strings, a grammar, arrays."""
    digits = load_digits()
    for name, photos in (("photos", digits.images[:400]), ("other_photos", digits.images[400:420])):
        (folder / name).mkdir()
        for number, photo in enumerate(photos):
            Image.fromarray((photo * 15).astype(np.uint8)).resize((16, 16)).save(folder / name / f"{number}.png")
    np.savez(folder / "my_images.npz", x=(digits.images[:400] * 15).astype(np.uint8))
    random = np.random.default_rng(0)
    heights = [f"{random.normal(170, 9):.1f}" if number % 7 else "" for number in range(300)]
    rows = [f"{n},{random.poisson(40)},{'fm'[n % 2]},{x},{random.normal(70, 9):.2f}" for n, x in enumerate(heights)]
    (folder / "people.csv").write_text("\n".join(["id,age,sex,height,weight", *rows]) + "\n")
    parts = ["x", "1", "2", "sin(x)", "x*x", "exp(x)", "x/3", "sin(x*2)"]
    (folder / "my.txt").write_text("".join(f"{a}+{b}\n" for a in parts for b in parts) * 4)
    groups = ["C", "O", "N", "CC", "C(=O)", "c1ccccc1", "C(C)", "C#C"]
    (folder / "my.smi").write_text("".join(f"C{a}{b}{c}C\n" for a in groups for b in groups for c in groups[:6]))
    shutil.copy(files("vae_jax") / "languages/grammars/equations.lark", folder / "my.lark")
    np.save(folder / "log_weights.npy", random.normal(-90, 1, (20, 50)))
    np.save(folder / "codes.npy", random.normal(size=(200, 4)))
    np.save(folder / "factors.npy", random.integers(3, size=(200, 2)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, digits, strings_run) -> Path:
    """The data, and runs that a page takes for trained and measured."""
    folder = tmp_path_factory.mktemp("pages")
    write_data(folder)
    shutil.copytree(strings_run[0].directory, folder / "runs" / "equations")
    shutil.copytree(digits[0].directory, folder / "runs" / "digits")
    trained(folder / "runs" / "digits-2", experiment(epochs=2))
    for name, same in (("digits", "a"), ("digits-2", "b")):
        assert main(["evaluate", str(folder / "runs" / name)]) == 0
        shutil.copytree(folder / "runs" / name, folder / "runs" / same)
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)])
def test_its_commands_end_well(
    page: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for words in typed(page):
        assert main(shortened(words)) == 0, (shlex.join(words), capsys.readouterr().err)
