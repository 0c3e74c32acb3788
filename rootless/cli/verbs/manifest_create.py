"""`rootless manifest create`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._registry_options import ALL_OF_INDEX, REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest create",
    "LIST [IMAGE...]",
    "Create a manifest list",
    (
        ALL_OF_INDEX,
        flag("-a --amend", "Add to an existing manifest list"),
        *REGISTRY,
    ),
    minimum=1,
    complete=("list", "image"),
    text="IMAGE is an image in local storage, or a name in a registry, where it remains until "
    "the list is pushed.",
    examples="rootless manifest create team/app:1 app:amd64 app:arm64\n"
    "rootless manifest push team/app:1 quay.io/team/app:1",
)


def run(call: Call) -> None:
    """Make it, print its digest."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    digest = call.engine().manifests.create(
        call.words[0],
        call.words[1:],
        amend=given["amend"],
        all=given["all"],
        tls_verify=registry.verify(given),
        settings=registry.settings(given),
    )
    output.line(digest)
