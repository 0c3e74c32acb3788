"""`rootless volume ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several
from rootless.cli.verbs._shared_options import NOHEADING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "volume ls",
    "",
    "List volumes",
    (
        flag("-q --quiet", "Print only volume names"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "Filter by name, label, dangling, anonymous, driver, opt, since or until",
        ),
        output_format("{{.Name}}", table=True),
        NOHEADING,
    ),
    maximum=0,
)


def _labels(one: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(one["Labels"].items()))


_DOCKER = ("Availability", "Driver", "Group", "Labels", "Links", "Mountpoint", "Name", "Scope",
           "Size", "Status")  # fmt: skip
_FIELDS: Fields = {
    "Anonymous": ("ANONYMOUS", lambda one: one["Anonymous"]),
    "Availability": ("AVAILABILITY", lambda one: "N/A"),
    "CreatedAt": ("CREATED", lambda one: one["CreatedAt"]),
    "Driver": ("DRIVER", lambda one: one["Driver"]),
    "GID": ("GID", lambda one: one["GID"]),
    "Group": ("GROUP", lambda one: "N/A"),
    "Labels": ("LABELS", _labels),
    "Links": ("LINKS", lambda one: "N/A"),
    "MountCount": ("MOUNT COUNT", lambda one: one["MountCount"]),
    "Mountpoint": ("MOUNTPOINT", lambda one: one["Mountpoint"]),
    "Name": ("VOLUME NAME", lambda one: one["Name"]),
    "NeedsChown": ("NEEDS CHOWN", lambda one: False),
    "NeedsCopyUp": ("NEEDS COPY UP", lambda one: one["NeedsCopyUp"]),
    "Options": ("OPTIONS", lambda one: one["Options"]),
    "Scope": ("SCOPE", lambda one: one["Scope"]),
    "Size": ("SIZE", lambda one: "N/A"),
    "Status": ("STATUS", lambda one: "N/A"),
    "UID": ("UID", lambda one: one["UID"]),
    "VolumeConfigResponse": ("VOLUMECONFIGRESPONSE", lambda one: one),
}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import listing, output

    given = call.options
    found = call.engine().volumes.list(output.filters(given["filter"]))
    if given["quiet"]:
        output.write("".join(one["Name"] + "\n" for one in found))
        return
    output.write(
        listing.text(
            found,
            given["format"] or "table",
            _FIELDS,
            columns=("Driver", "Name"),
            docker=_DOCKER,
            array=lambda: found,
            heading=not given["noheading"],
        )
    )
