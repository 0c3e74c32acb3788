"""Manual pages of all commands, made from the descriptions that the parser has.

    python -m rootless.cli.man DIRECTORY [NOTE]

writes rootless.1, rootless-run.1 and so on there; NOTE is a comment in each.  The macros are those
of man(7); the pages are ASCII, one sentence a line.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
import time

from rootless import __version__
from rootless.cli.headings import HEADINGS, heading
from rootless.cli.options import FLAG, GLOBALS
from rootless.cli.table import ALIASES, GROUPS, VERBS, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootless.cli.options import Option, Verb

_FONTS = {"`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "'": "\\(aq", "\\": "\\e", "-": "\\-"}
_STATUS = (
    "0 for success, 125 for an error of rootless itself, and otherwise what the description of the "
    "command says. Errors are a sentence on standard error, most of them with a hint on a second "
    "line."
)
_FILES = (
    (
        "~/.config/rootless/config.toml",
        "Default values of options: a table for each command, as in `[run]`, and `[engine]` for "
        "storage-driver, storage-opt, cgroup-manager and runtime.",
    ),
    ("~/.local/share/rootless", "Images, containers and volumes."),
)


def escape(text: str) -> str:
    """Text of which troff obeys nothing."""
    return "".join(_FONTS.get(one, one) for one in text)


def _bold(text: str) -> str:
    return f"\\fB{escape(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{escape(text)}\\fR"


def _prose(text: str) -> list[str]:
    """Lines of running text: a sentence a line, what is between backquotes in bold."""
    lines = []
    for number, paragraph in enumerate(text.split("\n")):
        if number:
            lines.append(".PP")
        for sentence in re.split(r"(?<=[.!?]) +", paragraph):
            parts = sentence.split("`")
            # blanks within a command stay where they are when lines are filled
            shown = "".join(
                _bold(one).replace(" ", "\\ ") if at % 2 else escape(one)
                for at, one in enumerate(parts)
            )
            lines += _wrap(shown)
    return lines


def _wrap(shown: str) -> list[str]:
    """Lines of at most 80 letters; what would be a request by the dot at its beginning is none."""
    lines = textwrap.wrap(shown, 78, break_long_words=False, break_on_hyphens=False)
    return ["\\&" + line if line[0] in ".'" else line for line in lines]


def _usage(words: str) -> str:
    """A usage line: what stands for something else, in capitals, is in italics."""
    return re.sub(r"[A-Z]{2,}", lambda found: f"\\fI{found[0]}\\fR", escape(words))


def _reference(name: str) -> str:
    return f"\\fB{escape(page(name))}\\fR(1)"


def page(name: str) -> str:
    """The name of the page of a command, a group, or without a name of all."""
    return "-".join(["rootless", *name.split()])


def _head(name: str, summary: str, note: str) -> list[str]:
    made = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    day = time.strftime("%Y-%m-%d", time.gmtime(made))
    title = escape(page(name).upper())
    return [
        *([f'.\\" {note}'] if note else []),
        f'.TH {title} 1 "{day}" "rootless {__version__}" "rootless"',
        # left-aligned, words are not broken
        ".ad l",
        ".nh",
        ".SH NAME",
        *_wrap(f"{escape(page(name))} \\- {escape(summary)}"),
    ]


def _option(option: Option, more: Sequence[str] = ()) -> list[str]:
    value = f" {_italic(option.metavar)}" if option.kind != FLAG else ""
    names = ", ".join(_bold(name) for name in option.names)
    return [
        ".TP",
        names + value,
        *_prose(option.help + "."),
        *(x for one in more for x in _prose(one)),
    ]


def _options(options: Iterable[Option]) -> list[str]:
    lines = []
    for one in options:
        more = []
        if key := getattr(one, "quadlet", "").partition(" ")[0]:
            more.append(f"In a .container file: {key}=.")
        lines += [] if one.hidden else _option(one, more)
    return lines


def _hidden(options: Iterable[Option]) -> list[str]:
    """The options that help does not show: what always fails and why, what has no effect."""
    fails: list[str] = []
    ignored: list[str] = []
    for one in options:
        if one.fails:
            fails += _option(one, [f"{one.fails[:1].upper()}{one.fails[1:]}."])
        elif one.hidden:
            ignored += _option(one)
    lines = []
    if fails:
        lines += [".SH UNSUPPORTED OPTIONS", *_prose("These are known, and always refused.")]
        lines += fails
    if ignored:
        lines += [".SH IGNORED OPTIONS", *_prose("These are accepted for compatibility."), *ignored]
    return lines


def _example(lines: str) -> list[str]:
    return [".EX", *("\\&" * (one[:1] in (".", "'")) + escape(one) for one in lines.split("\n")),
            ".EE"]  # fmt: skip


def _see(names: Sequence[str]) -> list[str]:
    return [".SH SEE ALSO", *(f"{_reference(one)}{',' * (one != names[-1])}" for one in names)]


def _verb(name: str, note: str) -> str:
    verb: Verb = load(name).VERB
    lines = _head(name, verb.summary, note)
    options = "[\\fIOPTION\\fR...] " if verb.options else ""
    lines += [".SH SYNOPSIS", f"{_bold('rootless ' + name)} {options}{_usage(verb.usage)}".rstrip()]
    lines += [".SH DESCRIPTION", *_prose(verb.summary + ".")]
    if verb.text:
        lines += [".PP", *_prose(verb.text)]
    if others := [alias for alias, of in ALIASES.items() if of == name]:
        names = ", ".join(f"`rootless {one}`" for one in others)
        lines += [".PP", *_prose(f"Other names: {names}.")]
    if any(not one.hidden for one in verb.options):
        lines.append(".SH OPTIONS")
        for title, section in verb.sections:
            body = _options(section)
            if len(verb.sections) > 1 and body:
                lines.append(f".SS {escape(title)}")
            lines += body
    lines += _hidden(verb.options)
    if verb.examples:
        lines += [".SH EXAMPLES", *_example(verb.examples)]
    related = [*_groups_of(name), *(["generate systemd"] if name.startswith("quadlet") else [])]
    return "\n".join([*lines, *_see(["", *related])]) + "\n"


def _groups_of(name: str) -> list[str]:
    """The groups above a command, by any of its names."""
    names = [name, *(alias for alias, of in ALIASES.items() if of == name)]
    found = {one.rpartition(" ")[0] for one in names}
    return sorted(found - {""})


def _commands(names: Iterable[str]) -> list[str]:
    lines = []
    for name in names:
        summary = GROUPS[name] if name in GROUPS else VERBS[ALIASES.get(name, name)][1]
        lines += [".TP", _reference(name), *_prose(summary + ".")]
    return lines


def _group(name: str, note: str) -> str:
    names = sorted(
        one
        for one in (*VERBS, *ALIASES, *GROUPS)
        if one.startswith(name + " ") and " " not in one[len(name) + 1 :]
    )
    lines = _head(name, GROUPS[name], note)
    lines += [".SH SYNOPSIS", f"{_bold('rootless ' + name)} \\fICOMMAND\\fR ..."]
    lines += [".SH DESCRIPTION", *_prose(GROUPS[name] + "."), ".SH COMMANDS", *_commands(names)]
    return "\n".join([*lines, *_see([""])]) + "\n"


def _root(note: str) -> str:
    lines = _head("", "container engine for people without root", note)
    lines += [".SH SYNOPSIS", f"{_bold('rootless')} [\\fIOPTION\\fR...] \\fICOMMAND\\fR ..."]
    lines += [
        ".SH DESCRIPTION",
        *_prose("Manage containers and images without root and without a daemon."),
        ".SH OPTIONS",
        *_options(GLOBALS),
        ".SH COMMANDS",
    ]
    names = [one for one in (*VERBS, *GROUPS) if " " not in one]
    for title in HEADINGS:
        if found := sorted(one for one in names if heading(one) == title):
            lines += [f".SS {escape(title)}", *_commands(found)]
    lines += [".SH EXIT STATUS", *_prose(_STATUS), ".SH FILES"]
    for path, text in _FILES:
        lines += [".TP", _italic(path), *_prose(text)]
    return "\n".join([*lines, *_see(["run", "doctor", "runtime"])]) + "\n"


def _runtime(note: str) -> str:
    from rootless.cli.oci import main as oci_main
    from rootless.cli.oci.verbs import VERBS as OCI

    lines = _head("runtime", VERBS["runtime"][1], note)
    name = _bold("rootless-runtime")
    lines += [".SH SYNOPSIS", f"{name} [\\fIOPTION\\fR...] \\fICOMMAND\\fR ..."]
    lines += [".SH DESCRIPTION", *_prose(load("runtime").VERB.text)]
    lines += _prose("The same is `rootless runtime`.")
    lines += [".SH OPTIONS", *_options(oci_main.GLOBALS), ".SH COMMANDS"]
    for verb in OCI.values():
        options = "[\\fIOPTION\\fR...] " if verb.options else ""
        lines += [f".SS {escape(verb.name)}"]
        lines += [f"{_bold(verb.name)} {options}{_usage(verb.usage)}".rstrip(), ".PP"]
        lines += [*_prose(verb.summary + "."), *_options(verb.options)]
    lines += _hidden({one.dest: one for verb in OCI.values() for one in verb.options}.values())
    return "\n".join([*lines, *_see([""])]) + "\n"


def pages(note: str = "") -> dict[str, str]:
    """File name: text, of every command, group and other name of a command."""
    made = {"": _root(note), "runtime": _runtime(note)}
    made |= {name: _verb(name, note) for name in VERBS if name != "runtime"}
    made |= {name: _group(name, note) for name in GROUPS}
    begin = f'.\\" {note}\n' if note else ""
    made |= {name: f"{begin}.so man1/{page(of)}.1\n" for name, of in ALIASES.items()}
    return {f"{page(name)}.1": text for name, text in sorted(made.items())}


def write(directory: str, note: str = "") -> None:
    """Write all pages to a directory, which is made."""
    os.makedirs(directory, exist_ok=True)
    for name, text in pages(note).items():
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, 0o644)


if __name__ == "__main__":
    write(*sys.argv[1:3])
