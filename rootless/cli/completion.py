"""Shell completion: what a word may become.  click asks the commands that help.py builds."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem, get_completion_class

from rootless.cli import help as cli_help
from rootless.cli import output
from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rootless.cli.help import Completer
    from rootless.documents import Json
    from rootless.engine.engine import Engine

    # the options before the verb -> what makes the engine
    EngineMaker = Callable[[dict[str, Json]], Callable[[], Engine]]

_ASKED = "_ROOTLESS_COMPLETE"


def answer(maker: EngineMaker) -> int:
    """Answer the shell's question, which is in the environment; the exit status."""
    shell, _, _ = os.environ[_ASKED].partition("_")
    found = get_completion_class(shell)
    if found is None:
        return 1

    def completers(kinds: Sequence[str]) -> Completer:
        def complete(
            ctx: click.Context, param: click.Parameter, incomplete: str
        ) -> list[CompletionItem]:
            given = len(ctx.params.get("words") or ()) if isinstance(param, click.Argument) else 0
            kind = kinds[min(given, len(kinds) - 1)] if kinds else ""
            shared = ctx.find_root().params
            return [
                CompletionItem(value, type=shown, help=text)
                for value, shown, text in _candidates(kind, incomplete, shared, maker)
            ]

        return complete

    click.echo(found(cli_help.root(completers), {}, "rootless", _ASKED).complete())
    return 0


def script(shell: str) -> str:
    """The completion script of a shell."""
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f'no completion for the shell "{shell}"', hint="bash, zsh or fish")
    source = found(cli_help.root(), {}, "rootless", _ASKED)
    return str(source.source_template % source.source_vars())


def _candidates(
    kind: str, incomplete: str, shared: dict[str, Json], maker: EngineMaker
) -> Iterable[tuple[str, str, str]]:
    """(value, type for the shell, help) of words of a kind that begin so."""
    if kind in ("file", "directory"):
        return [(incomplete, "dir" if kind == "directory" else "file", "")]
    if " " in kind or kind not in _KINDS:
        return [(one, "plain", "") for one in kind.split() if one.startswith(incomplete)]
    try:
        names = ("data_dir", "storage_driver", "cgroup_manager", "runtime")
        found = _KINDS[kind](maker({name: shared.get(name) for name in names})())
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
    for one in engine.images.list():
        for name in one.names:
            yield from _spellings(name)


def _spellings(name: str) -> Iterable[tuple[str, str]]:
    """How the name of an image may be typed: one made here is found without its localhost/."""
    from rootless.engine.images.local import familiar

    shown = familiar(name).removesuffix(":latest")
    yield shown, ""
    if shown.startswith("localhost/"):
        yield shown.removeprefix("localhost/"), ""


def _volumes(engine: Engine) -> Iterable[tuple[str, str]]:
    for one in engine.volumes.list():
        yield one["Name"], ""


def _quadlets(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.engine.systemd import quadlet as systemd_quadlet

    for one in systemd_quadlet.installed():
        yield one.name, one.service


def _storage_drivers(engine: Engine) -> Iterable[tuple[str, str]]:
    for one in engine.info()["Drivers"]:
        yield one["Name"], one["Reason"]


def _anything(engine: Engine) -> Iterable[tuple[str, str]]:
    yield from _containers(engine)
    yield from _images(engine)
    yield from _volumes(engine)


def _lists(engine: Engine) -> Iterable[tuple[str, str]]:
    for name in engine.manifests.lists.names():
        yield from _spellings(name)


def _registries(engine: Engine) -> Iterable[tuple[str, str]]:
    from rootless.engine.images import login as image_login

    for name in image_login.registries():
        yield name, ""


_KINDS = {
    "anything": _anything,
    "container": _containers,
    "running": lambda engine: _containers(engine, True),
    "stopped": lambda engine: _containers(engine, False),
    "image": _images,
    "volume": _volumes,
    "storage-driver": _storage_drivers,
    "quadlet": _quadlets,
    "list": _lists,
    "registry": _registries,
}
