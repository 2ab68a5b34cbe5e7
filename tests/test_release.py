"""What a release carries away from the repository: absolute addresses, in the page that an index shows."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".github" / "addresses.py"
ADDRESS, TAG = "https://example.org/us/vae_jax", "v0.2.0"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="a checkout has the workflows, a source release does not")


def addressed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *words], cwd=folder, capture_output=True, text=True, check=False)


def test_every_link_of_a_released_page_is_absolute_and_leads_to_a_file(tmp_path):
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    assert addressed(tmp_path, ADDRESS + "/", TAG).returncode == 0

    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", readme)
    assert len(links) > 20
    for picture, target in links:
        start = f"{ADDRESS}/{'raw' if picture else 'blob'}/{TAG}/"
        assert target.startswith(start)
        assert (ROOT / target.removeprefix(start)).is_file()
    # Nothing else of the page has changed.
    relative = re.sub(re.escape(ADDRESS) + "/(raw|blob)/" + re.escape(TAG) + "/", "", readme)
    assert relative == (ROOT / "README.md").read_text(encoding="utf-8")

    before = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    after = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))
    named = after["project"].pop("urls")
    assert named["Repository"] == ADDRESS
    assert named["Changelog"] == f"{ADDRESS}/blob/{TAG}/CHANGELOG.md"
    assert after == before


def test_a_second_time_and_missing_words_are_refused_and_change_nothing(tmp_path):
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    assert "expected an address and a tag, got 1 words" in addressed(tmp_path, ADDRESS).stderr
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    addressed(tmp_path, ADDRESS, TAG)
    once = (tmp_path / "README.md").read_bytes()
    again = addressed(tmp_path, ADDRESS, TAG)
    assert again.returncode == 1
    assert "run this once" in again.stderr
    assert (tmp_path / "README.md").read_bytes() == once
