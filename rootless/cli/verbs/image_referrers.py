"""`rootless image referrers`."""

from __future__ import annotations

from rootless.cli.verbs._registry_options import REGISTRY
from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "image referrers",
    "NAME",
    "List what refers to an image in its registry: signatures, attestations",
    (
        text("--artifact-type", "TYPE", "only those of this type"),
        text("--format", "FORMAT", "json, or a template as {{.Digest}}", complete="json"),
        flag("-q --quiet", "digests only"),
        *REGISTRY,
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
    text="Registries without this question are asked for the tag that stands in for it.",
    examples="rootless image referrers quay.io/team/tool:1",
)

_TITLES = {
    "Digest": "DIGEST",
    "ArtifactType": "ARTIFACT TYPE",
    "MediaType": "MEDIA TYPE",
    "Size": "SIZE",
    "Annotations": "ANNOTATIONS",
}


def run(call: Call) -> None:
    """A table."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    found = call.engine().images.referrers(
        call.words[0],
        given["artifact_type"] or "",
        tls_verify=registry.verify(given),
        settings=registry.settings(given),
    )
    rows = [
        {
            "Digest": one.get("digest", ""),
            "ArtifactType": one.get("artifactType", ""),
            "MediaType": one.get("mediaType", ""),
            "Size": one.get("size", 0),
            "Annotations": one.get("annotations") or {},
        }
        for one in found
    ]
    if given["quiet"]:
        output.write("".join(f"{row['Digest']}\n" for row in rows))
        return
    columns = ["Digest", "ArtifactType", "Size"]
    output.write(output.rows(rows, given["format"], columns, _TITLES))
