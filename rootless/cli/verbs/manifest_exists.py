"""`rootless manifest exists`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest exists",
    "LIST",
    "Check whether a manifest list exists",
    minimum=1,
    complete=("list",),
    maximum=1,
    examples="rootless manifest exists team/app:1 && echo yes",
)


def run(call: Call) -> int:
    """0 or 1."""
    return 0 if call.engine().manifests.exists(call.words[0]) else 1
