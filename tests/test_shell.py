"""The shell blocks of the README and the site, typed in their order: each command ends well.

They are typed in a folder that holds what a page speaks of, as printed but smaller: an epoch, few samples, images of 16
by 16, and `--quick`, which stands in for datasets that must be downloaded too.
"""

import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.hub import local_hub
from tests.runs import experiment, trained
from tests.test_docs import PAGES, ROOT, text
from vae_jax.cli import main
from vae_jax.train.files import METRICS

FEWER = dict.fromkeys(("--epochs", "--seeds", "--autoregressive-layers"), "1")
FEWER |= {"--batch-size": "32", "--image-size": "16", "--k": "20", "--temperatures": "20", "--ais": "2"}
SMALL = {"images": ["--image-size", "16"], "equations": ["--recurrent-size", "8"], "zinc": ["--recurrent-size", "8"]}


def typed(page: str) -> list[list[str]]:
    """The words of the `vae-jax` commands of a page's shell blocks."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text(page), re.DOTALL)).replace("\\\n", " ")
    found = [re.match(r"(?:srun )?vae-jax (.*)", line) for line in blocks.splitlines()]
    return [shlex.split(line[1], comments=True) for line in found if line]


def of_one_process(page: str) -> list[list[str]]:
    return [words for words in typed(page) if "--distributed" not in words]


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


# Pages whose commands train most, or repeat those of the README; they run with `pytest -m slow`.
LONG = {"measuring.md", "parts.md", "start.md", "strings.md"}
LONG |= {f"how/{name}.md" for name in ("images", "resume", "sweep", "table")}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page in LONG else page for page in PAGES if of_one_process(page)],
)
def test_its_commands_end_well(
    page: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with local_hub(monkeypatch):
        for words in of_one_process(page):
            if "--onnx" in words and not importlib.util.find_spec("jax2onnx"):
                continue  # No extra of ours installs it.
            assert main(shortened(words)) == 0, (shlex.join(words), capsys.readouterr().err)


# JAX takes a port from the number of the job, among the highest.
FIRST_PORT = 65536 - 2**12


def job() -> int:
    """The number of a job whose port is free."""
    for number in np.random.default_rng().permutation(2**12):
        with socket.socket() as listener:
            if listener.connect_ex(("localhost", FIRST_PORT + number)):
                return int(number)
    raise AssertionError("no port is free")


def told_by(launcher: str, job: int, process: int) -> dict[str, str]:
    """What a launcher of two processes on this machine says to one of them."""
    if launcher == "SLURM":
        counts = {"NTASKS": 2, "PROCID": process, "LOCALID": process}
        said = {"SLURM_JOB_ID": job, "SLURM_STEP_NODELIST": "localhost"} | {f"SLURM_{n}": i for n, i in counts.items()}
    else:
        counts = {"SIZE": 2, "RANK": process, "LOCAL_RANK": process}
        said = {f"OMPI_COMM_WORLD_{name}": count for name, count in counts.items()}
        said |= {"OMPI_MCA_orte_hnp_uri": f"{job * 2**12}.0;tcp://127.0.0.1:9"}
    return {name: str(value) for name, value in said.items()}


COMMANDS = [words for page in PAGES for words in typed(page) if "--distributed" in words]
ALONE = [words for words in COMMANDS if words[-1] == "--distributed"]
BY_HAND = [words for words in COMMANDS if words not in ALONE]


@pytest.mark.parametrize(
    "launcher", ["SLURM", *(pytest.param(name, marks=pytest.mark.slow) for name in ("Open MPI", "by hand"))]
)
def test_two_processes_train_one_run(launcher: str, tmp_path: Path) -> None:
    number, ends = job(), []
    commands = BY_HAND if launcher == "by hand" else [ALONE[launcher != "SLURM"]] * 2
    with ThreadPoolExecutor() as pool:
        for process, words in enumerate(commands):
            words = [f"localhost:{FIRST_PORT + number}" if ":" in word else word for word in shortened(words)]
            words = [str(tmp_path / "run") if before == "--out" else word for before, word in pairwise(["", *words])]
            told = {} if launcher == "by hand" else told_by(launcher, number, process)
            environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)} | told
            command = [sys.executable, "-m", "vae_jax.cli", *words]
            run = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
            ends.append(pool.submit(run, command))
    for end in ends:
        assert end.result().returncode == 0, end.result().stderr[-3000:]
    first, second = (end.result().stdout for end in ends)
    assert "devices: 2 of 2 (cpu), --mesh data=2" in first
    assert "epoch" not in second
    assert len((tmp_path / "run" / METRICS).read_text(encoding="utf-8").splitlines()) == 1
