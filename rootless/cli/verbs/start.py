"""`rootless start`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "start",
    "CONTAINER...",
    "Start one or more stopped containers",
    (
        LATEST,
        flag("--all", "Start all containers that are not running, oldest first"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "Start the containers that match a filter of ps, or "
            "should-start-on-boot=true (by restart policy)",
        ),
        flag("-a --attach", "Attach to the container's output and forward signals"),
        flag("-i --interactive", "Attach the container's standard input"),
        text(
            "--detach-keys",
            "KEYS",
            "Override the key sequence for detaching (default ctrl-p,ctrl-q)",
        ),
        text("--sig-proxy", "BOOL", "Proxy received signals to the process (default true)"),
    ),
    complete=("stopped",),
)


def _chosen(call: Call) -> list[str]:
    """The words, or the ids of all that do not run."""
    from rootless.cli import output
    from rootless.errors import UsageError

    given = call.options
    containers = call.engine().containers
    if given["latest"]:
        from rootless.cli.verbs import _several

        if call.words or given["all"] or given["filter"]:
            raise UsageError("--latest contradicts names, --all and --filter")
        return [_several.newest(containers)]
    if not (given["all"] or given["filter"]):
        if not call.words:
            raise UsageError("no container is named", hint="name one, or use --all")
        return call.words
    if call.words and given["all"]:
        raise UsageError("--all takes no names")
    found = containers.list(all=True, filters=output.filters(given["filter"]))
    if call.words:
        # of those that are named, those that match
        ids = {one.id for one in found}
        return [word for word in call.words if containers.get(word).id in ids]
    found = [one for one in found if one.status in ("created", "exited")]
    # who joins another's namespaces is younger than that one
    return [one.id for one in reversed(found)]


def run(call: Call) -> int:
    """Start one after the other; or one, and stay with it."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.errors import UsageError

    given = call.options
    containers = call.engine().containers
    words = _chosen(call)
    if not (given["attach"] or given["interactive"]):

        def work(word: str) -> str:
            containers.get(word).start()
            return word

        return output.each(words, work)
    if len(words) != 1:
        raise UsageError("only one container can be attached to at a time")
    proxy = truth("--sig-proxy", given["sig_proxy"] or "true")
    container = containers.get(words[0])
    session = container.start(attach=True)
    assert session is not None
    session.become_client(
        stdin=given["interactive"],
        tty=container.record["tty"],
        detach_keys=given["detach_keys"] or container.record["detachKeys"],
        sig_proxy=proxy,
    )
    return 125
