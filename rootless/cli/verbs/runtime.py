"""`rootless runtime`: the same as the command rootless-runtime."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "runtime",
    "[OPTION...] COMMAND ...",
    "Run an OCI runtime that needs no root",
    stop_early=True,
    text="For other container engines and batch systems. `rootless-runtime --help` lists its "
    "commands.",
)


def run(call: Call) -> int:
    """Hand over."""
    from rootless.cli.oci.main import main

    return main(call.words, "rootless runtime")
