"""Tables, templates and JSON: how verbs print, and what becomes of strangers' text on a terminal.

Names, labels, commands, histories and the words of errors are an image's, a registry's or a running
container's.  Everything that this command prints goes through here, and on its way to a terminal
what a terminal would obey is shown as escapes.  To a file or a pipe the bytes go as they are: a
program wants them, as from ls(1).  What a container writes (run, logs, exec, attach) is its own.
"""

from __future__ import annotations

import os
import sys

from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rootless.documents import Json

    Row = dict[str, Json]


def write(text: str, *, before: str = "") -> None:
    """To standard output; odd bytes of file names come through as they are, but on a terminal.

    `before`: our own words to the terminal, which it is to obey.
    """
    shown = harmless(text) if os.isatty(1) else text
    data = (before + shown).encode("utf-8", "surrogateescape")
    sys.stdout.flush()
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def line(text: str, *, before: str = "") -> None:
    """One line to standard output."""
    write(text + "\n", before=before)


def remark(text: str, *, before: str = "") -> None:
    """To standard error, as `write`; who has closed it wants to hear nothing."""
    try:
        sys.stdout.flush()
        sys.stderr.write(before + (harmless(text) if os.isatty(2) else text))
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def tell(error: RootlessError) -> None:
    """Print the sentence and the hint of an error to standard error, coloured on a terminal."""
    still()
    bold, plain = ("\x1b[1;31m", "\x1b[0m") if colours(2) else ("", "")
    hint = f"hint: {error.hint}\n" if error.hint else ""
    remark(f" {error.message}\n{hint}", before=f"{bold}error:{plain}")


def still() -> None:
    """Let no progress bar draw any more."""
    # loaded only where there was something to tell
    module = sys.modules.get("rootless.cli.progress")
    if module is not None:
        module.still()


def colours(descriptor: int) -> bool:
    """Whether to colour what is written there (https://no-color.org)."""
    return (
        not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
        and os.isatty(descriptor)
    )


def harmless(text: str) -> str:
    """Text of which a terminal obeys nothing but line breaks and tabs: `\\x1b]0;` is what is seen.

    Control characters of both sets (ECMA-48), bytes that are no UTF-8, and what turns the direction
    of writing (Unicode annex 9), by which a line can be made to read as another.
    """
    return text if text.isprintable() else text.translate(_escapes())


def _escapes() -> dict[int, str]:
    turns = (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
    table = {code: f"\\u{code:04x}" for code in turns}
    table |= {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
    table |= {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)}
    del table[9], table[10]
    table[13] = "\\r"
    return table


def _cell(text: str) -> str:
    """One cell of a table that is looked at: a line break in it would begin a row of its own."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def human_size(count: float) -> str:
    """Decimal units as docker prints them: `97.3MB`."""
    from rootless import disks

    return disks.human_size(count)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, heading: bool = True) -> str:
    """Columns padded to the longest entry, three spaces apart, as docker's."""
    every = ([list(titles)] if heading else []) + [list(row) for row in rows]
    if os.isatty(1):
        every = [[_cell(one) for one in row] for row in every]
    if not every:
        return ""
    widths = [max(len(row[i]) for row in every) for i in range(len(titles))]
    lines = []
    for row in every:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("   ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def rows(
    found: Sequence[Row],
    format: str | None,
    default: Sequence[str],
    titles: dict[str, str],
    *,
    heading: bool = True,
) -> str:
    """A list by `--format`: `table` or nothing, `json`, `table TEMPLATE`, or a template.

    `default` names the columns of a plain table, `titles` the heading of each field; JSON is one
    object per line, as docker prints it.
    """
    if not format or format == "table":
        body = [[str(row[name]) for name in default] for row in found]
        return table([titles[name] for name in default], body, heading=heading)
    if format == "json":
        from rootless import documents

        return "".join(documents.dumps(row) + "\n" for row in found)
    from rootless.cli import gotemplate

    with_table = format.startswith("table ")
    source = format[6:].lstrip() if with_table else format
    source = source.replace("\\t", "\t").replace("\\n", "\n")
    template = gotemplate.Template(source)
    lines = [template.render(row) for row in found]
    if not with_table:
        return "".join(one + "\n" for one in lines)
    lines = ([template.render(dict(titles))] if heading else []) + lines
    cells = [one.split("\t") for one in lines]
    width = max((len(row) for row in cells), default=0)
    padded = [row + [""] * (width - len(row)) for row in cells]
    return table(padded[0], padded[1:]) if padded else ""


def document(found: Json, format: str | None) -> str:
    """One object by `--format`: `json` or none (indented), or TEMPLATE."""
    from rootless import documents

    if not format or format == "json":
        return documents.dumps(found, indent=True) + "\n"
    from rootless.cli import gotemplate

    source = format.replace("\\t", "\t").replace("\\n", "\n")
    return gotemplate.Template(source).render(found) + "\n"


def pushed(done: Json, digestfile: str | None, quiet: bool) -> None:
    """What became of a push, as docker says it."""
    if digestfile:
        with open(digestfile, "w") as file:
            file.write(done["Digest"])
    if quiet:
        line(done["Target"])
    else:
        line(f"{done['Target']}: digest: {done['Digest']} size: {done['Size']}")


def worse(code: int, error: RootlessError, missing: int, in_use: int = 0) -> int:
    """The exit status of several that has been `code`, after one more error.

    `missing` and `in_use` are those of what does not exist and of what is in use, of which the
    first is told before the second, and any other before both: 1 and 2 for `rm`, `rmi` and
    `volume rm` (podman-rm(1), podman-rmi(1)).
    """
    from rootless.errors import InUse, NotFound

    if missing and isinstance(error, NotFound):
        return missing if code in (0, in_use) else code
    if in_use and isinstance(error, InUse):
        return code or in_use
    return error.exit_code


def each(
    words: Iterable[str],
    work: Callable[[str], str | None],
    missing: int = 0,
    in_use: int = 0,
) -> int:
    """Do `work` for every word; print what it returns; go on after errors; the exit status.

    `missing` and `in_use`: see `worse`.
    """
    code = 0
    for word in words:
        try:
            told = work(word)
            if told is not None:
                line(told)
        except RootlessError as error:
            tell(error)
            code = worse(code, error, missing, in_use)
    return code


def filters(words: Iterable[str]) -> dict[str, list[str]]:
    """`--filter key=value` words as a table.  Raises UsageError."""
    from rootless.errors import UsageError

    found: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f'invalid filter "{word}"', hint="KEY=VALUE, as in status=exited")
        found.setdefault(key, []).append(value)
    return found


def confirm(question: str) -> bool:
    """Ask on the terminal; no answer is no."""
    remark(f"{question} [y/N] ")
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        return False
