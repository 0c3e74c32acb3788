"""`rootless image diff`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image diff",
    "IMAGE [IMAGE]",
    "Inspect changes between images",
    (output_format(),),
    minimum=1,
    maximum=2,
    complete=("image",),
    text="A: added, C: changed, D: deleted, in the first image.",
    examples="rootless image diff mine:2\nrootless image diff mine:2 mine:1",
)


def run(call: Call) -> None:
    """Print `A /path` lines."""
    from rootless.cli.verbs.diff import show
    from rootless.engine.images import diff as image_diff

    other = call.words[1] if len(call.words) > 1 else ""
    show(image_diff.diff(call.engine().images, call.words[0], other), call.options["format"])
