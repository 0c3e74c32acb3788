"""`rootless image trust set`."""

from __future__ import annotations

from rootless.cli.options import Verb, several, text
from rootless.cli.verbs._registry_options import POLICYPATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image trust set",
    "SCOPE|default",
    "Set the trust policy of a scope",
    (
        text("-t --type", "TYPE",
            "Trust type: accept, reject, signedBy or sigstoreSigned (default signedBy)",
             complete="accept reject signedBy sigstoreSigned"),
        several("-f --pubkeysfile", "FILE",
            "Path of the public key for signedBy or sigstoreSigned", complete="file"),
        POLICYPATH,
    ),
    minimum=1,
    maximum=1,
    text="SCOPE is a registry, a repository, an image, or *.example.com. The most specific "
    "scope applies. The policy is in ~/.config/containers/policy.json.",
    examples="rootless image trust set -t reject default\n"
    "rootless image trust set -t sigstoreSigned -f cosign.pub registry.example.com/team",
)  # fmt: skip


def run(call: Call) -> None:
    """Write the policy."""
    from rootless.engine.images import trust as image_trust

    given = call.options
    image_trust.change_policy(
        call.words[0], given["type"] or "signedBy", given["pubkeysfile"], given["policypath"] or ""
    )
