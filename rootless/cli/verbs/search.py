"""`rootless search`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format, several
from rootless.cli.verbs._registry_options import AUTHFILE, CERT_DIR, CREDS, TLS
from rootless.cli.verbs._shared_options import NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cli.listing import Fields
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

_DOCKER = ("Description", "IsAutomated", "IsOfficial", "Name", "StarCount")


def run(call: Call) -> None:
    """Ask, and print a table."""
    from rootless.cli import listing, output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    images = call.engine().images
    term = call.words[0]
    format = given["format"] or "table"
    words = {"tls_verify": registry.verify(given), "settings": registry.settings(given)}
    if given["list_tags"]:
        tags = images.tags(term, **words)
        tags = tags[: given["limit"]] if given["limit"] else tags
        fields: Fields = {"Name": ("NAME", lambda tag: term), "Tag": ("TAG", str)}
        array = [{"Name": term, "Tags": tags}]
        shown = listing.text(tags, format, fields, columns=fields, array=lambda: array)
        output.write(shown)
        return
    wanted = _filters(given["filter"])
    found = [one for one in images.search(term, given["limit"], **words) if _fits(one, wanted)]
    full = bool(given["no_trunc"])
    columns = ("Name", "Description", "StarCount", "IsOfficial")
    shown = listing.text(
        found,
        format,
        _fields(full, json=format == "json"),
        columns=columns,
        docker=_DOCKER,
        array=lambda: [_podman(one) for one in found],
    )
    output.write(shown)


def _fields(full: bool, *, json: bool) -> Fields:
    """What a template can name; docker's JSON has true and false where a table has a mark."""

    def name(one: Json) -> str:
        return str(one["name"] if one["index"] == "docker.io" else f"{one['index']}/{one['name']}")

    def description(one: Json) -> str:
        text = " ".join(one["description"].split())
        return text if full or len(text) <= 45 else text[:44] + "…"

    def stars(one: Json) -> Json:
        return str(one["star_count"]) if json else one["star_count"]

    def mark(key: str) -> Callable[[Json], str]:
        words = ("false", "true") if json else ("", "[OK]")
        return lambda one: words[bool(one[key])]

    return {
        "Automated": ("AUTOMATED", mark("is_automated")),
        "Description": ("DESCRIPTION", description),
        "Index": ("INDEX", lambda one: one["index"]),
        "IsAutomated": ("AUTOMATED", mark("is_automated")),
        "IsOfficial": ("OFFICIAL", mark("is_official")),
        "Name": ("NAME", name),
        "Official": ("OFFICIAL", mark("is_official")),
        "StarCount": ("STARS", stars),
        "Stars": ("STARS", stars),
        "Tag": ("TAG", lambda one: ""),
    }


def _podman(one: Json) -> Json:
    """One result as podman's JSON has it."""
    return {
        "Index": one["index"],
        "Name": f"{one['index']}/{one['name']}",
        "Description": one["description"],
        "Stars": one["star_count"],
        "Official": "[OK]" if one["is_official"] else "",
        "Automated": "[OK]" if one["is_automated"] else "",
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
