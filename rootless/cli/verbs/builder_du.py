"""`rootless builder du`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "builder du",
    "",
    "Show how much room the build cache takes",
    (output_format("{{.Size}}", table=True),),
    maximum=0,
    text="Shared layers belong to images as well: removing them from the cache frees nothing.",
    examples="rootless builder du\nrootless builder du --format '{{.ID}} {{.Size}}'",
)

_TITLES = {
    "ID": "ID",
    "Type": "TYPE",
    "Size": "SIZE",
    "Shared": "SHARED",
    "LastUsedAt": "LAST USED",
}


def run(call: Call) -> None:
    """Print every record, what was used last first."""
    from rootless.cli import output
    from rootless.engine.build import cache
    from rootless.engine.common import humanize

    rows = [
        {
            "ID": one["ID"][:12],
            "Type": one["Type"],
            "Size": output.human_size(one["Size"]),
            "Shared": str(one["Shared"]).lower(),
            "LastUsedAt": humanize.ago(one["LastUsedAt"]),
        }
        for one in cache.usage(call.engine())
    ]
    output.write(output.rows(rows, call.options["format"], list(_TITLES), _TITLES))
