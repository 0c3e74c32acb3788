"""`rootless explain`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "explain",
    "CONTAINER",
    "Show a container's processes, namespaces, IDs and mounts",
    (output_format("{{.Pid}}"),),
    minimum=1,
    maximum=1,
    complete=("running",),
    text="Shows which processes of the host a container is, which namespaces it shares with "
    "the host and which are its own.",
)


def run(call: Call) -> None:
    """Print the picture."""
    from rootless.cli import output
    from rootless.engine.containers import explain

    picture = call.engine().containers.get(call.words[0]).explain()
    if call.options["format"]:
        output.write(output.document(picture, call.options["format"]))
    else:
        output.write(explain.render(picture))
