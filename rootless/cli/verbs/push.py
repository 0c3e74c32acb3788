"""`rootless push`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._registry_options import (
    COMPRESSION,
    CONTENT_TRUST,
    DIGESTFILE,
    MANIFEST_TYPE,
    QUIET,
    REGISTRY,
    RETRY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "push",
    "IMAGE [TARGET]",
    "Push an image to a registry",
    (
        flag("-a --all-tags", "Push all tags of the repository"),
        flag("--all", "Push the images of a manifest list as well (always done)"),
        text("--chunk-size", "BYTES", "Upload blobs in chunks of this size, as in 16m"),
        *COMPRESSION,
        DIGESTFILE,
        MANIFEST_TYPE,
        QUIET,
        *REGISTRY,
        *RETRY,
        CONTENT_TRUST,
        flag("--compress", "Compress the layers (always done where --compression-format asks)"),
        flag("--remove-signatures", "Push no signatures (none is pushed unless it is copied)"),
    ),
    minimum=1,
    maximum=2,
    complete=("image",),
    text="TARGET is a name in a registry (default: IMAGE itself), docker://NAME, "
    "oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or "
    "dir:DIRECTORY. Blobs that the registry already has are not uploaded; blobs of its "
    "other repositories are mounted.",
    examples="rootless push mine:1.0 registry.example/team/mine:1.0\n"
    "rootless push --digestfile digest localhost:5000/mine",
)  # fmt: skip


def run(call: Call) -> int:
    """Push, and say what became of it."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry
    from rootless.errors import UsageError

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
    target = call.words[1] if len(call.words) > 1 else ""
    if given["all_tags"] and target:
        raise UsageError("--all-tags takes no TARGET", hint="leave one of them out")
    names = engine.images.tags_of(call.words[0]) if given["all_tags"] else [call.words[0]]
    settings, verify = registry.settings(given), registry.verify(given)
    for name in names:
        done = engine.images.push(
            name,
            target=target,
            tls_verify=verify,
            format=given["format"] or "",
            compression_format=given["compression_format"] or "",
            compression_level=given["compression_level"],
            chunk_size=given["chunk_size"],
            settings=settings,
        )
        output.pushed(done, given["digestfile"], bool(given["quiet"]))
    return 0
