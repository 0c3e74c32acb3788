"""`rootless untag`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "untag",
    "IMAGE [NAME...]",
    "Remove names from an image without removing the image",
    minimum=1,
    complete=("image",),
    text="Without NAME, all names are removed; the image is still found by its ID until it is "
    "pruned.",
    examples="rootless untag debian\nrootless untag 3f4a1b2c mine:1 mine:latest",
)


def run(call: Call) -> None:
    """Take them away."""
    call.engine().images.untag(call.words[0], call.words[1:])
