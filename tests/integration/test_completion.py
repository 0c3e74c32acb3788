"""Completion in the real shells, on a terminal: what a person gets who presses the tab key."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterator

import pytest
from conftest import Command, Place, Terminal

pytestmark = pytest.mark.slow
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(rootless completion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -u -D; source <(rootless completion zsh)",
    ),
    "fish": (["fish", "--no-config", "-i"], "rootless completion fish | source"),
}


@pytest.fixture(params=sorted(SHELLS))
def shell(
    request: pytest.FixtureRequest, rootless: Command, place: Place, entry: list[str]
) -> Iterator[Terminal]:
    """The shell, ready, with the script that `rootless completion` prints."""
    words, begin = SHELLS[request.param]
    program = place.home / "rootless"
    quoted = " ".join(f"'{word}'" for word in entry)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(stat.S_IRWXU)
    place.env["PATH"] = f"{place.home}:{place.env['PATH']}"
    command = Command(words, place)
    terminal = command.terminal(rows=50, cols=120)
    # what is waited for is not what was typed
    terminal.type(f"{begin}; echo re''ady\n")
    terminal.expect("ready\r\n", timeout=100)
    yield terminal
    terminal.type("\x03")
    command.close()


def test_the_tab_key(shell: Terminal, rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "finished", busybox_image, "true")

    def pressed(line: str, completed: str) -> None:
        begin = len(shell.seen)
        shell.type(line)
        wait_for(shell, begin, line)
        shell.type("\t")
        wait_for(shell, begin, line + completed)
        # the line is forgotten, in every shell
        shell.type("\x05\x15")

    pressed("rootless renam", "e")
    pressed("rootless image insp", "ect")
    pressed("rootless start fini", "shed")
    pressed("rootless run --cgroup-par", "ent")
    pressed("rootless run --pull nev", "er")
    pressed("rootless inspect busyb", "ox")


def wait_for(terminal: Terminal, begin: int, text: str) -> None:
    """Until the text was drawn after that position, whatever colours and movements are between."""
    end = time.monotonic() + 60
    while True:
        shown = re.sub(
            rb"\x1b(\[[0-9;?]*[A-Za-z]|\([A-Z]|\][^\x07]*\x07)|\x08", b"", terminal.seen[begin:]
        )
        # zsh draws what it completed with the letters before it once more
        if text in shown.decode(errors="replace"):
            return
        if time.monotonic() > end:
            pytest.fail(f"{text!r} did not appear: {shown.decode(errors='replace')!r}")
        terminal.read(1)
