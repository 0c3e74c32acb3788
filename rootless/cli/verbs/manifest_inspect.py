"""`rootless manifest inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format
from rootless.cli.verbs._registry_options import REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest inspect",
    "NAME",
    "Display a manifest list, or a manifest of a registry",
    (
        output_format("", short=True),
        *REGISTRY,
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
    examples="rootless manifest inspect debian:12",
)


def run(call: Call) -> None:
    """Print the document."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    found = call.engine().manifests.inspect(
        call.words[0], registry.verify(given), registry.settings(given)
    )
    output.write(output.document(found, given["format"]))
