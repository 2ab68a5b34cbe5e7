import sys

import pytest

from tests.hub import local_hub
from vae_jax.report.hub import push_folder


def test_a_folder_is_uploaded_to_a_repository_that_is_made(monkeypatch, tmp_path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nA model.\n", encoding="utf-8")
    (tmp_path / "params.safetensors").write_bytes(bytes(range(256)))
    with local_hub(monkeypatch) as hub:
        address = push_folder(tmp_path, "me/model")
    assert address.startswith(f"{hub.address}/me/model/")
    assert hub.files == {"me/model": {path.name: path.read_bytes() for path in tmp_path.iterdir()}}


def test_without_its_client_there_is_a_recipe(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'vae-jax\[huggingface\]'"):
        push_folder(tmp_path, "me/model")
