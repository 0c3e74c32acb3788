"""`rootless image tags`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format
from rootless.cli.verbs._registry_options import REGISTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image tags",
    "NAME",
    "List the tags of a repository in a registry",
    (
        output_format("{{.Tag}}"),
        *REGISTRY,
    ),
    minimum=1,
    maximum=1,
    complete=("image",),
    examples="rootless image tags debian\nrootless image tags localhost:5000/mine",
)


def run(call: Call) -> None:
    """One line for each."""
    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry

    given = call.options
    found = call.engine().images.tags(
        call.words[0], tls_verify=registry.verify(given), settings=registry.settings(given)
    )
    rows = [{"Name": call.words[0], "Tag": tag} for tag in found]
    output.write(output.rows(rows, given["format"], ["Tag"], {"Tag": "TAG"}, heading=False))
