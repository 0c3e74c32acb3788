"""`rootless history`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, text
from rootless.cli.verbs._shared_options import NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "history",
    "IMAGE",
    "Show the history of an image",
    (
        flag("-q --quiet", "Print only image IDs"),
        NO_TRUNC,
        text("-H --human", "BOOL", "Print sizes and dates in human-readable format (default true)"),
        output_format("{{.CreatedBy}}", table=True),
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
    examples="rootless history --no-trunc debian\n"
    "rootless history --format '{{.CreatedBy}} {{.Size}}' debian",
)

_TITLES = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def run(call: Call) -> None:
    """Print the steps, newest first."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.common import humanize

    given = call.options
    human = truth("--human", given["human"]) if given["human"] else True
    full = bool(given["no_trunc"])
    rows = []
    for step in call.engine().images.history(call.words[0]):
        identity, by, comment = step["Id"], " ".join(step["CreatedBy"].split()), step["Comment"]
        if not full:
            identity = identity.removeprefix("sha256:")[:12]
            by, comment = _short(by, 45), _short(comment, 45)
        known = bool(step["CreatedAt"])
        since = humanize.ago(step["Created"]) if known else "N/A"
        rows.append(
            {
                "ID": identity if step["Id"] == "<missing>" or not full else step["Id"],
                "CreatedSince": since if human else step["CreatedAt"] or "N/A",
                "CreatedAt": step["CreatedAt"] or "N/A",
                "CreatedBy": by,
                "Size": output.human_size(step["Size"]) if human else str(step["Size"]),
                "Comment": comment,
            }
        )
    if given["quiet"]:
        output.write("".join(f"{row['ID']}\n" for row in rows))
        return
    columns = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    output.write(output.rows(rows, given["format"], columns, _TITLES))


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
