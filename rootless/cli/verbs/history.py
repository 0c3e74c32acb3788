"""`rootless history`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, text
from rootless.cli.verbs._shared_options import NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.cli.options import Call
    from rootless.documents import Json

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

_DOCKER = ("Comment", "CreatedAt", "CreatedBy", "CreatedSince", "ID", "Size")


def run(call: Call) -> None:
    """Print the steps, newest first."""
    from rootless.cli import listing, output
    from rootless.cli.options import truth
    from rootless.engine.images import history

    given = call.options
    human = truth("--human", given["human"]) if given["human"] else True
    full = bool(given["no_trunc"])
    steps = call.engine().images.history(call.words[0])
    if given["quiet"]:
        output.write("".join(f"{_identity(step, full)}\n" for step in steps))
        return
    output.write(
        listing.text(
            steps,
            given["format"] or "table",
            _fields(human, full),
            columns=("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
            docker=_DOCKER,
            array=lambda: history.podman(steps),
        )
    )


def _fields(human: bool, full: bool) -> Fields:
    """What a template can name."""
    from rootless.cli import output
    from rootless.engine.common import humanize

    def since(step: Json) -> str:
        if not human or not step["CreatedAt"]:
            return step["CreatedAt"] or "N/A"
        return humanize.ago(step["Created"])

    def size(step: Json) -> str:
        return output.human_size(step["Size"]) if human else str(step["Size"])

    return {
        "Comment": ("COMMENT", lambda step: _short(step["Comment"], full)),
        "Created": ("CREATED", since),
        "CreatedAt": ("CREATED AT", lambda step: step["CreatedAt"] or "N/A"),
        "CreatedBy": ("CREATED BY", lambda step: _short(" ".join(step["CreatedBy"].split()), full)),
        "CreatedSince": ("CREATED", since),
        "ID": ("IMAGE", lambda step: _identity(step, full)),
        "Size": ("SIZE", size),
        "Tags": ("TAGS", lambda step: step["Tags"] or []),
    }


def _identity(step: Json, full: bool) -> str:
    return str(step["Id"]) if full else step["Id"].removeprefix("sha256:")[:12]


def _short(text: str, full: bool) -> str:
    return text if full or len(text) <= 45 else text[:44] + "…"
