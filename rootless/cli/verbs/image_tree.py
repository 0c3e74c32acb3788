"""`rootless image tree`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "image tree",
    "IMAGE",
    "Show the layers of an image as a tree",
    (
        flag("--whatrequires", "Show the images that are built on this one"),
        output_format(),
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
)


def run(call: Call) -> None:
    """Print the tree."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.images import tree as image_tree
    from rootless.errors import UsageError

    given = call.options
    found = image_tree.tree(
        call.engine().images, call.words[0], children=bool(given["whatrequires"])
    )
    if given["format"] == "json":
        output.line(documents.dumps(found, indent=True))
        return
    if given["format"]:
        raise UsageError(f'unknown --format "{given["format"]}"', hint="json")
    output.line(f"Image ID: {found['ID'][:12]}")
    output.line(f"Tags:     [{' '.join(found['Tags'])}]")
    output.line(f"Size:     {output.human_size(found['Size'])}")
    if not found["Layers"]:
        output.line("No Image Layers")
        return
    output.line("Image Layers")
    rows = found["Layers"]
    for number, row in enumerate(rows):
        last = number + 1 == len(rows)
        indent = "│   " * row["Depth"] if not last else "    " * row["Depth"]
        output.line(f"{indent}{'└──' if last else '├──'} {_described(row)}")


def _described(row: Json) -> str:
    from rootless.cli.output import human_size

    top = f" Top Layer of: [{' '.join(row['Top'])}]" if row["Top"] else ""
    return f"ID: {row['ID']} Size: {human_size(row['Size']):>7}{top}"
