"""`build` on a terminal: what the user sees is read by a small terminal of the test's own."""

from __future__ import annotations

import os
import re
import termios

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

_SEQUENCE = re.compile(rb"\x1b\[(\d*)([A-Za-z])")


def screen(data: bytes, columns: int) -> list[str]:
    """The lines that a terminal shows of this, with those that have scrolled away."""
    lines: list[str] = [""]
    row = column = 0
    at = 0
    while at < len(data):
        sequence = _SEQUENCE.match(data, at)
        if sequence is not None:
            count, what = int(sequence[1] or 1), sequence[2]
            assert what in (b"A", b"J"), sequence[0]
            if what == b"A":
                row -= count
                assert row >= 0
            else:
                lines[row] = lines[row][:column]
                del lines[row + 1 :]
            at = sequence.end()
            continue
        end = at + 1
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end += 1
        character = data[at:end].decode(errors="replace")
        at = end
        if character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            while len(lines) <= row:
                lines.append("")
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
            assert column <= columns, f"a row wraps: {lines[row]}"
    return lines


def _context(place: Place, text: str) -> str:
    directory = place.work / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(text)
    return str(directory)


_BESIDE = """FROM {image} AS one
RUN echo first line; printf 'not ended'; sleep 1000
FROM {image} AS two
RUN echo other line; sleep 1000
FROM {image}
COPY --from=one /a /
COPY --from=two /b /
"""


def test_what_runs_beside_what_and_an_interrupt(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    context = _context(place, _BESIDE.format(image=busybox_image))
    terminal = rootless.terminal("build", "--network", "none", context, rows=12, cols=60)
    own = os.dup(terminal.master)
    before = termios.tcgetattr(own)
    for wanted in ("first line", "other line", "2 running side by side"):
        if wanted.encode() not in terminal.seen:
            terminal.expect(wanted)
    while True:
        shown = "\n".join(screen(terminal.seen, 60))
        if "first line" in shown and "other line" in shown and "not ended" in shown:
            break
        assert terminal.read(60), shown
    # the time goes on though nothing is printed
    shown_at = len(terminal.seen)
    while terminal.seen.count(b"\x1b[J", shown_at) < 3:
        assert terminal.read(60)
    terminal.type("\x03")
    assert terminal.wait() == 130
    lines = [line for line in screen(terminal.seen.replace(b"^C", b""), 60) if line]
    # nothing that moved is left, and the cursor is below everything
    assert not [line for line in lines if "running" in line], lines
    assert sum("CANCEL" in line for line in lines) == 2, lines
    assert termios.tcgetattr(own) == before
    os.close(own)
    assert screen(terminal.seen, 60)[-1] == ""


def test_a_low_terminal_and_a_failure(rootless: Command, busybox_image: str, place: Place) -> None:
    script = "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done"
    wide = "\u6f22" * 70
    context = _context(
        place,
        f"FROM {busybox_image}\nRUN {script}\nRUN echo {wide} && echo a'\\033'[2Jb >&2; exit 3\n",
    )
    terminal = rootless.terminal("build", "--network", "none", context, rows=4, cols=50)
    assert terminal.wait() == 1
    assert b"\x1b[2J" not in terminal.seen
    text = terminal.seen.decode(errors="replace")
    ups = [int(found) for found in re.findall(r"\x1b\[(\d+)A", text)]
    assert ups and max(ups) <= 3
    assert re.search(r"ERROR \[\S+ 2/2\] RUN echo", text), text
    assert "ended with status 3" in text
