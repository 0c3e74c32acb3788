"""`rootless auto-update`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, text
from rootless.cli.verbs._registry_options import AUTHFILE, TLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "auto-update",
    "",
    "Update containers according to their auto-update policy",
    (
        flag("--dry-run", "Check for updates without applying them"),
        text("--rollback", "BOOL",
            "Roll back to the previous image if the update fails (default true)"),
        flag("--force", "Retry images that were rolled back before"),
        TLS,
        AUTHFILE,
        output_format("{{.Unit}}", table=True),
    ),
    maximum=0,
    text="Containers take part by AutoUpdate=registry or local in their unit file, or by the "
    "label io.containers.autoupdate. `rootless service enable auto-update` runs it every "
    "day.",
    examples="rootless auto-update --dry-run\nrootless auto-update",
)  # fmt: skip

_TITLES = {
    "Unit": "UNIT",
    "Container": "CONTAINER",
    "ContainerName": "CONTAINER NAME",
    "ContainerID": "CONTAINER ID",
    "Image": "IMAGE",
    "Policy": "POLICY",
    "Updated": "UPDATED",
    "Note": "NOTE",
    "Error": "ERROR",
}


def run(call: Call) -> int:
    """Update, print a row for each container, then what failed."""
    import os

    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.systemd import auto_update

    given = call.options
    if given["authfile"]:
        os.environ["REGISTRY_AUTH_FILE"] = os.path.abspath(given["authfile"])
    verify = truth("--tls-verify", given["tls_verify"]) if given["tls_verify"] else None
    found = auto_update.auto_update(
        call.engine(),
        dry_run=bool(given["dry_run"]),
        rollback=truth("--rollback", given["rollback"] or "true"),
        force=bool(given["force"]),
        tls_verify=verify,
    )
    shown = ("Unit", "Container", "Image", "Policy", "Updated")
    output.write(output.rows([one.row() for one in found], given["format"], shown, _TITLES))
    code = 0
    for one in found:
        if one.note:
            output.remark(
                f"note: {one.unit} is not updated: {one.note}\n"
                "hint: a newer image is tried by itself, this one with --force\n"
            )
        if one.error is not None:
            output.tell(one.error)
            code = one.error.exit_code
    return code
