"""`rootless copy`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._registry_options import AUTHFILE, COMPRESSION, MANIFEST_TYPE, TRUST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "copy",
    "SOURCE TARGET",
    "Copy an image between registries and archives, without storing it",
    (
        flag("-a --all", "Copy the images of all platforms"),
        AUTHFILE,
        *COMPRESSION,
        text("--dest-cert-dir", "DIR",
            "Directory of TLS certificates for TARGET", complete="directory"),
        text("--dest-creds", "USER:PASSWORD", "Credentials to use for accessing TARGET"),
        text("--dest-tls-verify", "BOOL",
            "Require HTTPS and verify certificates of TARGET (default true)"),
        text("--digestfile", "FILE", "Write the digest of the copied image to a file",
             complete="file"),
        MANIFEST_TYPE,
        text("--platform", "OS/ARCH[/VARIANT]",
            "Select the platform of the image (default: this host's)"),
        flag("--preserve-digests", "Fail if the digests cannot be preserved"),
        flag("-q --quiet", "Print only the digest"),
        text("--src-cert-dir", "DIR",
            "Directory of TLS certificates for SOURCE", complete="directory"),
        text("--src-creds", "USER:PASSWORD", "Credentials to use for accessing SOURCE"),
        text("--src-tls-verify", "BOOL",
            "Require HTTPS and verify certificates of SOURCE (default true)"),
        *TRUST,
    ),
    minimum=2,
    maximum=2,
    complete=("image",),
    text="SOURCE and TARGET are names in a registry, or docker://NAME, oci:DIRECTORY[:TAG], "
    "oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] or dir:DIRECTORY. SOURCE may "
    "also be store:IMAGE, an image in local storage.",
    examples="rootless copy --all docker.io/library/debian:12 registry.example/debian:12\n"
    "rootless copy debian oci-archive:debian.tar:latest",
)  # fmt: skip


def run(call: Call) -> int:
    """Copy, and print the digest."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
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
