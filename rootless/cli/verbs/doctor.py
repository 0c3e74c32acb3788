"""`rootless doctor`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "doctor",
    "",
    "Check what this host can do, and say what mends it",
    (text("--format", "FORMAT", "json", complete="json"),),
    maximum=0,
    text="The exit status is 0 if a container can run. docs/troubleshooting.md has a chapter for "
    "each line.",
)

_MARKS = {"fine": ("\x1b[32m", "ok     "), "less": ("\x1b[33m", "less   "),
          "missing": ("\x1b[31m", "missing")}  # fmt: skip


def run(call: Call) -> int:
    """Print the lines."""
    from rootless import documents
    from rootless.cli import output
    from rootless.cli.lean import colours
    from rootless.engine import doctor

    lines = call.engine().doctor()
    works = doctor.can_run(lines)
    if call.options["format"] == "json":
        output.line(documents.dumps({"works": works, "checks": lines}, indent=True))
        return 0 if works else 125
    colour = colours(1)
    width = max(len(one["name"]) for one in lines)
    for one in lines:
        begin, mark = _MARKS[one["status"]]
        shown = f"{begin}{mark}\x1b[0m" if colour else mark
        output.line(f"  {one['name']:{width}}  {one['text']}", before=shown)
        if one["remedy"] and one["status"] != "fine":
            output.line(f"{'':{len(mark) + width + 4}}-> {one['remedy']}")
    output.line("")
    output.line("containers can run here" if works else "containers cannot run here")
    return 0 if works else 125
