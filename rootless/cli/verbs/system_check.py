"""`rootless system check`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "system check",
    "",
    "Check images, blobs and layers, and mend what is damaged",
    (
        flag("-r --repair", "fetch damaged blobs again, unpack damaged layers again"),
        flag("-q --quick", "sizes only, no contents"),
        text("--format", "FORMAT", "json", complete="json"),
    ),
    maximum=0,
    text="Every blob is held against its digest, every unpacked layer against its blob: names, "
    "kinds, owners, sizes, times, contents. The exit status is 125 while something is damaged. "
    "Nothing that a running container uses is exchanged.",
    examples="rootless system check\nrootless system check --repair",
)


def run(call: Call) -> int:
    """Look, mend, tell."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine import storecheck
    from rootless.errors import UsageError

    given = call.options
    if given["format"] not in (None, "json"):
        raise UsageError(f'unknown --format "{given["format"]}"', hint="json")
    found = storecheck.check(
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
