"""`rootless image sign`."""

from __future__ import annotations

from rootless.cli.options import Verb, text
from rootless.cli.verbs._registry_options import TLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image sign",
    "KEY IMAGE | --sign-by ID IMAGE...",
    "Sign images in a registry",
    (
        text("--passphrase-file", "FILE",
            "Read the passphrase of the private key from a file", complete="file"),
        text("--sign-by", "ID", "Sign with a GPG key; the signature is a file beside the registry"),
        text("-d --directory", "DIR",
            "Directory for signatures of --sign-by (default: as in registries.d)",
             complete="directory"),
        TLS,
    ),
    minimum=1,
    complete=("file", "image"),
    text="KEY is a file with a private key, in PEM or as encrypted by cosign and skopeo; the "
    "passphrase may be in COSIGN_PASSWORD. The signature is stored in the registry, "
    "where cosign, podman and skopeo find it.",
    examples="rootless image sign cosign.key registry.example.com/team/app:1\n"
    "rootless image sign --sign-by me@example.com registry.example.com/team/app:1",
)  # fmt: skip


def run(call: Call) -> int:
    """Sign."""
    import os

    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.images import sign as image_sign
    from rootless.errors import UsageError

    given = call.options
    tls = truth("--tls-verify", given["tls_verify"]) if given["tls_verify"] else None
    if given["sign_by"]:
        return output.each(
            call.words,
            lambda word: image_sign.sign_simple(
                word, given["sign_by"], given["directory"] or "", tls
            ),
        )
    if len(call.words) != 2:
        raise UsageError(
            "image sign needs KEY and IMAGE", hint="or --sign-by ID and one image or several"
        )
    passphrase = os.environ.get("COSIGN_PASSWORD", "").encode()
    output.line(
        image_sign.sign(
            call.words[1], call.words[0], passphrase, given["passphrase_file"] or "", tls
        )
    )
    return 0
