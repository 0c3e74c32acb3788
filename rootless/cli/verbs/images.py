"""`rootless images`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
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
        flag("--history", "Show the names that images have had"),
        text("--sort", "KEY", "Sort by created, id, repository, size or tag",
             complete="created id repository size tag"),
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
)  # fmt: skip

_TITLES = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output

    given = call.options
    filters = output.filters(given["filter"])
    if call.words:
        name = call.words[0]
        filters.setdefault("reference", []).append(name)
    images = call.engine().images
    found = images.summaries(filters)
    full = bool(given["no_trunc"])
    columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if given["digests"]:
        columns.insert(2, "Digest")
    if given["history"]:
        columns.append("History")
    heading = not given["noheading"]
    if given["format"] in (None, "table") and not (given["sort"] or given["history"]):
        if given["quiet"]:
            ids = dict.fromkeys(f"sha256:{one.id}" if full else one.id[:12] for one in found)
            output.write("".join(one + "\n" for one in ids))
            return
        body = _body(found, full, bool(given["digests"]))
        output.write(output.table([_TITLES[name] for name in columns], body, heading=heading))
        return
    from rootless.cli import listing
    from rootless.cli.verbs import _images_fields as fields

    rows = fields.rows(found, full, images)
    if given["sort"]:
        fields.sort(rows, given["sort"])
    if given["quiet"]:
        output.write("".join(one + "\n" for one in dict.fromkeys(row.identifier() for row in rows)))
        return
    output.write(
        listing.text(
            rows,
            given["format"] or "table",
            fields.FIELDS,
            columns=columns,
            docker=fields.DOCKER,
            array=lambda: fields.podman(rows, images),
            heading=heading,
        )
    )


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
