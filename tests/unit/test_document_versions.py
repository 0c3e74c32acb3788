"""Versions of documents on disk: written, migrated, and refused where they are newer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rootless.engine.containers import record as container_record
from rootless.errors import DamagedDocument, NewerDocument

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
