"""A second pull asks one question, and believes only the answer that it expects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from conftest import Command, Place
from integration.registry import Handler, Layout, Server


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    """A registry with one image."""
    layout = Layout(place.base / "layout")
    layout.image("one", [{"file": b"first"}])
    made = Server(layout)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def asked(server: Server, since: int) -> list[str]:
    """Requests from the one on."""
    return [f"{method} {path}" for method, path, _ in server.requests[since:]]


def test_one_request_where_nothing_changed(rootless: Command, server: Server) -> None:
    first = rootless("pull", "-q", server.name).stdout
    before = len(server.requests)
    assert rootless("pull", "-q", server.name).stdout == first
    assert asked(server, before) == ["HEAD /v2/team/app/manifests/one"]


def test_what_changed_is_fetched(rootless: Command, server: Server) -> None:
    first = rootless("pull", "-q", server.name).stdout
    server.layout.entries.clear()
    server.layout.image("one", [{"file": b"second"}])
    assert rootless("pull", "-q", server.name).stdout != first


@pytest.mark.parametrize(
    "answer", ["401", "500", "no digest", "another digest", "nonsense", "close"]
)
def test_other_answers_are_for_the_whole_client(
    rootless: Command, server: Server, answer: str
) -> None:
    first = rootless("pull", "-q", server.name).stdout
    seen: list[str] = []

    def fault(handler: Handler) -> bool:
        if handler.command != "HEAD" or seen:
            return False
        seen.append(handler.path)
        if answer in ("401", "500"):
            handler.reply(int(answer))
        elif answer == "nonsense":
            handler.connection.sendall(b"\xff" * 70_000)
            handler.close_connection = True
        elif answer == "close":
            handler.close_connection = True
        else:
            digest = (
                {} if answer == "no digest" else {"Docker-Content-Digest": "sha256:" + "0" * 64}
            )
            handler.reply(200, b"", digest)
        return True

    server.fault = fault
    assert rootless("pull", "-q", server.name).stdout == first
    assert seen


def test_a_missing_blob_is_fetched_although_nothing_changed(
    rootless: Command, place: Place, server: Server
) -> None:
    first = rootless("pull", "-q", server.name).stdout
    record = json.loads((place.data / f"images/records/{first.strip()}.json").read_text())
    blob = place.data / "content/blobs/sha256" / record["layers"][0]["digest"][7:]
    blob.unlink()
    assert rootless("pull", "-q", server.name).stdout == first
    assert blob.exists()


def test_a_policy_is_asked_as_ever(rootless: Command, place: Place, server: Server) -> None:
    rootless("pull", "-q", server.name)
    directory = place.home / ".config/containers"
    directory.mkdir(parents=True)
    (directory / "policy.json").write_text('{"default": [{"type": "reject"}]}')
    assert "not trusted" in rootless("pull", "-q", server.name, code=125).stderr


def test_a_registry_that_is_blocked_stays_blocked(
    rootless: Command, place: Place, server: Server
) -> None:
    rootless("pull", "-q", server.name)
    directory = place.home / ".config/containers"
    directory.mkdir(parents=True)
    (directory / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{server.host}"\nblocked = true\n'
    )
    assert "blocked" in rootless("pull", "-q", server.name, code=125).stderr
