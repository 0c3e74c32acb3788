"""`rootless image verify`."""

from __future__ import annotations

from rootless.cli.options import Verb, several
from rootless.cli.verbs._registry_options import POLICY, TLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image verify",
    "IMAGE...",
    "Verify the signatures of images in a registry",
    (
        several("-k --key", "FILE", "Public key, one of which must have signed the image",
                complete="file"),
        POLICY,
        TLS,
    ),
    minimum=1,
    complete=("image",),
    text="With --key, the signature must be by that key and for this repository. Without it, "
    "the policy applies, which must require a signature.",
    examples="rootless image verify --key cosign.pub registry.example.com/team/app:1",
)  # fmt: skip


def run(call: Call) -> int:
    """Verify each."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.images import sign as image_sign

    given = call.options
    tls = truth("--tls-verify", given["tls_verify"]) if given["tls_verify"] else None
    policy = given["signature_policy"] or ""
    return output.each(call.words, lambda word: image_sign.verify(word, given["key"], policy, tls))
