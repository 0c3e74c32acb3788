"""What strangers write reaches a terminal as something to read, and never as something to obey."""

from __future__ import annotations

import json
import os

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

# sets the title of the window, answers back, the same by a control character of the second set, and
# turns the direction of writing
EVIL = "\x1b]0;owned\x07\x1b[6n\x9b31m\u202edesrever\r"
RAW = (b"\x1b]0;", b"\x1b[6n", b"\x07", "\x9b".encode(), "\u202e".encode())


@pytest.fixture
def evil(rootless: Command, busybox_image: str) -> str:
    """A running container of an image that has them in all that can be shown."""
    rootless("create", "--name", "made", "--label", f"title=l{EVIL}", busybox_image, "true")
    rootless("commit", "-m", f"m{EVIL}", "-a", f"a{EVIL}",
             "-c", f'ENTRYPOINT {json.dumps([f"/none{EVIL}"])}', "made", "evil:1")  # fmt: skip
    rootless("rm", "made")
    script = "printf '\\033[31mred'; sleep 1000; :"
    rootless("run", "-d", "--name", "c", "--network", "none", "-e", f"E=e{EVIL}", "--entrypoint",
             "sh", "evil:1", "-c", script, f"p{EVIL}")  # fmt: skip
    return "c"


def seen(rootless: Command, *words: str) -> bytes:
    """All that the command wrote to a terminal."""
    terminal = rootless.terminal(*words)
    terminal.wait()
    return terminal.seen


SHOWN: list[tuple[list[str], bytes]] = [
    (["ps"], rb'"sh -c printf'),
    (["ps", "--no-trunc"], rb"p\x1b]0;owned\x07\x1b[6n\x9b31m\u202edesrever\r"),
    (["ps", "--format", "{{.Command}} {{.Labels}}"], rb"title=l\x1b]0;owned"),
    (["ps", "--format", "table {{.Labels}}"], rb"title=l\x1b]0;owned"),
    (["top", "c"], rb"p\x1b]0;owned"),
    (["explain", "c"], rb"p\x1b]0;owned"),
    (["inspect", "c"], b"p\\u001b]0;owned"),
    (["inspect", "-f", "{{.Config.Labels}} {{.Args}}", "c"], rb"title:l\x1b]0;owned"),
    (["image", "inspect", "-f", "{{.Author}}", "evil:1"], rb"a\x1b]0;owned"),
    (["history", "--no-trunc", "evil:1"], rb"m\x1b]0;owned"),
    (["events", "--stream=false", "--format", "{{.Attributes}}"], rb"title:l\x1b]0;owned"),
    (["run", "--rm", "--network", "none", "evil:1"], rb'command "/none\x1b]0;owned'),
]


def test_on_a_terminal_it_is_only_shown(rootless: Command, evil: str) -> None:
    for words, shown in SHOWN:
        found = seen(rootless, *words)
        assert shown in found, words
        # our own colours are ours; what asks a terminal for something is never ours
        for raw in RAW:
            assert raw not in found, words


def test_elsewhere_and_from_the_container_itself_it_is_as_it_was(
    rootless: Command, evil: str, place: Place
) -> None:
    template = "{{.Config.Labels.title}}"
    found = rootless("inspect", "-f", template, "c").out
    assert found == f"l{EVIL}\n".encode()
    assert b"\x1b[31mred" in seen(rootless, "logs", "c")
    assert b"\x1b[32m" in seen(rootless, "exec", "c", "printf", "\\033[32mgreen")
    # a name of a file that is no UTF-8, in an error and in a list
    name = os.fsdecode(b"no\xffname\x1b[2J")
    (place.work / name).mkdir()
    refused = seen(rootless, "import", name)
    assert rb"no\xffname\x1b[2J" in refused
    assert b"\x1b[2J" not in refused
    assert b"name\x1b[2J" in rootless("import", name, code=None).err


def test_a_line_break_makes_no_row_of_its_own(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "c", busybox_image, "x\nFAKE   row\ty")
    assert rb"x\nFAKE   row\ty" in seen(rootless, "ps", "-a", "--no-trunc")
    assert "\nFAKE" in rootless("ps", "-a", "--no-trunc").stdout
