"""`rootless push`."""

from __future__ import annotations

from rootless.cli.verbs._registry_options import REGISTRY
from rootless.cli.words import Verb, flag, number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "push",
    "IMAGE [TARGET]",
    "Send an image to a registry",
    (
        flag("-a --all-tags", "every tag of the repository IMAGE"),
        flag("--all", "of a manifest list its images as well, as it is always done"),
        text("--chunk-size", "BYTES", "send blobs in chunks of this size, as 16m"),
        text("--compression-format", "FORMAT", "the form of all layers",
             complete="gzip zstd zstd:chunked none"),
        number("--compression-level", "N", "how hard to compress: 1 to 9 (gzip), 1 to 22 (zstd)"),
        text("--digestfile", "FILE", "write the digest of what was pushed to FILE",
             complete="file"),
        text("-f --format", "FORMAT", "media types: oci, or v2s2 (docker's)",
             complete="oci v2s2"),
        flag("-q --quiet", "print the name only"),
        *REGISTRY,
    ),
    minimum=1,
    maximum=2,
    complete=("image",),
    text="TARGET is a name in a registry, by default IMAGE itself; or docker://NAME, "
    "oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY. "
    "Blobs that the registry has are not sent; those that it has in another repository are "
    "mounted from there.",
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
    engine.progress.quiet = given["quiet"]  # type: ignore[attr-defined]
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
