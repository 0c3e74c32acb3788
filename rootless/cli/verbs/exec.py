"""`rootless exec`."""

from __future__ import annotations

import os

from rootless.cli.options import Verb, flag, several, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "exec",
    "CONTAINER COMMAND [ARGUMENT...]",
    "Run a command in a running container",
    (
        LATEST,
        flag("-d --detach", "Run the command in the background"),
        flag("-i --interactive", "Keep standard input open even if not attached"),
        flag("-t --tty", "Allocate a pseudo-TTY"),
        several(
            "-e --env", "NAME[=VALUE]", "Set an environment variable, or pass one on from the host"
        ),
        several("--env-file", "FILE", "Read environment variables from a file", complete="file"),
        text("-w --workdir", "DIR", "Working directory inside the container"),
        text(
            "-u --user",
            "USER[:GROUP]",
            "User name or UID (and optionally group name or GID) of the command",
        ),
        flag("--privileged", "Give the command all privileges that you have yourself, never more"),
        text(
            "--detach-keys",
            "KEYS",
            "Override the key sequence for detaching (default ctrl-p,ctrl-q)",
        ),
    ),
    minimum=2,
    stop_early=True,
    complete=("running", ""),
    examples="rootless exec web ls /\nrootless exec -it web sh",
)


def run(call: Call) -> int:
    """Become the command."""
    from rootless.engine.spec.option_values import ExecOptions

    name = call.words[0]
    if call.options.pop("latest"):
        from rootless.cli.verbs import _several

        name = _several.newest(call.engine().containers)
    else:
        del call.words[0]
    options = ExecOptions(command=call.words, **call.options)
    if options.tty and options.interactive and not options.detach and not os.isatty(0):
        from rootless.cli import called

        called.without_terminal("exec")
    container = call.engine().containers.get(name)
    container.become_exec(options)
    return 0
