"""`rootless volume rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number

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
        number(
            "-t --time",
            "SECONDS",
            "With --force: remove containers that use the volume, after this time to end",
        ),
    ),
    complete=("volume",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli import output
    from rootless.errors import UsageError, VolumeNotFound

    volumes = call.engine().volumes
    seconds = call.options["time"]

    def work(word: str) -> str | None:
        try:
            if seconds is not None and call.options["force"]:
                _end_users(call, word, seconds)
            return volumes.remove(word)
        except VolumeNotFound:
            if call.options["force"]:
                return None
            raise

    if not call.words and not call.options["all"]:
        raise UsageError("volume rm needs a name", hint="or --all")
    words = [one["Name"] for one in volumes.list()] if call.options["all"] else call.words
    return output.each(words, work, missing=1, in_use=2)


def _end_users(call: Call, name: str, seconds: int) -> None:
    """Remove the containers that use a volume, as podman does with --force."""
    from rootless.errors import ContainerNotFound

    engine = call.engine()
    for user in engine.volumes.users().get(name, []):
        try:
            engine.containers.get(user).remove(force=True, timeout=seconds)
        except ContainerNotFound:
            pass  # it ended meanwhile, with --rm
