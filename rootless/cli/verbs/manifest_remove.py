"""`rootless manifest remove`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest remove",
    "LIST IMAGE",
    "Remove an image from a manifest list",
    minimum=2,
    maximum=2,
    complete=("list", "image"),
    text="IMAGE is an image in local storage that is in the list, or a digest.",
    examples="rootless manifest remove team/app:1 app:arm64",
)


def run(call: Call) -> None:
    """Take it out, print the digest."""
    from rootless.cli import output

    output.line(call.engine().manifests.drop(call.words[0], call.words[1]))
