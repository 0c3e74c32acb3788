"""`rootless manifest push`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._registry_options import (
    COMPRESSION_FORMAT,
    DIGESTFILE,
    MANIFEST_TYPE,
    POLICY,
    QUIET,
    REGISTRY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest push",
    "LIST [TARGET]",
    "Push a manifest list to a registry",
    (
        flag("--all", "Push the images of the list as well (always done)"),
        COMPRESSION_FORMAT,
        DIGESTFILE,
        MANIFEST_TYPE,
        flag("-p --purge --rm", "Remove the manifest list after pushing", dest="rm"),
        QUIET,
        POLICY,
        *REGISTRY,
    ),
    minimum=1,
    maximum=2,
    complete=("list",),
    text="TARGET is a destination as of `rootless push` (default: the name of the list).",
    examples="rootless manifest push --rm team/app:1 quay.io/team/app:1",
)  # fmt: skip


def run(call: Call) -> None:
    """Push, and say what became of it."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
    engine.demands = registry.demands(given)
    done = engine.manifests.push(
        call.words[0],
        call.words[1] if len(call.words) > 1 else "",
        format=given["format"],
        compression_format=given["compression_format"],
        tls_verify=registry.verify(given),
        settings=registry.settings(given),
    )
    if given["rm"]:
        engine.manifests.remove(call.words[0])
    output.pushed(done, given["digestfile"], bool(given["quiet"]))
