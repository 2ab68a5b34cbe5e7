"""A stand-in for the Hub on this machine: it keeps what huggingface_hub commits to a repository."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Hub(ThreadingHTTPServer):
    """`files`: the bytes of each path of each repository, `{repository: {path: bytes}}`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("localhost", 0), _Answers)
        self.files: dict[str, dict[str, bytes]] = {}

    @property
    def address(self) -> str:
        return f"http://localhost:{self.server_port}"

    def create(self, body: bytes) -> dict:
        asked = json.loads(body)
        repository = f"{asked['organization']}/{asked['name']}"
        self.files.setdefault(repository, {})
        return {"url": f"{self.address}/{repository}"}

    def preupload(self, repository: str, body: bytes) -> dict:
        paths = [file["path"] for file in json.loads(body)["files"]]
        return {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]}

    def commit(self, repository: str, body: bytes) -> dict:
        lines = [json.loads(line) for line in body.splitlines()]
        added = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
        self.files[repository] |= {path: base64.b64decode(content) for path, content in added.items()}
        return {"commitUrl": f"{self.address}/{repository}/commit/0", "commitOid": "0"}


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.path.split("/")[2:]:
            case ["repos", "create"]:
                answer = self.server.create(body)
            case ["validate-yaml"]:
                answer = {"warnings": [], "errors": []}
            case ["models", owner, name, "preupload", "main"]:
                answer = self.server.preupload(f"{owner}/{name}", body)
            case ["models", owner, name, "commit", "main"]:
                answer = self.server.commit(f"{owner}/{name}", body)
            case _:
                self.send_error(404)
                return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that answers while the block runs; huggingface_hub takes it for the real one until the test ends."""
    pytest.importorskip("huggingface_hub")
    with Hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            hub.shutdown()
