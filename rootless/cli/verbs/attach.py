"""`rootless attach`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "attach",
    "CONTAINER",
    "Connect to the streams of a running container",
    (
        flag("--no-stdin", "do not connect standard input"),
        text("--detach-keys", "KEYS", "keys that leave the container running (ctrl-p,ctrl-q)"),
        text("--sig-proxy", "BOOL", "pass signals on (true)"),
    ),
    minimum=1,
    maximum=1,
    complete=("running",),
)


def run(call: Call) -> int:
    """Become the client of its monitor."""
    from rootless.cli.words import truth

    given = call.options
    container = call.engine().containers.get(call.words[0])
    proxy = truth("--sig-proxy", given["sig_proxy"] or "true")
    container.attach_session().become_client(
        stdin=container.record["stdin"] and not given["no_stdin"],
        tty=container.record["tty"],
        detach_keys=given["detach_keys"] or container.record["detachKeys"],
        sig_proxy=proxy,
    )
    return 125
