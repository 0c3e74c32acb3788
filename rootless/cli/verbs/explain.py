"""`rootless explain`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "explain",
    "CONTAINER",
    "Show a container as processes, namespaces, ids, mounts",
    (text("--format", "FORMAT", "json, or a template as {{.Pid}}", complete="json"),),
    minimum=1,
    maximum=1,
    complete=("running",),
    text="A container is a process beside other processes: this shows which, what of the host it "
    "shares and what it has of its own.",
)


def run(call: Call) -> None:
    """Print the picture."""
    from rootless.cli import output
    from rootless.engine import explain

    picture = call.engine().containers.get(call.words[0]).explain()
    if call.options["format"]:
        output.write(output.document(picture, call.options["format"]))
    else:
        output.write(explain.render(picture))
