"""`rootless doctor`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "doctor",
    "",
    "Check what this host supports and how to fix what it lacks",
    (output_format(),),
    maximum=0,
    text="Exits with 0 if containers can run, with 125 if not. docs/troubleshooting.md explains "
    "each check.",
)

_MARKS = {"fine": ("\x1b[32m", "ok     "), "limited": ("\x1b[33m", "limited"),
          "missing": ("\x1b[31m", "missing")}  # fmt: skip


def run(call: Call) -> int:
    """Print the lines, problems first."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.system import doctor

    lines = call.engine().doctor()
    works = doctor.can_run(lines)
    if call.options["format"] == "json":
        output.line(documents.dumps({"works": works, "checks": lines}, indent=True))
        return 0 if works else 125
    colour = output.colours(1)
    width = max(len(one["name"]) for one in lines)
    for status in (doctor.MISSING, doctor.LIMITED, doctor.FINE):
        begin, mark = _MARKS[status]
        shown = f"{begin}{mark}\x1b[0m" if colour else mark
        found = [one for one in lines if one["status"] == status]
        for one in found:
            output.line(f"  {one['name']:{width}}  {one['text']}", before=shown)
            if status != doctor.FINE:
                for text in _remedy(one):
                    output.line(text)
        if found:
            output.line("")
    output.line("containers can run here" if works else "containers cannot run here")
    return 0 if works else 125


def _remedy(line: Json) -> list[str]:
    """How to fix it; a command stands on a line of its own, to be copied."""
    remedy, command = line["remedy"], line["command"]
    if not command:
        return [f"    fix: {remedy}"] if remedy else []
    before = remedy.removesuffix(command).removesuffix("as root: ").rstrip("; ")
    made = [f"    fix: {before}"] if before else []
    return [*made, "    fix, as root:" if line["as_root"] else "    fix:", f"        {command}"]
