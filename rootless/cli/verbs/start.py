"""`rootless start`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "start",
    "CONTAINER...",
    "Start containers",
    (
        flag("-a --attach", "connect to its output, pass signals on, end as it ends"),
        flag("-i --interactive", "connect to its standard input"),
        text("--detach-keys", "KEYS", "keys that leave the container running (ctrl-p,ctrl-q)"),
        text("--sig-proxy", "BOOL", "pass signals on (true)"),
    ),
    minimum=1,
    complete=("stopped",),
)


def run(call: Call) -> int:
    """Start one after the other; or one, and stay with it."""
    from rootless.cli import output
    from rootless.cli.words import truth
    from rootless.errors import UsageError

    given = call.options
    containers = call.engine().containers
    if not (given["attach"] or given["interactive"]):

        def work(word: str) -> str:
            containers.get(word).start()
            return word

        return output.each(call.words, work)
    if len(call.words) > 1:
        raise UsageError("only one container can be attached to at a time")
    proxy = truth("--sig-proxy", given["sig_proxy"] or "true")
    container = containers.get(call.words[0])
    session = container.start(attach=True)
    assert session is not None
    session.become_client(
        stdin=given["interactive"],
        tty=container.record["tty"],
        detach_keys=given["detach_keys"] or container.record["detachKeys"],
        sig_proxy=proxy,
    )
    return 125
