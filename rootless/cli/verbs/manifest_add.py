"""`rootless manifest add`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._manifest_options import PLATFORM
from rootless.cli.verbs._registry_options import ALL_OF_INDEX, REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest add",
    "LIST IMAGE...",
    "Add images to a manifest list",
    (ALL_OF_INDEX, *PLATFORM, *REGISTRY),
    minimum=2,
    complete=("list", "image"),
    examples="rootless manifest add team/app:1 docker://quay.io/team/app:arm64",
)


def run(call: Call) -> None:
    """Add each, print the digests."""
    from rootless.cli import output
    from rootless.cli.verbs import _manifest_options as options
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    manifests = call.engine().manifests
    for image in call.words[1:]:
        added = manifests.add(
            call.words[0],
            image,
            all=given["all"],
            changes=options.changes(given),
            tls_verify=registry.verify(given),
            settings=registry.settings(given),
        )
        output.write("".join(f"{digest}\n" for digest in added))
