"""`rootless diff`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "diff",
    "CONTAINER",
    "Show what a container changed in its files",
    (text("--format", "FORMAT", "json", complete="json"),),
    minimum=1,
    maximum=1,
    complete=("container",),
    text="A: added, C: changed, D: deleted.",
)


def run(call: Call) -> None:
    """Print `A /path` lines."""
    from rootless import documents
    from rootless.cli import output

    found = call.engine().containers.get(call.words[0]).diff()
    if call.options["format"] == "json":
        names = {"A": "added", "C": "changed", "D": "deleted"}
        table: dict[str, list[str]] = {}
        for kind, path in found:
            table.setdefault(names[kind], []).append(path)
        output.line(documents.dumps(table, indent=True))
        return
    output.write("".join(f"{kind} {path}\n" for kind, path in found))
