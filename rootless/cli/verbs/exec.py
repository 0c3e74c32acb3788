"""`rootless exec`."""

from __future__ import annotations

import os

from rootless.cli.words import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "exec",
    "CONTAINER COMMAND [ARGUMENT...]",
    "Run a command in a running container",
    (
        flag("-d --detach", "return at once"),
        flag("-i --interactive", "keep standard input open"),
        flag("-t --tty", "give the command a terminal"),
        several("-e --env", "NAME[=VALUE]", "set a variable, or pass on the one of this shell"),
        several("--env-file", "FILE", "read variables from a file", complete="file"),
        text("-w --workdir", "DIR", "working directory inside"),
        text("-u --user", "USER[:GROUP]", "who runs the command"),
        flag("--privileged", "all rights that you yourself have"),
        text("--detach-keys", "KEYS", "keys that leave the command running (ctrl-p,ctrl-q)"),
    ),
    minimum=2,
    stop_early=True,
    complete=("running", ""),
    examples="rootless exec web ls /\nrootless exec -it web sh",
)


def run(call: Call) -> int:
    """Become the command."""
    from rootless.engine.options import ExecOptions
    from rootless.errors import UsageError

    options = ExecOptions(command=call.words[1:], **call.options)
    if options.tty and options.interactive and not options.detach and not os.isatty(0):
        raise UsageError("standard input is not a terminal", hint="leave out -t")
    container = call.engine().containers.get(call.words[0])
    container.become_exec(options)
    return 0
