"""Every driver is a whole file system, and each reads what another has left.

ROOTLESS_TEST_DIRECTORY=/some/mounted/directory points the same checks at that directory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration import filesystem

PROGRAM = Path(filesystem.__file__)
DRIVERS = ("overlay", "fuse-overlayfs", "python-fuse", "copy")
# what a driver is known not to do, each told in docs/storage.md
KNOWN: dict[str, set[str]] = {
    # version 1.10
    "fuse-overlayfs": {
        "holes", "long_names", "modes_of_directories", "removed_names_can_be_taken_again",
    },
}  # fmt: skip


def judge(output: str, driver: str) -> None:
    """Fails with what each check said."""
    found = json.loads(output.splitlines()[-1])
    bad = {name: text for name, text in found.items() if text}
    wrong = {name: text for name, text in bad.items() if name not in KNOWN.get(driver, ())}
    if wrong:
        pytest.fail("\n".join(f"--- {name}\n{text}" for name, text in wrong.items()))
    assert len(found) > 20
    assert set(bad) == KNOWN.get(driver, set())


def in_namespace(rootless: Command, *words: str) -> str:
    """The program's output, as root of the namespace that layers are unpacked in."""
    paths = [str(TREE), str(TREE / "tests"), *sys.path]
    code = f"import sys; sys.path[:0] = {paths!r}; from integration.filesystem import main; "
    code += f"main({list(words)!r})"
    return rootless("unshare", sys.executable, "-IS", "-c", code, timeout=200).stdout


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.usefixtures("everyone")
def test_a_driver_is_a_whole_file_system(rootless: Command, place: Place, driver: str) -> None:
    base = place.data / "checked"
    base.mkdir()
    judge(in_namespace(rootless, "--driver", driver, str(base)), driver)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("overlay", "python-fuse"),
        ("python-fuse", "overlay"),
        ("fuse-overlayfs", "python-fuse"),
        ("python-fuse", "fuse-overlayfs"),
    ],
)
@pytest.mark.usefixtures("everyone")
def test_one_driver_reads_what_another_has_written(
    rootless: Command, place: Place, writer: str, reader: str
) -> None:
    base = place.data / "checked"
    base.mkdir()
    judge(in_namespace(rootless, "--interoperate", f"{writer},{reader}", str(base)), writer)


def test_any_directory(place: Place) -> None:
    given = os.environ.get("ROOTLESS_TEST_DIRECTORY")
    base = tempfile.mkdtemp(dir=given or place.work)
    try:
        run = subprocess.run(
            [sys.executable, PROGRAM, base], capture_output=True, text=True, timeout=200
        )
        judge(run.stdout, "")
    finally:
        shutil.rmtree(base)
