"""Versions of documents on disk: written, migrated, and refused where they are newer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rootless.engine.containers import lazy_server, lazy_start
from rootless.engine.containers import record as container_record
from rootless.engine.containers import state as container_state
from rootless.engine.health import config as health_config
from rootless.engine.systemd import quadlet, rollback_log
from rootless.errors import DamagedDocument, NewerDocument
from rootless.images import record as image_record
from rootless.images.record import ImageRecord, Layer
from rootless.images.store import fsck, ingest
from rootless.images.store import index as image_index
from rootless.images.store.store import ImageStore
from rootless.images.transfer.manifest_lists import Lists

TREE = Path(__file__).resolve().parents[2]
ID = "0123456789abcdef" * 4
# what the first version that could be installed wrote, which had no number
OLD: dict[str, Any] = {
    "id": ID, "name": "c", "created": 1.5, "image": "busybox:test", "imageId": ID, "layers": [],
    "command": ["true"], "labels": {"a": "b"},
    "maps": {"uids": [[0, 1000, 1]], "gids": [[0, 1000, 1]], "why": "", "caller": [1000, 1000],
             "single": True},
    "driver": "copy", "network": "none", "ports": [], "mounts": [], "anonymous": [],
    "restart": "no", "remove": False, "tty": False, "stdin": False, "stopSignal": "SIGTERM",
    "stopTimeout": 10, "logDriver": "none", "logPath": "", "runtime": "rootless",
    "cgroup": {"resources": {}},
}  # fmt: skip


def written(directory: Path, **changes: object) -> Path:
    """A record of a container, with changes."""
    path = directory / "container.json"
    path.write_text(json.dumps({**OLD, **changes}))
    return path


def test_a_record_without_a_version_is_migrated(tmp_path: Path) -> None:
    written(tmp_path)
    found = container_record.read(str(tmp_path), ID)
    assert found["version"] == container_record.VERSION
    assert {key: found[key] for key in OLD if key != "cgroup"} == {  # type: ignore[literal-required]
        key: value for key, value in OLD.items() if key != "cgroup"
    }
    assert found["cgroup"] == {"resources": {}, "parent": ""}
    assert (found["service"], found["health"], found["annotations"]) == (None, None, {})
    container_record.write(str(tmp_path), found)
    text = (tmp_path / "container.json").read_text()
    assert json.loads(text)["version"] == container_record.VERSION
    assert container_record.read(str(tmp_path), ID) == found


def test_what_stands_for_a_record_has_the_version() -> None:
    assert container_record.stand_in("/nowhere", ID)["version"] == container_record.VERSION


def test_a_newer_record_is_refused_whatever_its_form(tmp_path: Path) -> None:
    path = written(tmp_path, version=container_record.VERSION + 1, ports="in another form")
    with pytest.raises(NewerDocument) as caught:
        container_record.read(str(tmp_path), ID)
    assert str(caught.value).startswith(f"the document {path} was written by a newer rootless: ")
    assert caught.value.hint.startswith("update rootless")


@pytest.mark.parametrize("version", ["1", True, None, 1.5])
def test_a_version_that_is_none(tmp_path: Path, version: object) -> None:
    written(tmp_path, version=version)
    with pytest.raises(DamagedDocument, match='its "version" is not what belongs there') as caught:
        container_record.read(str(tmp_path), ID)
    assert not isinstance(caught.value, NewerDocument)


def state_text(**changes: object) -> str:
    """What the monitor of a container that has ended wrote."""
    return json.dumps({
        "status": "exited", "pid": 0, "pidStart": 0, "monitor": 5, "monitorStart": 1, "boot": "x",
        "startedAt": 5, "finishedAt": 6, "exitCode": 3, "oomKilled": False, "restarts": 0,
        "servers": [], "failed": False, **changes,
    })  # fmt: skip


def test_a_state_without_a_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "state").write_text(state_text(slirp=7))
    found = container_state.read(str(tmp_path))
    assert (found.status, found.exit_code, found.damage) == ("exited", 3, None)


def test_a_newer_state_is_dead_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text(state_text(version=container_state.VERSION + 1, pid="1.5"))
    found = container_state.read(str(tmp_path))
    assert found.status == "dead" and isinstance(found.damage, NewerDocument)
    assert container_state.describe(found) == "Newer: state"


def test_the_monitor_writes_the_version_that_is_read() -> None:
    text = (TREE / "helpers/monitor/state_file.h").read_text()
    assert re.findall(r"STATE_VERSION = (\d+)", text) == [str(container_state.VERSION)]


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """A store with an image, and the same with a document that can be changed."""
    made = ImageStore(str(tmp_path))
    made.prepare()
    digests = [ingest.ingest_bytes(made, b'{"part":%d}' % part) for part in range(3)]
    layer = Layer(digests[2], "sha256:" + "1" * 64, "application/x", 1)
    made.put(ImageRecord(id=digests[0][7:], manifest_digest=digests[1], layers=[layer]), ["one"])
    return made


def changed(path: str, **changes: object) -> str:
    """Change a document, None taking a key out; the new text."""
    value = {**json.loads(Path(path).read_text()), **changes}
    text = json.dumps({key: value[key] for key in value if value[key] is not None})
    Path(path).write_text(text)
    return text


def test_a_newer_image_is_refused_kept_and_forgotten_on_request(store: ImageStore) -> None:
    record = store.resolve("one")
    path = store.record_path(record.id)
    assert json.loads(Path(path).read_text())["version"] == image_record.VERSION
    changed(path, version=None)
    assert store.resolve("one").to_dict() == record.to_dict()
    text = changed(path, version=image_record.VERSION + 1, layers="in another form")
    with pytest.raises(NewerDocument, match="was written by a newer rootless"):
        store.resolve("one")
    with pytest.raises(NewerDocument):
        store.put(record, ["two"])
    assert store.list() == []
    found, (damage,) = fsck.records(store, repair=True)
    assert found == [] and not damage.repaired and "update rootless" in damage.remedy
    assert [one.id for one in store.summaries()] == [record.id]
    assert Path(path).read_text() == text
    store.delete(record.id)
    assert not Path(path).exists()


def test_a_newer_manifest_list_is_refused_and_removed(store: ImageStore) -> None:
    lists = Lists(store.data_dir)
    lists.create("all")
    (path,) = Path(lists.directory).iterdir()
    assert json.loads(path.read_text())["version"] == image_record.LIST_VERSION
    changed(str(path), version=None)
    lists.add("all", "one")
    assert json.loads(path.read_text())["version"] == image_record.LIST_VERSION
    text = changed(str(path), version=image_record.LIST_VERSION + 1, manifests={})
    for refused in (lambda: lists.index("all"), lambda: lists.add("all", "one"), lists.blobs):
        with pytest.raises(NewerDocument, match="was written by a newer rootless"):
            refused()
    assert path.read_text() == text
    lists.remove("all")
    assert lists.names() == []


def test_an_index_of_another_version_is_made_anew(store: ImageStore) -> None:
    (shown,) = store.summaries()
    document = json.loads(Path(store.index.path).read_text())
    assert document["version"] == image_index.VERSION
    for version in (image_index.VERSION + 1, None, "x"):
        changed(store.index.path, version=version)
        assert store.index.read() is None
        assert [one.row() for one in store.summaries()] == [shown.row()]
        assert json.loads(Path(store.index.path).read_text()) == document


SETBACK = {"name": "x", "image": ID, "digest": "", "time": 5, "reason": "it ended"}


def test_setbacks_without_a_version_are_read_and_newer_ones_kept(tmp_path: Path) -> None:
    path = tmp_path / "setbacks.json"
    path.write_text(json.dumps({"x.service x": [SETBACK]}))
    assert rollback_log.read(str(path)) == {"x.service x": [SETBACK]}
    context = SimpleNamespace(data_dir=str(tmp_path))
    known = rollback_log.Setbacks(
        SimpleNamespace(context=context),  # type: ignore[arg-type]
        "y.service",
        "y",
    )
    known.add("y", "1" * 64, "", "it was ill")
    document = json.loads(path.read_text())
    assert document["version"] == rollback_log.VERSION
    assert sorted(document["containers"]) == ["x.service x", "y.service y"]
    assert document["containers"]["x.service x"] == [SETBACK]
    text = changed(str(path), version=rollback_log.VERSION + 1, containers=[])
    with pytest.raises(NewerDocument):
        known.add("y", "2" * 64, "", "it was ill")
    assert path.read_text() == text


def test_a_list_of_units_without_a_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text('["/a", "/b"]')
    assert quadlet.units_in(str(path)) == {"/a", "/b"}
    path.write_text(json.dumps({"version": quadlet.VERSION, "units": ["/c"]}))
    assert quadlet.units_in(str(path)) == {"/c"}
    changed(str(path), version=quadlet.VERSION + 1)
    with pytest.raises(NewerDocument):
        quadlet.units_in(str(path))


def test_health_of_another_version_does_not_count(tmp_path: Path) -> None:
    wanted: Any = {"startup": None}
    life: Any = SimpleNamespace(started=5, status="running")
    path = tmp_path / "health"
    fresh = health_config.read(str(tmp_path), wanted, life)
    old = {**fresh, "status": health_config.HEALTHY}
    for version, status in ((None, "healthy"), (health_config.VERSION, "healthy"),
                            (health_config.VERSION + 1, "starting")):  # fmt: skip
        path.write_text(json.dumps(old))
        changed(str(path), version=version)
        found = health_config.read(str(tmp_path), wanted, life)
        assert (found["version"], found["status"]) == (health_config.VERSION, status)


def test_the_server_of_late_layers_knows_the_version_of_its_orders() -> None:
    assert lazy_server.VERSION == lazy_start.VERSION
