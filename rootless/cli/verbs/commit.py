"""`rootless commit`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, text
from rootless.cli.verbs._shared_options import CHANGE, IIDFILE, MESSAGE, QUIET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "commit",
    "CONTAINER [NAME]",
    "Create a new image from a container's changes",
    (
        CHANGE,
        text("-a --author", "TEXT", "Author of the image"),
        MESSAGE,
        flag("-p --pause", "Pause the container during commit (default: where possible)"),
        text(
            "-f --format",
            "FORMAT",
            "Format of the image: oci or docker (default oci)",
            complete="oci docker",
        ),
        flag("--include-volumes", "Declare the container's volumes as volumes of the image"),
        flag("-s --squash", "Squash all layers into one"),
        IIDFILE,
        number(
            "--timestamp", "SECONDS", "Set the creation time of the image and the time of its files"
        ),
        QUIET,
    ),
    minimum=1,
    maximum=2,
    complete=("container", ""),
    text="Volumes are not part of the image. With --timestamp, or SOURCE_DATE_EPOCH in the "
    "environment as the latest time of any file, the same files give the same image.",
    examples="rootless commit web mine:2\n"
    "rootless commit -c 'ENV MODE=test' -c 'CMD [\"serve\"]' -m 'with settings' web mine:3",
)


def run(call: Call) -> None:
    """Commit and print the id."""
    from rootless import documents
    from rootless.cli import called, output
    from rootless.errors import StorageError

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
    record = engine.containers.get(call.words[0]).commit(
        called.local_name(call.words[1]) if len(call.words) > 1 else "",
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
