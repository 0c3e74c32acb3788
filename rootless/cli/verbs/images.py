"""`rootless images`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.images.collection import Summary

VERB = Verb(
    "images",
    "[NAME]",
    "List images",
    (
        flag("-a --all", "Show all images, including intermediate ones"),
        flag("-q --quiet", "Print only image IDs"),
        flag("--no-trunc", "Do not truncate output"),
        flag("--digests", "Show digests"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "Filter by before, dangling, label, label!, reference, since or until",
        ),
        output_format("{{.Repository}}", table=True),
        flag("-n --noheading", "Do not print the table headings"),
    ),
    maximum=1,
    complete=("image",),
    examples="rootless images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
)

_TITLES = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output

    given = call.options
    filters = output.filters(given["filter"])
    if call.words:
        name = call.words[0]
        filters.setdefault("reference", []).append(name)
    found = call.engine().images.summaries(filters)
    full = bool(given["no_trunc"])
    if given["quiet"]:
        ids = dict.fromkeys(f"sha256:{one.id}" if full else one.id[:12] for one in found)
        output.write("".join(one + "\n" for one in ids))
        return
    columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if given["digests"]:
        columns.insert(2, "Digest")
    heading = not given["noheading"]
    if given["format"] in (None, "table"):
        body = _body(found, full, bool(given["digests"]))
        output.write(output.table([_TITLES[name] for name in columns], body, heading=heading))
        return
    rows = [row for one in found for row in _rows(one, full)]
    output.write(output.rows(rows, given["format"], columns, _TITLES, heading=heading))


def _body(found: list[Summary], full: bool, digests: bool) -> list[list[str]]:
    """The cells of the plain table, a line for each name; no more than is shown is made."""
    from rootless.cli.output import human_size
    from rootless.engine.common.humanize import ago

    body = []
    for one in found:
        rest = [
            f"sha256:{one.id}" if full else one.id[:12],
            ago(one.seconds) if one.seconds else "N/A",
            human_size(one.size),
        ]
        if digests:
            rest.insert(0, one.digest or "<none>")
        for name in one.shown or (("<none>", "<none>"),):
            body.append([*name, *rest])
    return body


def _rows(one: Summary, full: bool) -> list[dict[str, Json]]:
    from rootless.cli.output import human_size
    from rootless.engine.common import humanize

    base = {
        "Digest": one.digest or "<none>",
        "ID": f"sha256:{one.id}" if full else one.id[:12],
        "CreatedAt": humanize.local(one.seconds) if one.seconds else "N/A",
        "CreatedSince": humanize.ago(one.seconds) if one.seconds else "N/A",
        "Size": human_size(one.size),
        "Containers": "N/A",
    }
    return [
        {"Repository": repository, "Tag": tag, **base}
        for repository, tag in one.shown or [["<none>", "<none>"]]
    ]
