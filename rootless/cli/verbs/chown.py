"""`rootless chown`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "chown",
    "UID[:GID] PATH...",
    "Change the owner of files, by the IDs of a container",
    (
        flag("-R --recursive", "Change files and directories recursively"),
        flag("--to-me", "Give the files to yourself (root of a container); takes no UID"),
    ),
    minimum=1,
    text="For directories that containers have written to: the users of a container have "
    "other IDs on the host.",
    examples="rootless chown -R --to-me ~/data\nrootless chown -R 1000:1000 ~/data",
)


def run(call: Call) -> None:
    """Change them."""
    from rootless.engine.system import chown as system_chown
    from rootless.errors import UsageError

    words = list(call.words)
    owner = "" if call.options["to_me"] else words.pop(0)
    if not words:
        raise UsageError("chown needs a path", hint="rootless chown -R --to-me PATH")
    system_chown.chown(call.engine(), owner, words, recursive=call.options["recursive"])
