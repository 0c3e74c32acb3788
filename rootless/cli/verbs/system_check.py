"""`rootless system check`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "system check",
    "",
    "Check images, blobs and layers for damage, and repair it",
    (
        flag("-r --repair", "Fetch damaged blobs and unpack damaged layers again"),
        flag("-q --quick", "Check sizes only, not contents"),
        output_format(),
    ),
    maximum=0,
    text="Compares every blob with its digest, and every unpacked layer with its blob: names, "
    "types, owners, sizes, times and contents. Exits with 125 if anything is damaged. "
    "Files in use by a running container are not replaced.",
    examples="rootless system check\nrootless system check --repair",
)


def run(call: Call) -> int:
    """Look, mend, tell."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.system import check as system_check
    from rootless.errors import UsageError

    given = call.options
    if given["format"] not in (None, "json"):
        raise UsageError(f'unknown --format "{given["format"]}"', hint="json")
    found = system_check.check(
        call.engine(), repair=bool(given["repair"]), quick=bool(given["quick"])
    )
    damaged = found["Damaged"]
    left = [one for one in damaged if not one["Repaired"]]
    if given["format"] == "json":
        output.line(documents.dumps(found, indent=True))
        return 125 if left else 0
    for one in damaged:
        whose = f" of {', '.join(one['Images'])}" if one["Images"] else ""
        output.line(f"{one['Kind']} {one['Id']}{whose}: {one['Problem']}")
        output.line(f"  {'repaired' if one['Repaired'] else 'damaged'}: {one['Remedy']}")
    output.line(
        f"Checked {found['Images']} images, {found['Blobs']} blobs, {found['Layers']} layers: "
        + (f"{len(left)} damaged" if left else "all is well")
    )
    if found["Waste"]:
        size = output.human_size(found["Waste"])
        output.line(f"Nothing needs {size} of what is there; `rootless system prune` frees it")
    return 125 if left else 0
