"""`rootless system df`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "system df",
    "",
    "Show disk usage",
    (
        flag("-v --verbose", "Show detailed information on space usage"),
        output_format("{{.Size}}", table=True),
    ),
    maximum=0,
    text="Sizes are bytes on disk: of images the unpacked layers and the blobs, each once. "
    "Reclaimable is the space that `container prune`, `image prune -a` and `volume prune -a` "
    "free, one after the other. With -v the size of an image is that of its files, as in "
    "`images`; what its compressed blobs take beside that is in the column BLOBS.",
    examples="rootless system df -v\nrootless system df --format '{{.Type}} {{.Reclaimable}}'",
)

_COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")


def _reclaimable(row: Json) -> str:
    from rootless.cli.output import human_size

    share = f" ({100 * row['Reclaimable'] // row['Size']}%)" if row["Size"] else ""
    return human_size(row["Reclaimable"]) + share


def _fields() -> Fields:
    from rootless.cli.output import human_size

    return {
        "Type": ("TYPE", lambda row: row["Type"]),
        "Total": ("TOTAL", lambda row: str(row["TotalCount"])),
        "TotalCount": ("TOTAL", lambda row: str(row["TotalCount"])),
        "Active": ("ACTIVE", lambda row: str(row["Active"])),
        "Size": ("SIZE", lambda row: human_size(row["Size"])),
        "RawSize": ("RAWSIZE", lambda row: row["Size"]),
        "Reclaimable": ("RECLAIMABLE", _reclaimable),
        "RawReclaimable": ("RAWRECLAIMABLE", lambda row: row["Reclaimable"]),
    }


def run(call: Call) -> None:
    """Print totals, or everything."""
    from rootless import documents
    from rootless.cli import called, listing, output
    from rootless.engine.system import df as system_df
    from rootless.errors import UsageError

    given = call.options
    found = system_df.df(call.engine())
    if given["verbose"]:
        if given["format"] == "json":
            output.line(documents.dumps(found, indent=True))
            return
        if given["format"]:
            raise UsageError("--verbose and a template contradict each other", hint="use json")
        output.write(_images(found) + _containers(found) + _volumes(found))
        return
    rows = system_df.totals(found)
    fields = _fields()
    every = [{name: make(row) for name, (_, make) in fields.items()} for row in rows]
    shown = listing.text(
        rows,
        given["format"] or "table",
        fields,
        columns=_COLUMNS,
        docker=_COLUMNS,
        array=(lambda: every) if called.tool() == "podman" else None,
    )
    output.write(shown)


def _images(found: Json) -> str:
    from rootless.cli.output import human_size, table
    from rootless.engine.common import humanize

    rows = []
    for one in found["Images"]:
        for name in one["RepoTags"] or ["<none>:<none>"]:
            repository, _, tag = name.rpartition(":")
            rows.append(
                [
                    repository, tag, one["Id"][7:19],
                    humanize.ago(one["Created"]) if one["Created"] else "N/A",
                    human_size(one["Size"]), human_size(one["SharedSize"]),
                    human_size(one["Size"] - one["SharedSize"]), str(one["Containers"]),
                    human_size(one["BlobSize"]),
                ]
            )  # fmt: skip
    titles = "REPOSITORY,TAG,IMAGE ID,CREATED,SIZE,SHARED SIZE,UNIQUE SIZE,CONTAINERS,BLOBS".split(
        ","
    )
    return "Images space usage:\n\n" + table(titles, rows)


def _containers(found: Json) -> str:
    from rootless.cli.output import human_size, table
    from rootless.engine.common import humanize

    rows = [
        [
            one["Id"][:12], one["Image"], f'"{one["Command"][:18]}"', str(len(one["Mounts"])),
            human_size(one["SizeRw"]), humanize.ago(one["Created"]), one["Status"],
            one["Names"][0][1:],
        ]
        for one in found["Containers"]
    ]  # fmt: skip
    titles = "CONTAINER ID,IMAGE,COMMAND,LOCAL VOLUMES,SIZE,CREATED,STATUS,NAMES".split(",")
    return "\nContainers space usage:\n\n" + table(titles, rows)


def _volumes(found: Json) -> str:
    from rootless.cli.output import human_size, table

    rows = [
        [one["Name"], str(one["UsageData"]["RefCount"]), human_size(one["UsageData"]["Size"])]
        for one in found["Volumes"]
    ]
    titles = ["VOLUME NAME", "LINKS", "SIZE"]
    return "\nLocal Volumes space usage:\n\n" + table(titles, rows)
