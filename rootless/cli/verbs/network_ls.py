"""`rootless network ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network ls",
    "",
    "List networks",
    (
        flag("-q --quiet", "Print only network names"),
        flag("--no-trunc", "Do not truncate IDs"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "Filter by name, id, label, label!, driver, dangling, scope, type or until",
        ),
        output_format("{{.Name}}", table=True),
    ),
    maximum=0,
)

_TITLES = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER"}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output

    found = call.engine().networks.list(output.filters(call.options["filter"]))
    if call.options["quiet"]:
        output.write("".join(one["name"] + "\n" for one in found))
        return
    if call.options["format"] == "json":
        from rootless import documents

        output.line(documents.dumps(found, indent=True))
        return
    whole = call.options["no_trunc"]
    rows = [
        {
            "ID": one["id"] if whole else one["id"][:12],
            "Name": one["name"],
            "Driver": one["driver"],
            "Labels": ",".join(f"{key}={value}" for key, value in one["labels"].items()),
            "Subnets": ",".join(each["subnet"] for each in one["subnets"]),
            "Internal": one["internal"],
            "IPv6Enabled": one["ipv6_enabled"],
            "DNSEnabled": one["dns_enabled"],
            "Created": one["created"],
        }
        for one in found
    ]
    output.write(output.rows(rows, call.options["format"], ("ID", "Name", "Driver"), _TITLES))
