"""Downloads against a local server through HF_ENDPOINT: whole, resumed after a cut, wrong hash, gone, cancelled."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.errors import Cancelled, MenagerieError
from backend.weights.fetch import fetch, licence_text
from backend.weights.manifest import Entry, find_entry, locate, write_manifest

DATA = os.urandom(1 << 20) * 24
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """One file. data: what is served; cut: bytes after which the connection is closed and the file gone; requests: what was asked.

    The library writes blocks of 10 MiB: a cut loses at most one.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.cut, self.gone = DATA, 0, False
        self.requests: list[tuple[str, str, str]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        server = self.server
        server.requests.append((self.command, self.path, self.headers.get("Range", "")))
        if server.gone or not self.path.startswith("/spaces/someone/thing/resolve/"):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(self.headers["Range"].split("=")[1].split("-")[0]) if "Range" in self.headers else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(server.data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(server.data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        self.end_headers()
        if not body:
            return
        end = len(server.data)
        if server.cut:
            end, server.gone = start + server.cut, True
        self.wfile.write(server.data[start:end])
        if end < len(server.data):
            self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path / "Gewichte ü"))
    entry = Entry(
        "thing", "test", "ckpts/thing.safetensors", len(DATA), hashlib.sha256(DATA).hexdigest(), "safetensors", "CC-BY-NC-SA-4.0",
        "someone", "a Space", False, "someone/thing", "", "space",
    )  # fmt: skip
    write_manifest({entry.id: entry}, tmp_path / "weights_manifest.json")
    return tmp_path / "weights_manifest.json"


def code_of(**options) -> str:
    with pytest.raises(MenagerieError) as caught:
        fetch("thing", accept_licence=True, **options)
    return caught.value.code


def test_a_whole_download_is_verified_and_its_revision_recorded(server, manifest):
    seen: list[float] = []
    path = fetch("thing", accept_licence=True, progress=lambda stage, fraction, preview=None: seen.append(fraction), manifest=manifest)
    assert path.read_bytes() == DATA
    assert path == locate(find_entry("thing", manifest), manifest)
    assert (path.parent / "revision.txt").read_text().strip() == COMMIT
    assert sorted(p.name for p in path.parent.iterdir()) == ["revision.txt", "thing.safetensors"]
    assert seen[0] == 0 and seen[-1] == 1 and any(0 < f < 1 for f in seen)
    asked = len(server.requests)
    assert fetch("thing", accept_licence=True, manifest=manifest) == path
    assert len(server.requests) == asked


def test_nothing_is_asked_before_the_licence_is_accepted(server, manifest):
    with pytest.raises(MenagerieError) as caught:
        fetch("thing", accept_licence=False, manifest=manifest)
    assert caught.value.code == "bad_request"
    assert caught.value.remedy == licence_text(find_entry("thing", manifest)) and "CC-BY-NC-SA-4.0" in caught.value.remedy
    assert server.requests == []


def test_a_cut_download_goes_on_where_it_stopped(server, manifest):
    server.cut = 15 << 20
    assert code_of(manifest=manifest) == "weights_download"
    server.cut, server.gone = 0, False
    server.requests.clear()
    path = fetch("thing", accept_licence=True, manifest=manifest)
    assert path.read_bytes() == DATA
    ranges = [span for method, _, span in server.requests if method == "GET"]
    assert ranges and all(int(span.split("=")[1].split("-")[0]) > 0 for span in ranges)


def test_another_file_of_the_same_size_is_removed_unopened(server, manifest):
    server.data = bytes(len(DATA))
    assert code_of(manifest=manifest) == "weights_damaged"
    assert not locate(find_entry("thing", manifest), manifest).exists()
    server.data = DATA
    assert fetch("thing", accept_licence=True, manifest=manifest).read_bytes() == DATA


def test_a_file_of_another_size_is_not_downloaded(server, manifest):
    server.data = DATA[:-1]
    assert code_of(manifest=manifest) == "weights_damaged"
    assert all(method == "HEAD" for method, _, _ in server.requests)


def test_a_file_that_is_gone_is_a_coded_error(server, manifest):
    server.gone = True
    assert code_of(manifest=manifest) == "weights_download"


def test_no_server_is_a_coded_error(manifest, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert code_of(manifest=manifest) == "weights_download"


def test_cancel_leaves_a_download_that_can_go_on(server, manifest):
    def stop(stage: str, fraction: float, preview: object = None) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch("thing", accept_licence=True, progress=stop, manifest=manifest)
    assert not locate(find_entry("thing", manifest), manifest).exists()
    assert fetch("thing", accept_licence=True, manifest=manifest).read_bytes() == DATA


def test_only_the_named_server_is_asked_and_no_token_is_sent(server, manifest):
    fetch("thing", accept_licence=True, manifest=manifest)
    assert {path for _, path, _ in server.requests} == {"/spaces/someone/thing/resolve/main/ckpts/thing.safetensors"}
