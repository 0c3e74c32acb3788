"""`rootless system service`."""

from __future__ import annotations

from rootless.cli.options import Verb, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "system service",
    "[ADDRESS]",
    "Serve the Docker API on a socket of your own",
    (
        number("-t --time", "SECONDS",
               "End after so many seconds without a request (default 0: never)"),
    ),
    maximum=1,
    text="ADDRESS is unix://PATH, tcp://127.0.0.1:PORT, or fd:// for a socket that systemd hands "
    "over; by default unix://$XDG_RUNTIME_DIR/rootless/docker.sock, which only you can open. "
    "Clients find it by DOCKER_HOST. The service keeps nothing: it may end or be killed at any "
    "moment, and containers, their logs and health checks go on. Whoever may connect can do "
    "what you can: nobody but you may, also over TCP.",
    examples="rootless system service --time 300 &\n"
    "export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/rootless/docker.sock\n"
    "docker run --rm busybox echo hello",
)  # fmt: skip


def run(call: Call) -> None:
    """Serve until idle or told to end."""
    from rootless.api import service
    from rootless.errors import UsageError

    seconds = call.options["time"] or 0
    if seconds < 0:
        raise UsageError(f"--time {seconds} is no number of seconds")
    service.run(call.words[0] if call.words else "", call.engine_with, idle=float(seconds))
