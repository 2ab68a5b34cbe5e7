import sys
from types import SimpleNamespace

import pytest

from vae_jax.report.hub import push_folder


def test_a_folder_is_uploaded_to_a_repository_that_is_made(monkeypatch, tmp_path) -> None:
    calls = []

    class Api:
        def create_repo(self, repository, *, exist_ok):
            calls.append(("create", repository, exist_ok))

        def upload_folder(self, *, repo_id, folder_path):
            calls.append(("upload", repo_id, folder_path))
            return "address"

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=Api))
    assert push_folder(tmp_path, "me/model") == "address"
    assert calls == [("create", "me/model", True), ("upload", "me/model", tmp_path)]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'vae-jax\[huggingface\]'"):
        push_folder(tmp_path, "me/model")
