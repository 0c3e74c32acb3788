"""`rootless context ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format
from rootless.cli.verbs._shared_options import NAMES_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "context ls",
    "",
    "List contexts: this host is the only one",
    (NAMES_ONLY, output_format("{{.Name}}", table=True)),
    maximum=0,
)

_FIELDS = {"Name": "NAME", "Description": "DESCRIPTION", "DockerEndpoint": "DOCKER ENDPOINT",
           "Error": "ERROR", "Current": "CURRENT"}  # fmt: skip


def run(call: Call) -> None:
    """docker's default, whose end is the socket of `rootless system service`."""
    from rootless.cli import output

    if call.options["quiet"]:
        output.line("default")
        return
    row = {"Name": "default", "Description": "rootless on this host", "Current": True,
           "DockerEndpoint": "", "Error": ""}  # fmt: skip
    shown = ("Name", "Description", "DockerEndpoint", "Error")
    output.write(output.rows([row], call.options["format"], shown, _FIELDS))
