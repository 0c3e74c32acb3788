"""`rootless load`."""

from __future__ import annotations

from rootless.cli.options import Verb, text
from rootless.cli.verbs._registry_options import POLICY
from rootless.cli.verbs._shared_options import QUIET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "load",
    "",
    "Load images from an archive",
    (
        text("-i --input", "FILE", "Read from a file instead of standard input", complete="file"),
        QUIET,
        POLICY,
    ),
    maximum=0,
    text="Reads docker-archive and oci-archive, compressed or not, and directories with an "
    "OCI layout.",
    examples="rootless load -i image.tar\nssh host docker save debian | rootless load",
)


def run(call: Call) -> None:
    """Load and name what was loaded."""
    import os
    import sys

    from rootless.cli import output
    from rootless.cli.verbs import _registry_options as registry
    from rootless.engine.images.local import familiar
    from rootless.errors import UsageError

    path = call.options["input"]
    if not path and os.isatty(0):
        raise UsageError(
            "standard input is a terminal, not an archive", hint="use -i FILE, or a pipe"
        )
    engine = call.engine()
    engine.progress.quiet = call.options["quiet"]
    engine.demands = registry.demands(call.options)
    for record in engine.images.load(path or sys.stdin.buffer):
        for name in record.names:
            output.line(f"Loaded image: {familiar(name)}")
        if not record.names:
            output.line(f"Loaded image ID: sha256:{record.id}")
