"""`rootless commit`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, number, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "commit",
    "CONTAINER [NAME]",
    "Make an image of a container",
    (
        several("-c --change", "INSTRUCTION", "a Dockerfile instruction, as in 'CMD [\"sh\"]'"),
        text("-a --author", "TEXT", "who made it"),
        text("-m --message", "TEXT", "a line for the history"),
        flag("-p --pause", "freeze the container meanwhile; the default where that can be done"),
        text("-f --format", "FORMAT", "oci (the default) or docker", complete="oci docker"),
        flag("--include-volumes", "declare the container's volumes as volumes of the image"),
        flag("-s --squash", "one layer with everything, instead of one more"),
        text("--iidfile", "FILE", "write the image's id to this file", complete="file"),
        number("--timestamp", "SECONDS", "the time of the image and of every file in its layer"),
        flag("-q --quiet", "no progress"),
    ),
    minimum=1,
    maximum=2,
    complete=("container", ""),
    text="What is in volumes stays there. With --timestamp, or with SOURCE_DATE_EPOCH in the "
    "environment as the latest time that a file may have, the same files give the same image.",
    examples="rootless commit web mine:2\n"
    "rootless commit -c 'ENV MODE=test' -c 'CMD [\"serve\"]' -m 'with settings' web mine:3",
)


def run(call: Call) -> None:
    """Commit and print the id."""
    from rootless import documents
    from rootless.cli import output
    from rootless.errors import StorageError

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]  # type: ignore[attr-defined]
    record = engine.containers.get(call.words[0]).commit(
        call.words[1] if len(call.words) > 1 else "",
        changes=given["change"],
        author=given["author"] or "",
        message=given["message"] or "",
        pause=given["pause"],
        format=given["format"] or "oci",
        include_volumes=bool(given["include_volumes"]),
        squash=bool(given["squash"]),
        timestamp=given["timestamp"],
    )
    if given["iidfile"]:
        try:
            documents.write_bytes(given["iidfile"], f"sha256:{record.id}".encode())
        except OSError as error:
            raise StorageError(f"cannot write {given['iidfile']}: {error.strerror}") from None
    output.line(f"sha256:{record.id}")
