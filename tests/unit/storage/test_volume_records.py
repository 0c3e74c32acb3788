"""Records of volumes: written, migrated, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rootless.errors import DamagedDocument, NewerDocument
from rootless.storage.volumes import record
from rootless.storage.volumes.store import Volumes
from rootless.userns import idmap

OLD = {"name": "v", "labels": {"a": "b"}, "driver": "local", "options": {}, "created": 1.5}


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    """A store, with a single id."""
    extents = ((0, 1000, 1),)
    return Volumes(str(tmp_path), idmap.IdMaps(extents, extents, caller=(1000, 1000)))


def document(volumes: Volumes, name: str = "v") -> Path:
    """The record of a volume, in a directory that exists."""
    path = Path(record.path_of(volumes.directory(name)))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_a_record_ends_with_what_the_launcher_overwrites(volumes: Volumes) -> None:
    volumes.create("v", {"a": "b"}, "local", {})
    text = document(volumes).read_text()
    assert text.startswith('{"version":1,"name":"v",')
    assert text.endswith(',"copyUp":"todo"}')
    found = record.read(volumes.directory("v"), "v")
    found["labels"] = {}
    record.write(volumes.directory("v"), found)
    assert document(volumes).read_text().endswith(',"copyUp":"todo"}')


def test_a_record_of_an_earlier_version_is_migrated(volumes: Volumes) -> None:
    document(volumes).write_text(json.dumps(OLD))
    found = record.read(volumes.directory("v"), "v")
    assert found == {**OLD, "version": 1, "anonymous": False}
    assert volumes.get("v")["Labels"] == {"a": "b"}
    data = document(volumes).parent / "_data"
    data.mkdir()
    (data / "file").touch()
    # its files are looked at once, and it is written in the form of today
    assert volumes.fills("v", str(data)) == ""
    assert json.loads(document(volumes).read_text()) == {**found, "copyUp": "done"}


def test_a_record_of_a_newer_version_is_left_alone(volumes: Volumes) -> None:
    text = json.dumps({**OLD, "version": 2, "driver": ["another", "form"]})
    document(volumes).write_text(text)
    with pytest.raises(NewerDocument, match="it has the version 2, and 1 is the newest"):
        volumes.get("v")
    with pytest.raises(NewerDocument):
        volumes.repair("v")
    (listed,) = volumes.list()
    assert "written by a newer rootless" in listed["Damaged"]
    assert document(volumes).read_text() == text
    volumes.remove("v")
    assert volumes.list() == []


@pytest.mark.parametrize("version", ["1", True, None, 1.5])
def test_a_version_that_is_none(volumes: Volumes, version: object) -> None:
    document(volumes).write_text(json.dumps({**OLD, "version": version}))
    with pytest.raises(DamagedDocument, match='its "version" is not what belongs there'):
        volumes.get("v")
    volumes.repair("v")
    assert volumes.get("v")["Labels"] == {}
