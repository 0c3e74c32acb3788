"""`volumes/NAME/volume.json`: what a volume was made with, read and written nowhere else.

Whether the volume is still to be filled with what an image has at its place is the last word of the
document, which the launcher overwrites in place (helpers/launch/copy_up.c): `todo`, `half` while
files are copied, `done`.
"""

from __future__ import annotations

import os

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NotRequired, TypedDict

    from rootless.documents import Json

    CopyUp = Literal["todo", "half", "done"]

    class VolumeRecord(TypedDict):
        """The document as this version writes it."""

        version: int
        name: str
        labels: dict[str, str]
        driver: str
        options: dict[str, str]
        anonymous: bool
        created: float
        copyUp: NotRequired[CopyUp]  # without it the files are to be looked at


VERSION = 1


def _moment(value: Json) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e11


SHAPE: Json = {
    "version?": int,
    "name": str,
    "labels": {"*": str},
    "driver": str,
    "options": {"*": str},
    "anonymous?": bool,
    "created": _moment,
    "copyUp?": frozenset(("todo", "half", "done")),
}


def path_of(directory: str) -> str:
    """The document of the volume in this directory."""
    return os.path.join(directory, "volume.json")


def read(directory: str, name: str) -> VolumeRecord:
    """The record of the volume `name`.  Raises OSError, DamagedDocument, NewerDocument."""
    path = path_of(directory)
    remedy = f"rootless system check --repair; or remove it: rootless volume rm {name}"
    found = documents.read_as(path, SHAPE, remedy, newest=VERSION)
    if found["name"] != name:
        raise documents.damaged(path, "it is another volume's", "rootless system check --repair")
    # of versions that wrote none
    found.setdefault("anonymous", False)
    found["version"] = VERSION
    record: VolumeRecord = found
    return record


def write(directory: str, record: VolumeRecord) -> None:
    """Replace the document.  Raises OSError."""
    ordered: Json = {key: value for key, value in record.items() if key != "copyUp"}
    if "copyUp" in record:
        ordered["copyUp"] = record["copyUp"]
    documents.write(path_of(directory), ordered)
