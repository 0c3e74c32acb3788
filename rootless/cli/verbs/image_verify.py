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
    from rootless.engine.images import trust as image_trust
    from rootless.images.trust import verify as trust_verify

    given = call.options
    tls = truth("--tls-verify", given["tls_verify"]) if given["tls_verify"] else None

    def work(word: str) -> str:
        server, name = image_trust.connected(word, tls, write=False)
        try:
            if given["key"]:
                digest = trust_verify.verified(server, name, given["key"])
            else:
                _, _, digest = server.manifest(name.digest or name.tag)
                rules = trust_verify.Trust(
                    policy_path=given["signature_policy"] or "", required=True
                )
                rules.registry(server, name, [digest])
            return f"{name.name}@{digest}"
        finally:
            server.close()

    return output.each(call.words, work)
