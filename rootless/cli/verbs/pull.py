"""`rootless pull`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._registry_options import CONTENT_TRUST, PLATFORM, REGISTRY, RETRY, TRUST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "pull",
    "IMAGE...",
    "Pull images from a registry",
    (
        flag("-a --all-tags", "Pull all tagged images of the repository"),
        flag("-q --quiet", "Print only the image ID"),
        flag("--lazy", "Skip layers that can be read from the registry on demand; see run --lazy"),
        text(
            "--policy",
            "POLICY",
            "When to pull: always, missing, newer or never (default always)",
            complete="always missing newer never",
        ),
        *PLATFORM,
        *RETRY,
        CONTENT_TRUST,
        *TRUST,
        *REGISTRY,
    ),
    minimum=1,
    complete=("image",),
    text="IMAGE is a name in a registry (default docker.io/library), docker://NAME, "
    "oci:DIRECTORY[:TAG], oci-archive:FILE, docker-archive:FILE or dir:DIRECTORY. An "
    "interrupted pull is resumed. Of layers in the formats zstd:chunked and eStargz, "
    "only files that no other layer has are downloaded.",
    examples="rootless pull debian:bookworm-slim\nrootless pull localhost:5000/mine\n"
    "rootless pull oci:./layout:tag",
)


def run(call: Call) -> int:
    """Fetch each, print its id."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
    engine.demands = registry.demands(given)
    settings, verify = registry.settings(given), registry.verify(given)
    words = call.words
    if given["all_tags"]:
        words = engine.images.names_in_registry(words, tls_verify=verify, settings=settings)
    platform, policy = registry.platform(given), given["policy"] or "always"

    def work(name: str) -> str:
        if policy == "always":
            return engine.images.pull(name, platform, verify, settings, lazy=given["lazy"]).id
        found = engine.images.for_run(
            name, policy, platform, lazy=given["lazy"], tls_verify=verify, settings=settings
        )
        return found.id

    return output.each(words, work)
