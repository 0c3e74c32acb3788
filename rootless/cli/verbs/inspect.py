"""`rootless inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cli.options import Call
    from rootless.documents import Json
    from rootless.engine.engine import Engine

VERB = Verb(
    "inspect",
    "NAME...",
    "Display detailed information on containers, images or volumes",
    (
        output_format("{{.State.Status}}", short=True),
        text("--type", "TYPE", "Type of the object: container, image, volume or network",
             complete="container image volume"),
        flag("-s --size", "Add the total file sizes of containers"),
        LATEST,
    ),
    complete=("anything",),
    examples="rootless inspect -f '{{.State.ExitCode}}' job",
)  # fmt: skip


def run(call: Call) -> int:
    """Print an array of all that were found, or a line for each by the template."""
    from rootless import documents
    from rootless.cli import output
    from rootless.errors import RootlessError, UsageError

    code = 0
    found = []
    engine = call.engine()
    kind, size = call.options["type"], bool(call.options.get("size"))
    if kind not in (None, "container", "image", "volume", "network"):
        raise UsageError(f'unknown --type "{kind}"', hint="container, image, volume or network")
    wanted = _wanted(call.options["format"])
    if call.options.get("latest"):
        from rootless.cli.verbs import _several

        call.words = _several.named(call)
    elif not call.words:
        raise UsageError("nothing is named", hint="rootless inspect NAME..., or --latest")
    for word in call.words:
        try:
            found.append(_find(engine, word, kind, size, wanted))
        except RootlessError as error:
            output.tell(error)
            code = error.exit_code
    template = call.options["format"]
    if not template or template == "json":
        output.line(documents.dumps(found, indent=True))
        return code
    for one in found:
        output.write(output.document(one, template))
    return code


def _container(engine: Engine, word: str, size: bool, wanted: set[str] | None) -> Json:
    one = engine.containers.get(word)
    if not size:
        from rootless.engine.containers import inspect as container_inspect

        return container_inspect.container(one, wanted)
    from rootless.engine.containers import size as container_size

    written, whole = container_size.of(engine.context, [one])[one.id]
    return {**one.attrs, "SizeRw": written, "SizeRootFs": whole}


def _wanted(template: str | None) -> set[str] | None:
    """The fields that a template names; None where everything is shown.  Raises UsageError."""
    if not template or template == "json":
        return None
    from rootless.cli import gotemplate

    return gotemplate.Template(template).names()


def _find(engine: Engine, word: str, kind: str | None, size: bool, wanted: set[str] | None) -> Json:
    from rootless.errors import NotFound, UsageError

    ways: dict[str, Callable[[], Json]] = {
        "container": lambda: _container(engine, word, size, wanted),
        "image": lambda: engine.images.attrs(engine.images.get(word)),
        "volume": lambda: engine.volumes.inspect(word),
        "network": lambda: engine.networks.inspect(word),
    }
    if kind:
        return ways[kind]()
    for way in ways.values():
        try:
            return way()
        except (NotFound, UsageError):
            continue
    raise NotFound(
        f'no container, image, volume or network is named "{word}"', hint="rootless ps -a"
    )
