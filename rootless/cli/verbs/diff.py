"""`rootless diff`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "diff",
    "CONTAINER|IMAGE [CONTAINER|IMAGE]",
    "Inspect changes to the file system of a container or an image",
    (LATEST, output_format()),
    minimum=1,
    maximum=2,
    complete=("container",),
    text="A: added, C: changed, D: deleted; since its image, or against the second one.",
)


def run(call: Call) -> None:
    """Print `A /path` lines."""
    from rootless.engine.images import diff as image_diff
    from rootless.errors import ContainerNotFound

    engine = call.engine()
    from rootless.cli.verbs import _several

    word, rest = _several.first(call)
    if rest:
        from rootless.engine.containers import compare

        show(compare.compare(engine.containers, engine.images, word, rest[0]),
             call.options["format"])  # fmt: skip
        return
    try:
        found = engine.containers.get(word).diff()
    except ContainerNotFound:
        # podman's `diff` takes images as well
        if not engine.images.exists(word):
            raise
        found = image_diff.diff(engine.images, word)
    show(found, call.options["format"])


def show(found: list[tuple[str, str]], format: str | None) -> None:
    """Changes as lines, or as podman's JSON."""
    from rootless import documents
    from rootless.cli import output

    if format not in (None, "", "json"):
        from rootless.errors import UsageError

        raise UsageError(f'unknown --format "{format}"', hint="json")
    if format == "json":
        names = {"A": "added", "C": "changed", "D": "deleted"}
        table: dict[str, list[str]] = {}
        for kind, path in found:
            table.setdefault(names[kind], []).append(path)
        output.line(documents.dumps(table, indent=True))
        return
    output.write("".join(f"{kind} {path}\n" for kind, path in found))
