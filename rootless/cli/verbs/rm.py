"""`rootless rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, several
from rootless.cli.verbs._shared_options import CIDFILE, LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "rm",
    "CONTAINER...",
    "Remove one or more containers",
    (
        flag("-f --force", "Force the removal of running containers; ignore missing ones"),
        flag("-v --volumes", "Remove anonymous volumes associated with the container"),
        flag("-a --all", "Remove all containers"),
        flag("-i --ignore", "Ignore containers that do not exist"),
        LATEST,
        CIDFILE,
        several("--filter", "KEY=VALUE", "Remove the containers that match a filter of ps"),
        flag("--depend", "Remove the containers that share namespaces of these as well"),
        number(
            "-t --time",
            "SECONDS",
            "Seconds to wait with --force before killing the container (default 0)",
        ),
    ),
    complete=("container",),
)


def _with_dependents(call: Call) -> list[str]:
    """What is to be removed, each behind those that live in its namespaces."""
    from rootless.cli.verbs import _several
    from rootless.engine.containers import dependents
    from rootless.errors import ContainerNotFound

    containers = call.engine().containers
    words: dict[str, str] = {}
    for word in _several.named(call):
        try:
            identifier = containers.get(word, damaged=True).id
        except ContainerNotFound:
            words[word] = word  # for its error
            continue
        for one in dependents.of(containers, identifier):
            words.setdefault(one, one)
        words[identifier] = word
    return list(words.values())


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli.verbs import _several

    force, volumes = call.options["force"], call.options["volumes"]
    call.options["ignore"] = call.options["ignore"] or force
    seconds = call.options["time"]
    if call.options["depend"]:
        call.words = _with_dependents(call)
        call.options.update(all=False, latest=False, filter=[], cidfile=[])
    return _several.side_by_side(
        call,
        lambda one: one.remove(
            force=force or seconds is not None, volumes=volumes, timeout=seconds
        ),
        missing=1,
        in_use=2,
        damaged=True,
    )
