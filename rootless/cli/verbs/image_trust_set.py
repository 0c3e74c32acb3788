"""`rootless image trust set`."""

from __future__ import annotations

from rootless.cli.words import Verb, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "image trust set",
    "SCOPE|default",
    "Say which images are trusted",
    (
        text("-t --type", "TYPE", "accept, reject, signedBy (the default), sigstoreSigned",
             complete="accept reject signedBy sigstoreSigned"),
        several("-f --pubkeysfile", "FILE", "the public key, for the last two", complete="file"),
        text("--policypath", "FILE", "another policy.json than your own", complete="file"),
    ),
    minimum=1,
    maximum=1,
    text="SCOPE is a registry, a repository, an image, or *.example.com. What is most specific "
    "counts. Undo with another set, or in the file ~/.config/containers/policy.json.",
    examples="rootless image trust set -t reject default\n"
    "rootless image trust set -t sigstoreSigned -f cosign.pub registry.example.com/team",
)  # fmt: skip


def run(call: Call) -> None:
    """Write the policy."""
    from rootless.images import policyfile

    given = call.options
    policyfile.change(
        call.words[0], given["type"] or "signedBy", given["pubkeysfile"], given["policypath"] or ""
    )
