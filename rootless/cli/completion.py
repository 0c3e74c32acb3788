"""Shell completion: what a word may become."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

from rootless.cli import main as cli_main
from rootless.cli import output
from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rootless.documents import Json
    from rootless.engine.engine import Engine

    Candidate = tuple[str, str, str]


def answer(group: click.Group) -> int:
    """Answer the shell's question, which is in the environment."""
    shell, _, _ = os.environ["_ROOTLESS_COMPLETE"].partition("_")
    found = get_completion_class(shell)
    if found is None:
        return 1
    click.echo(found(group, {}, "rootless", "_ROOTLESS_COMPLETE").complete())
    return 0


def candidates(
    kind: str, incomplete: str, shared: dict[str, Json], given: dict[str, Json]
) -> list[Candidate]:
    """(value, type for the shell, help) of words of a kind that begin so."""
    if kind in ("file", "directory"):
        return [(incomplete, "dir" if kind == "directory" else "file", "")]
    if " " in kind or kind not in _KINDS:
        return [(one, "plain", "") for one in kind.split() if one.startswith(incomplete)]
    try:
        full = {name: shared.get(name) for name in ("data_dir", "storage_driver",
                                                    "cgroup_manager", "runtime")}  # fmt: skip
        engine = cli_main.engine_maker(full)()
        found = _KINDS[kind](engine)
        # the shell shows them on the terminal
        return [
            (name, "plain", output.harmless(text))
            for name, text in found
            if name.startswith(incomplete)
        ]
    except (RootlessError, UsageError, OSError):
        return []


def _containers(engine: Engine, running: bool | None = None) -> Iterable[tuple[str, str]]:
    for one in engine.containers.list(all=True):
        if running is None or (one.status in ("running", "paused")) == running:
            yield one.name, one.image


def _images(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.images.names import reference

    for one in engine.images.list():
        for name in one.names:
            familiar = reference.parse(name).familiar
            yield familiar.removesuffix(":latest"), ""


def _volumes(engine: Engine) -> Iterable[tuple[str, str]]:
    for one in engine.volumes.list():
        yield one["Name"], ""


def _quadlets(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.engine.systemd import quadlet as systemd_quadlet

    for one in systemd_quadlet.installed():
        yield one.name, one.service


def _anything(engine: Engine) -> Iterable[tuple[str, str]]:
    yield from _containers(engine)
    yield from _images(engine)
    yield from _volumes(engine)


def _lists(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.images.names import reference

    for name in engine.manifests.lists.names():
        yield reference.parse(name).familiar.removesuffix(":latest"), ""


def _registries(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.images.registry import credentials

    for name in credentials.registries_known():
        yield name, ""


_KINDS = {
    "anything": _anything,
    "container": _containers,
    "running": lambda engine: _containers(engine, True),
    "stopped": lambda engine: _containers(engine, False),
    "image": _images,
    "volume": _volumes,
    "quadlet": _quadlets,
    "list": _lists,
    "registry": _registries,
}
