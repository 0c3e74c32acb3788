"""`rootless runtime`: the same as the command rootless-runtime."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "runtime",
    "[OPTION...] VERB ...",
    "An OCI runtime that needs no root, as a command of its own",
    stop_early=True,
    text="For other engines and batch systems; the same as the command rootless-runtime, whose "
    "--help lists its verbs.",
)


def run(call: Call) -> int:
    """Hand over."""
    from rootless.cli.oci.main import main

    return main(call.words, "rootless runtime")
