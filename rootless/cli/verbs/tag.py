"""`rootless tag`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "tag", "IMAGE NAME...", "Add additional names to an image", minimum=2, complete=("image", "")
)


def run(call: Call) -> None:
    """Do it for each name."""
    from rootless.cli import called

    images = call.engine().images
    for name in call.words[1:]:
        images.tag(call.words[0], called.local_name(name))
