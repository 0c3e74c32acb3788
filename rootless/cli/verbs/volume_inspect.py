"""`rootless volume inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume inspect",
    "NAME...",
    "Display detailed information on one or more volumes",
    (
        flag("-a --all", "Inspect all volumes"),
        output_format("{{.Mountpoint}}", short=True),
    ),
    complete=("volume",),
)


def run(call: Call) -> int:
    """As `inspect --type volume`."""
    from rootless.cli.verbs import inspect

    if call.options.pop("all"):
        call.words = [one["Name"] for one in call.engine().volumes.list()]
        if not call.words and not call.options["format"]:
            from rootless.cli import output

            output.line("[]")
            return 0
    elif not call.words:
        from rootless.errors import UsageError

        raise UsageError("volume inspect needs a name", hint="or --all")
    call.options.update(type="volume", size=False)
    return inspect.run(call)
