"""What documents show is what happens."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from conftest import TREE, Command, Place
from integration.documents import examples
from integration.hub import Hub
from integration.registry import free_port

from rootless.cli.table import ALIASES, VERBS


@pytest.fixture
def shell(entry: list[str], place: Place) -> dict[str, str]:
    """An environment in which `rootless` is on the PATH."""
    directory = place.home / "bin"
    directory.mkdir()
    program = directory / "rootless"
    quoted = " ".join(f"'{word}'" for word in entry)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(0o700)
    return {**place.env, "PATH": f"{directory}:{place.env['PATH']}"}


def _general(text: str) -> str:
    """Without what differs from host to host and from run to run."""
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", text)
    text = re.sub(r"(?<=host named )\S+(?=\.\n)", "HOST", text)
    text = re.sub(r"(Less than|About) a \w+|\d+ (second|minute)s?", "TIME", text)
    text = re.sub(r"/\S*/(?=rootless|slirp4netns|conta)\S*", "PATH", text)
    text = re.sub(r"\d+", "N", text)
    return re.sub(r"[ .]+", " ", text).replace(" \n", "\n")


@pytest.mark.slow
def test_the_demonstration(
    rootless: Command, hub: Hub, place: Place, shell: dict[str, str]
) -> None:
    hub.use_as_docker_io(place.home)
    rootless("pull", "busybox")
    (demonstration,) = examples("README.md", "console")
    port = str(free_port())
    seen = ""
    for line in demonstration.code.splitlines(keepends=True):
        if not line.startswith("$ "):
            continue
        done = subprocess.run(
            ["sh", "-c", line[2:].replace("8080", port)], env=shell, cwd=place.work,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False,
        )  # fmt: skip
        seen += line + done.stdout.decode().replace(port, "8080")
    if os.environ.get("ROOTLESS_TEST_SHOW"):
        print(seen)
    assert _general(seen) == _general(demonstration.code), seen


def test_every_line_of_doctor_has_its_heading(rootless: Command) -> None:
    checks = rootless("doctor", "--format", "json").json()["checks"]
    names = {check["name"] for check in checks}
    text = (TREE / "docs/troubleshooting.md").read_text()
    assert names - set(re.findall(r"^## (.+)$", text, re.M)) == set()


def _command_lines() -> list[tuple[str, str]]:
    found = []
    for path in [TREE / "README.md", *sorted((TREE / "docs").glob("*.md"))]:
        name = str(path.relative_to(TREE))
        for language in ("sh", "console"):
            for block in examples(name, language):
                for line in block.code.splitlines():
                    for words in re.findall(r"(?:^|[|;&(] *|\$ )rootless ((?:[a-z-]+ ?)+)", line):
                        found.append((block.where, words))
    return found


def test_documents_name_only_verbs_that_exist() -> None:
    lines = _command_lines()
    assert len(lines) > 10
    known = {*VERBS, *ALIASES, "doctor", "help"}
    for where, words in lines:
        given = words.split()
        names = {" ".join(given[:count]) for count in (1, 2, 3)}
        assert names & known, f"{where}: {words}"
