"""`rootless manifest annotate`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._manifest_options import PLATFORM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest annotate",
    "LIST IMAGE",
    "Add or update information about an image of a manifest list",
    PLATFORM,
    minimum=2,
    maximum=2,
    complete=("list", "image"),
    text="IMAGE is an image in local storage that is in the list, or a digest.",
    examples="rootless manifest annotate --arch arm64 --variant v8 team/app:1 app:arm64",
)


def run(call: Call) -> None:
    """Change it, print the digest."""
    from rootless.cli import output
    from rootless.cli.verbs import _manifest_options as options

    changes = options.changes(call.options)
    output.line(call.engine().manifests.annotate(call.words[0], call.words[1], changes))
