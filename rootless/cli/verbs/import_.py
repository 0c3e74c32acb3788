"""`rootless import`."""

from __future__ import annotations

from rootless.cli.options import Verb, text
from rootless.cli.verbs._registry_options import POLICY
from rootless.cli.verbs._shared_options import CHANGE, MESSAGE, QUIET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "import",
    "FILE|- [NAME]",
    "Import a tar archive to create a file system image",
    (
        CHANGE,
        MESSAGE,
        text(
            "--platform",
            "OS/ARCH[/VARIANT]",
            "Set the platform of the image (default: this host's)",
        ),
        QUIET,
        POLICY,
    ),
    minimum=1,
    maximum=2,
    complete=("file", ""),
    examples="rootless import rootfs.tar mine:1\nzcat rootfs.tar.gz | rootless import - mine:2",
)


def run(call: Call) -> None:
    """Import and print the id."""
    import sys

    from rootless.cli import called, output
    from rootless.cli.verbs import _registry_options as registry

    source = call.words[0]
    engine = call.engine()
    engine.progress.quiet = call.options["quiet"]
    engine.demands = registry.demands(call.options)
    record = engine.images.import_image(
        sys.stdin.buffer if source == "-" else source,
        called.local_name(call.words[1]) if len(call.words) > 1 else "",
        changes=call.options["change"],
        message=call.options["message"] or "",
        platform=call.options["platform"],
    )
    output.line(f"sha256:{record.id}")
