"""`rootless volume rm`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "volume rm",
    "NAME...",
    "Remove volumes",
    (flag("-f --force", "no error for a volume that does not exist"),),
    minimum=1,
    complete=("volume",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli import output
    from rootless.errors import VolumeNotFound

    volumes = call.engine().volumes

    def work(word: str) -> str | None:
        try:
            volumes.remove(word)
        except VolumeNotFound:
            if call.options["force"]:
                return None
            raise
        return word

    return output.each(call.words, work)
