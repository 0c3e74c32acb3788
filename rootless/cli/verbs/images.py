"""`rootless images`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call
    from rootless.documents import Json
    from rootless.images.store import ImageRecord

VERB = Verb(
    "images",
    "[NAME]",
    "List images",
    (
        flag("-a --all", "also images without a name that others are built on"),
        flag("-q --quiet", "ids only"),
        flag("--no-trunc", "do not shorten"),
        flag("--digests", "also the digests of the manifests"),
        several("-f --filter", "KEY=VALUE", "before, dangling, label, reference, since"),
        text("--format", "FORMAT", "json, table, table TEMPLATE, or a template as {{.Repository}}"),
        flag("--noheading", "no line of headings"),
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
    found = call.engine().images.list(filters)
    full = bool(given["no_trunc"])
    if given["quiet"]:
        ids = dict.fromkeys(f"sha256:{one.id}" if full else one.id[:12] for one in found)
        output.write("".join(one + "\n" for one in ids))
        return
    rows = [row for one in found for row in _rows(one, full)]
    columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if given["digests"]:
        columns.insert(2, "Digest")
    shown = output.rows(rows, given["format"], columns, _TITLES, heading=not given["noheading"])
    output.write(shown)


def _rows(one: ImageRecord, full: bool) -> list[dict[str, Json]]:
    from rootless.cli.output import human_size
    from rootless.engine import telling
    from rootless.images import reference

    created = telling.parsed(one.created)
    base = {
        "Digest": one.manifest_digest or "<none>",
        "ID": f"sha256:{one.id}" if full else one.id[:12],
        "CreatedAt": telling.local(created) if created else "N/A",
        "CreatedSince": telling.ago(created) if created else "N/A",
        "Size": human_size(one.size),
        "Containers": "N/A",
    }
    if not one.names:
        return [{"Repository": "<none>", "Tag": "<none>", **base}]
    made = []
    for name in one.names:
        ref = reference.parse(name)
        made.append({"Repository": ref.familiar_name, "Tag": ref.tag or "<none>", **base})
    return made
