"""`rootless image referrers`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, text
from rootless.cli.verbs._registry_options import REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image referrers",
    "NAME",
    "List the referrers of an image: signatures, attestations",
    (
        text("--artifact-type", "TYPE", "Filter by artifact type"),
        output_format("{{.Digest}}"),
        flag("-q --quiet", "Print only digests"),
        *REGISTRY,
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
    text="If the registry has no referrers API, the referrers tag is used.",
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
