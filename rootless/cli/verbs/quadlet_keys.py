"""`rootless quadlet keys`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "quadlet keys",
    "[SECTION]",
    "List the keys of unit files",
    (output_format("{{.Key}}", table=True),),
    maximum=1,
    complete=("Container Volume Image Quadlet",),
    examples="rootless quadlet keys container",
)

_SHOWN = ("Section", "Key", "Supported", "Meaning")


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output
    from rootless.engine.systemd import quadlet_keys
    from rootless.errors import UsageError

    found = quadlet_keys.rows(call.words[0] if call.words else "")
    if not found:
        raise UsageError(
            f'there is no section "{call.words[0]}"', hint=", ".join(quadlet_keys.SECTIONS)
        )
    titles = {name: name.upper() for name in _SHOWN}
    output.write(output.rows(found, call.options["format"], _SHOWN, titles))
