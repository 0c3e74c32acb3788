"""The manual pages: complete, and in order for the programs that render them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rootless.cli import man
from rootless.cli.oci import main as oci_main
from rootless.cli.oci.verbs import VERBS as OCI
from rootless.cli.options import GLOBALS, Option
from rootless.cli.table import ALIASES, GROUPS, VERBS, load

# options -> what renders a page to standard output and tells of mistakes on standard error
RENDERERS = {
    "man": ["man", "--warnings", "--local-file"],
    "groff": ["groff", "-man", "-Tutf8", "-ww", "-z"],
    "mandoc": ["mandoc", "-Tlint"],
}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return man.pages("a note")


@pytest.fixture(scope="module")
def directory(pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("man") / "man1"
    man.write(str(path), "a note")
    assert sorted(pages) == sorted(one.name for one in path.iterdir())
    return path


def test_every_command_and_every_other_name_has_a_page(pages: dict[str, str]) -> None:
    names = {"", *VERBS, *GROUPS, *ALIASES}
    assert set(pages) == {f"{man.page(name)}.1" for name in names}
    for text in pages.values():
        assert text.isascii() and text.endswith("\n")
        assert text.startswith('.\\" a note\n')
        if target := re.search(r"^\.so man1/(.*)$", text, re.M):
            assert ".so " not in pages[target[1]]


def _options_of(name: str) -> list[Option]:
    if name == "runtime":
        return [*oci_main.GLOBALS, *(one for verb in OCI.values() for one in verb.options)]
    return list(load(name).VERB.options if name else GLOBALS)


@pytest.mark.parametrize("name", ["", *sorted(VERBS)])
def test_every_option_is_in_the_page(pages: dict[str, str], name: str) -> None:
    text = pages[f"{man.page(name)}.1"]
    # bold spellings, and in italics what follows them
    shown = set(re.findall(r"\\fB(-\S+?)\\fR", text.replace("\\-", "-")))
    for option in _options_of(name):
        assert set(option.names) <= shown, option.names
        assert not option.metavar or man.escape(option.metavar) in text


@pytest.mark.parametrize("program", sorted(RENDERERS))
def test_pages_are_rendered_without_a_warning(
    directory: Path, pages: dict[str, str], program: str
) -> None:
    # those of other names only lead to these; man(1) starts several programs for each
    own = [name for name, text in sorted(pages.items()) if ".so " not in text]
    chosen = ["rootless.1", "rootless-run.1", "rootless-volume.1"] if program == "man" else own
    done = subprocess.run(
        [*RENDERERS[program], *(str(directory / name) for name in chosen)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if program != "man" else subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MANWIDTH": "100"},
        timeout=120,
        check=False,
    )
    assert (done.stderr or b"") == b""
    shown = done.stdout.decode()
    if program == "man":
        assert "--publish [IP:][PORT:]PORT[/PROTOCOL]" in shown
    else:
        assert shown == ""
    assert done.returncode == 0, shown


def test_man_finds_the_page(directory: Path) -> None:
    for name in ("rootless-run", "rootless-container-run"):
        done = subprocess.run(
            ["man", "-w", name],
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "MANPATH": str(directory.parent)},
            timeout=60,
            check=False,
        )
        assert done.stdout.decode().strip() == str(directory / "rootless-run.1"), name


def test_troff_obeys_nothing_of_a_text() -> None:
    assert man.escape(r"a\b -x 'y' `z` ~ ^") == r"a\eb \-x \(aqy\(aq \(gaz\(ga \(ti \(ha"
