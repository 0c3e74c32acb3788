"""`rootless secret exists`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "secret exists",
    "NAME",
    "Check whether a secret exists",
    minimum=1,
    maximum=1,
    text="The exit status is 0 if it does and 1 if it does not.",
)


def run(call: Call) -> int:
    """0 or 1."""
    from rootless.engine.containers import secrets
    from rootless.errors import NotFound

    try:
        secrets.Secrets(call.engine().context.data_dir).get(call.words[0])
        return 0
    except NotFound:
        return 1
