"""`rootless volume rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume rm",
    "NAME...",
    "Remove one or more volumes",
    (
        flag("-f --force", "Ignore volumes that do not exist"),
        flag("-a --all", "Remove all volumes"),
    ),
    complete=("volume",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli import output
    from rootless.errors import UsageError, VolumeNotFound

    volumes = call.engine().volumes

    def work(word: str) -> str | None:
        try:
            return volumes.remove(word)
        except VolumeNotFound:
            if call.options["force"]:
                return None
            raise

    if call.options["all"]:
        for one in volumes.list():
            output.line(volumes.remove(one["Name"]))
    elif not call.words:
        raise UsageError("volume rm needs a name", hint="or --all")
    return output.each(call.words, work, missing=1)
