"""`rootless copy`."""

from __future__ import annotations

from rootless.cli.verbs._registry_options import AUTHFILE, TRUST
from rootless.cli.words import Verb, flag, number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "copy",
    "SOURCE TARGET",
    "Copy an image from one place to another, without keeping it here",
    (
        flag("-a --all", "an index with the images for all its platforms"),
        AUTHFILE,
        text("--compression-format", "FORMAT", "the form of all layers",
             complete="gzip zstd zstd:chunked none"),
        number("--compression-level", "N", "how hard to compress: 1 to 9 (gzip), 1 to 22 (zstd)"),
        text("--dest-cert-dir", "DIR", "certificates for TARGET", complete="directory"),
        text("--dest-creds", "USER:PASSWORD", "who you are to TARGET"),
        text("--dest-tls-verify", "BOOL", "check the certificate of TARGET (true)"),
        text("--digestfile", "FILE", "write the digest of what was written to FILE",
             complete="file"),
        text("-f --format", "FORMAT", "media types: oci, or v2s2 (docker's)",
             complete="oci v2s2"),
        text("--platform", "OS/ARCH[/VARIANT]", "which of an index's images (this host's)"),
        flag("--preserve-digests", "fail rather than change a digest"),
        flag("-q --quiet", "print the digest only"),
        text("--src-cert-dir", "DIR", "certificates for SOURCE", complete="directory"),
        text("--src-creds", "USER:PASSWORD", "who you are to SOURCE"),
        text("--src-tls-verify", "BOOL", "check the certificate of SOURCE (true)"),
        *TRUST,
    ),
    minimum=2,
    maximum=2,
    complete=("image",),
    text="A place is a name in a registry, or docker://NAME, oci:DIRECTORY[:TAG], "
    "oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], dir:DIRECTORY; SOURCE may also be "
    "store:IMAGE, an image of this host.",
    examples="rootless copy --all docker.io/library/debian:12 registry.example/debian:12\n"
    "rootless copy debian oci-archive:debian.tar:latest",
)  # fmt: skip


def run(call: Call) -> int:
    """Copy, and print the digest."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]  # type: ignore[attr-defined]
    engine.demands = registry.demands(given)
    words = {key: given[key] for key in
             ("all", "platform", "preserve_digests", "format", "compression_format",
              "compression_level")}  # fmt: skip
    for side in ("src_", "dest_"):
        words[side + "settings"] = registry.settings(given, side)
        words[side + "tls_verify"] = registry.verify(given, side)
    done = engine.images.copy(call.words[0], call.words[1], **words)
    if given["digestfile"]:
        with open(given["digestfile"], "w") as file:
            file.write(done["Digest"])
    output.line(done["Digest"])
    return 0
