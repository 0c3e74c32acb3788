"""The commands of docs/build.md are run as they stand there."""

from __future__ import annotations

import subprocess

import pytest
from conftest import Command, Place
from integration.documents import examples

pytestmark = pytest.mark.usefixtures("everyone")


def test_the_examples_run(
    rootless: Command, busybox_image: str, entry: list[str], place: Place
) -> None:
    rootless("tag", busybox_image, "busybox")
    directory = place.home / "bin"
    directory.mkdir()
    program = directory / "rootless"
    quoted = " ".join(f"'{word}'" for word in entry)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(0o700)
    env = {**place.env, "PATH": f"{directory}:{place.env['PATH']}"}
    blocks = examples("docs/build.md", "sh")
    assert len(blocks) > 3
    for block in blocks:
        done = subprocess.run(
            ["sh", "-e", "-c", block.code], env=env, cwd=place.work, capture_output=True,
            text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.where}\n{done.stdout}\n{done.stderr}"
