"""Auto-update against a real registry; the supervisor is a few lines that restart a container.

The same with systemd as supervisor is in test_systemd_units.py, for the virtual machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from integration.registry import Registry

import rootless as library
from rootless.engine.systemd import auto_update
from rootless.engine.systemd import manager as systemd_manager

HEALTH = {
    "health_cmd": "test -e /good", "health_interval": "200ms", "health_retries": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def versions(scratch: Path, busybox: Path) -> Iterator[tuple[Registry, dict[int, str]]]:
    """A registry, and sources of three versions for it; the third is never healthy."""
    from integration.registry import Layout

    directory = scratch / "auto-update"
    directory.mkdir()
    layout = Layout(directory / "layout")
    program = busybox.read_bytes()
    files = {f"bin/{name}": program for name in ("sh", "sleep", "ls")}
    sources = {}
    for version, good in ((1, True), (2, True), (3, False)):
        more = {f"version-{version}": b"x", **({"good": b""} if good else {})}
        layout.image(str(version), [{**files, **more}])
        sources[version] = f"oci:{layout.path}:{version}"
    with Registry(directory / "registry") as running:
        yield running, sources
    shutil.rmtree(directory)


class Supervisor:
    """Stands where systemd does: a unit is a container to be run."""

    units: dict[str, dict[str, Any]] = {}
    fails = False

    def reset(self, unit: str) -> None:
        """Nothing to forget."""

    def restart(self, unit: str) -> str:
        """Replace the container."""
        if self.fails:
            return "failed"
        words = dict(self.units[unit])
        engine = library.Engine()
        engine.containers.run(words.pop("image"), ["sleep", "1000"], detach=True, replace=True,
                              **words)  # fmt: skip
        return "done"


@pytest.fixture
def supervisor(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> type[Supervisor]:
    """It, in systemd's place."""
    monkeypatch.setattr(systemd_manager, "Services", Supervisor)
    monkeypatch.setattr(Supervisor, "units", {})
    monkeypatch.setattr(Supervisor, "fails", False)
    return Supervisor


def results(**words: Any) -> dict[str, str]:
    """What auto_update says of each unit."""
    return {one.unit: one.updated for one in auto_update.auto_update(library.Engine(), **words)}


def outcome(unit: str, **words: Any) -> auto_update.Update:
    """What auto_update says of one unit."""
    return next(
        one for one in auto_update.auto_update(library.Engine(), **words) if one.unit == unit
    )


def version(rootless: Command, name: str) -> str:
    """The version that a container runs."""
    found = rootless("exec", name, "ls", "/").stdout.split()
    return next(word for word in found if word.startswith("version-"))


@pytest.mark.slow
def test_there_and_back(
    rootless: Command,
    supervisor: type[Supervisor],
    versions: tuple[Registry, dict[int, str]],
) -> None:
    registry, sources = versions
    name = registry.push(sources[1], "there:latest")
    for unit, container, policy in (("a.service", "a", "registry"), ("b.service", "b", "local")):
        labels = {"io.containers.autoupdate": policy, "PODMAN_SYSTEMD_UNIT": unit}
        supervisor.units[unit] = {
            "image": name, "name": container, "labels": labels, "network": "none", **HEALTH,
        }  # fmt: skip
        supervisor().restart(unit)
    unchanged = {"a.service": "false", "b.service": "false"}
    assert results(dry_run=True) == unchanged
    assert results() == unchanged
    registry.push(sources[2], "there:latest")
    # `local` does not ask the registry
    assert results(dry_run=True) == {"a.service": "pending", "b.service": "false"}
    assert version(rootless, "a") == "version-1"
    # the one pulls, and so the name means something else for the other as well
    assert results() == {"a.service": "true", "b.service": "true"}
    assert (version(rootless, "a"), version(rootless, "b")) == ("version-2", "version-2")
    registry.push(sources[3], "there:latest")
    found = auto_update.auto_update(library.Engine(), rollback=True)
    assert {one.unit: one.updated for one in found} == {
        "a.service": "rolled back", "b.service": "false",
    }  # fmt: skip
    assert version(rootless, "a") == "version-2"
    assert "(healthy)" in rootless("ps", "--filter", "name=^a$").stdout
    started = rootless("inspect", "--format", "{{.Id}}", "a").stdout
    # it is not tried again by itself, neither as what the registry has nor as what is here
    for words in ({"dry_run": True}, {}, {}):
        skipped = outcome("a.service", **words)
        assert skipped.updated == "false"
        assert "a is unhealthy with the new image" in skipped.note
    assert rootless("inspect", "--format", "{{.Id}}", "a").stdout == started
    said = rootless("auto-update", "--dry-run")
    assert f"note: a.service is not updated: the image {name} (" in said.stderr
    assert "hint: a newer image is tried by itself, this one with --force" in said.stderr
    assert outcome("a.service", dry_run=True, force=True).updated == "pending"
    # without a way back the new one stays, and the error says why
    failed = outcome("a.service", rollback=False, force=True)
    assert failed.updated == "failed"
    assert failed.error is not None
    assert "the container a is unhealthy with the new image" in failed.error.message
    assert version(rootless, "a") == "version-3"
    # the supervisor itself fails, both ways
    registry.push(sources[1], "there:latest")
    supervisor.fails = True
    failed = outcome("a.service")
    assert failed.updated == "failed"
    assert failed.error is not None
    assert "a.service did not start with the new image" in failed.error.message
    assert "and with the old image" in failed.error.message
    rootless("rm", "-f", "a", "b")


def test_the_command(
    rootless: Command, versions: tuple[Registry, dict[int, str]], busybox_image: str
) -> None:
    registry, sources = versions
    name = registry.push(sources[1], "command:latest")
    label = ["--label", "io.containers.autoupdate=registry"]
    unit = ["--label", "PODMAN_SYSTEMD_UNIT=web.service"]
    run = ["run", "-d", "--network", "none"]
    assert rootless("auto-update").stdout.split() == [
        "UNIT", "CONTAINER", "IMAGE", "POLICY", "UPDATED",
    ]  # fmt: skip
    rootless(*run, "--name", "web", *label, *unit, name, "sleep", "1000")
    rootless(*run, "--name", "other", name, "sleep", "1000")
    row = rootless("auto-update", "--dry-run", "--format", "json").json()
    identifier = rootless("inspect", "--format", "{{.Id}}", "web").stdout.strip()
    assert row == {
        "Unit": "web.service", "Container": f"{identifier[:12]} (web)", "ContainerName": "web",
        "ContainerID": identifier, "Image": name, "Policy": "registry", "Updated": "false",
        "Note": "", "Error": "",
    }  # fmt: skip
    registry.push(sources[2], "command:latest")
    template = ["--format", "{{.ContainerName}} {{.Updated}}"]
    assert rootless("auto-update", "--dry-run", *template).stdout == "web pending\n"
    # there is nobody here who could restart a unit
    found = rootless("auto-update", code=125)
    assert "services need the user's systemd" in found.stderr
    rootless("rm", "-f", "web")
    rootless(*run, "--name", "none", *label, name, "sleep", "1000")
    rootless(*run, "--name", "odd", "--label", "io.containers.autoupdate=daily", name, "sleep", "9")
    found = rootless("auto-update", "--dry-run", *template, code=125)
    assert found.stdout == "none failed\nodd failed\n"
    assert "the container none is in no unit that could be restarted" in found.stderr
    assert 'the container odd has the auto-update policy "daily"' in found.stderr
    rootless("rm", "-f", "-a")
    # a registry that is gone is an error of the container, not of the command
    with Registry(rootless.place.base / "registry") as passing:
        name = passing.push(sources[1], "gone:latest")
        rootless(*run, "--name", "gone", *label, *unit, name, "sleep", "1000")
    found = rootless("auto-update", "--dry-run", *template, code=125)
    assert found.stdout == "gone failed\n"
    assert passing.host in found.stderr
    rootless("rm", "-f", "-a")
