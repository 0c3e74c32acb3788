"""`rootless attach`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "attach",
    "CONTAINER",
    "Attach to a running container",
    (
        LATEST,
        flag("--no-stdin", "Do not attach standard input"),
        text(
            "--detach-keys",
            "KEYS",
            "Override the key sequence for detaching (default ctrl-p,ctrl-q)",
        ),
        text("--sig-proxy", "BOOL", "Proxy received signals to the process (default true)"),
    ),
    minimum=1,
    maximum=1,
    complete=("running",),
)


def run(call: Call) -> int:
    """Become the client of its monitor."""
    from rootless.cli.options import truth
    from rootless.cli.verbs import _several

    given = call.options
    container = call.engine().containers.get(_several.first(call)[0])
    proxy = truth("--sig-proxy", given["sig_proxy"] or "true")
    container.attach_session().become_client(
        stdin=container.record["stdin"] and not given["no_stdin"],
        tty=container.record["tty"],
        detach_keys=given["detach_keys"] or container.record["detachKeys"],
        sig_proxy=proxy,
    )
    return 125
