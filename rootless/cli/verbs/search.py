"""`rootless search`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format, several
from rootless.cli.verbs._registry_options import AUTHFILE, CERT_DIR, CREDS, TLS
from rootless.cli.verbs._shared_options import NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "search",
    "TERM",
    "Search registries for images",
    (
        several("-f --filter", "KEY=VALUE", "Filter by is-automated, is-official or stars"),
        output_format("{{.Name}}", table=True),
        number("--limit", "N", "Maximum number of results of each registry (default 25)"),
        flag("--list-tags", "List the tags of the repository TERM"),
        NO_TRUNC,
        AUTHFILE,
        CERT_DIR,
        CREDS,
        TLS,
    ),
    minimum=1,
    maximum=1,
    text="REGISTRY/TERM searches that registry, TERM alone the registries of registries.conf "
    "or docker.io. If a registry has no search API, its catalog is searched.",
    examples="rootless search --limit 5 debian\nrootless search quay.io/podman\n"
    "rootless search --list-tags quay.io/podman/stable",
)

_TITLES = {
    "Index": "INDEX",
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "Stars": "STARS",
    "IsOfficial": "OFFICIAL",
    "Official": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
    "Automated": "AUTOMATED",
    "Tag": "TAG",
}


def run(call: Call) -> None:
    """Ask, and print a table."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    images = call.engine().images
    term = call.words[0]
    words = {"tls_verify": registry.verify(given), "settings": registry.settings(given)}
    if given["list_tags"]:
        rows: list[Json] = [{"Name": term, "Tag": tag} for tag in images.tags(term, **words)]
        rows = rows[: given["limit"]] if given["limit"] else rows
        output.write(output.rows(rows, given["format"], ["Name", "Tag"], _TITLES))
        return
    wanted = _filters(given["filter"])
    found = images.search(term, given["limit"], **words)
    rows = [_row(one, bool(given["no_trunc"])) for one in found if _fits(one, wanted)]
    columns = ["Name", "Description", "StarCount", "IsOfficial"]
    output.write(output.rows(rows, given["format"], columns, _TITLES))


def _row(one: Json, full: bool) -> Json:
    text = " ".join(one["description"].split())
    official = "[OK]" if one["is_official"] else ""
    automated = "[OK]" if one["is_automated"] else ""
    name = one["name"] if one["index"] == "docker.io" else f"{one['index']}/{one['name']}"
    return {
        "Index": one["index"],
        "Name": name,
        "Description": text if full or len(text) <= 45 else text[:44] + "…",
        "StarCount": one["star_count"],
        "Stars": one["star_count"],
        "IsOfficial": official,
        "Official": official,
        "IsAutomated": automated,
        "Automated": automated,
        "Tag": "",
    }


def _filters(words: list[str]) -> Json:
    from rootless.cli import output
    from rootless.cli.options import truth, whole
    from rootless.errors import UsageError

    wanted: Json = {}
    for key, values in output.filters(words).items():
        if key == "stars":
            wanted[key] = whole("--filter stars", values[-1])
        elif key in ("is-official", "is-automated"):
            wanted[key] = truth(f"--filter {key}", values[-1])
        else:
            raise UsageError(f'invalid filter "{key}"', hint="is-automated, is-official, stars")
    return wanted


def _fits(one: Json, wanted: Json) -> bool:
    return bool(
        one["star_count"] >= wanted.get("stars", 0)
        and one["is_official"] == wanted.get("is-official", one["is_official"])
        and one["is_automated"] == wanted.get("is-automated", one["is_automated"])
    )
