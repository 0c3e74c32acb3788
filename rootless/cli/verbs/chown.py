"""`rootless chown`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "chown",
    "UID[:GID] PATH...",
    "Change owners in terms of a container's ids",
    (
        flag("-R --recursive", "also everything below directories"),
        flag("--to-me", "make the files yours: what root of a container owns; no UID is given"),
    ),
    minimum=1,
    text="For directories that containers have written to: their users are other ids on the host.",
    examples="rootless chown -R --to-me ~/data\nrootless chown -R 1000:1000 ~/data",
)


def run(call: Call) -> None:
    """Change them."""
    from rootless.engine import volumes
    from rootless.errors import UsageError

    words = list(call.words)
    owner = "" if call.options["to_me"] else words.pop(0)
    if not words:
        raise UsageError("chown needs a path", hint="rootless chown -R --to-me PATH")
    volumes.chown(call.engine(), owner, words, recursive=call.options["recursive"])
