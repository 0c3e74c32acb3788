"""`rootless system df`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    text="Sizes are bytes on disk; an image has its blobs and its unpacked layers. "
    "Reclaimable is the space that `system prune -a --volumes` frees.",
    examples="rootless system df -v\nrootless system df --format '{{.Type}} {{.Reclaimable}}'",
)

_TITLES = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


def run(call: Call) -> None:
    """Print totals, or everything."""
    from rootless import documents
    from rootless.cli import output
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
    rows = []
    for row in system_df.totals(found):
        share = f" ({100 * row['Reclaimable'] // row['Size']}%)" if row["Size"] else ""
        rows.append(
            {
                "Type": row["Type"],
                "TotalCount": str(row["TotalCount"]),
                "Active": str(row["Active"]),
                "Size": output.human_size(row["Size"]),
                "Reclaimable": output.human_size(row["Reclaimable"]) + share,
            }
        )
    output.write(output.rows(rows, given["format"], list(_TITLES), _TITLES))


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
                ]
            )  # fmt: skip
    titles = "REPOSITORY,TAG,IMAGE ID,CREATED,SIZE,SHARED SIZE,UNIQUE SIZE,CONTAINERS".split(",")
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
