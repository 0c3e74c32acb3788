"""`rootless pull`."""

from __future__ import annotations

from rootless.cli.verbs._registry_options import REGISTRY, TRUST
from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "pull",
    "IMAGE...",
    "Fetch an image",
    (
        flag("-a --all-tags", "every tag that the registry has for IMAGE"),
        flag("-q --quiet", "print the id only"),
        flag("--lazy", "leave layers away that can be read where they are; see `run --lazy`"),
        text("--platform", "OS/ARCH[/VARIANT]", "which of an image's platforms"),
        *TRUST,
        *REGISTRY,
    ),
    minimum=1,
    complete=("image",),
    text="IMAGE is a name of a registry (docker.io/library by default), docker://NAME, "
    "oci:DIRECTORY[:TAG], oci-archive:FILE, docker-archive:FILE or dir:DIRECTORY. What was "
    "interrupted goes on where it stopped. Of layers in the formats zstd:chunked and eStargz only "
    "those files are fetched that no unpacked layer has.",
    examples="rootless pull debian:bookworm-slim\nrootless pull localhost:5000/mine\n"
    "rootless pull oci:./layout:tag",
)


def run(call: Call) -> int:
    """Fetch each, print its id."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]  # type: ignore[attr-defined]
    engine.demands = registry.demands(given)
    settings, verify = registry.settings(given), registry.verify(given)
    words = call.words
    if given["all_tags"]:
        words = engine.images.names_in_registry(words, tls_verify=verify, settings=settings)
    return output.each(
        words,
        lambda name: (
            engine.images.pull(name, given["platform"], verify, settings, lazy=given["lazy"]).id
        ),
    )
