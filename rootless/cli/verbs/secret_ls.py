"""`rootless secret ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several
from rootless.cli.verbs._shared_options import NOHEADING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "secret ls",
    "",
    "List secrets",
    (
        several("-f --filter", "KEY=VALUE", "Filter by name or id"),
        output_format("{{.Name}}", table=True),
        NOHEADING,
        flag("-q --quiet", "Print only IDs"),
    ),
    maximum=0,
)

_TITLES = {"ID": "ID", "Name": "NAME", "Driver": "DRIVER", "CreatedAt": "CREATED",
           "UpdatedAt": "UPDATED"}  # fmt: skip


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output
    from rootless.engine.common import list_filters
    from rootless.engine.containers import secrets
    from rootless.errors import UsageError

    given = call.options
    filters = output.filters(given["filter"])
    for key in filters:
        if key not in ("name", "id"):
            raise UsageError(f'unknown filter "{key}"', hint="name, id")
    found = [
        one
        for one in secrets.Secrets(call.engine().context.data_dir).list()
        if any(list_filters.matches(value, one["Name"]) for value in filters.get("name", [""]))
        and any(one["ID"].startswith(value) for value in filters.get("id", [""]))
    ]
    if given["quiet"]:
        output.write("".join(one["ID"] + "\n" for one in found))
        return
    rows = [{**one, "Driver": one["Spec"]["Driver"]["Name"]} for one in found]
    output.write(output.rows(rows, given["format"], tuple(_TITLES), _TITLES,
                             heading=not given["noheading"]))  # fmt: skip
