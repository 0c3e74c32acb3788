"""The program with a protection taken out: shows that a test of that protection can fail.

The package is copied and one exact text of it replaced; the helpers are built anew when it is
theirs.  A text that is not there once means that the code has changed: the test must follow.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import TREE, Command, Place, _python, _site_packages
from test_runtime import Runtime


@dataclass(frozen=True)
class Change:
    """In `file` (below the tree) `old`, which is there once, becomes `new`."""

    file: str
    old: str
    new: str


def program(scratch: Path, changes: tuple[Change, ...]) -> Path:
    """A directory with the package as changed.  Made once for each set of changes."""
    name = hashlib.sha256(repr(changes).encode()).hexdigest()[:12]
    made = scratch / f"weak-{name}"
    if made.exists():
        return made
    # times of files are kept: bytecode and objects of all that is not changed stay valid
    shutil.copytree(TREE / "rootless", made / "rootless")
    native = any(change.file.startswith("helpers/") for change in changes)
    if native:
        shutil.copytree(TREE / "helpers", made / "helpers")
        for objects in TREE.glob("build/temp.*/helpers"):
            shutil.copytree(objects, made / "obj", dirs_exist_ok=True)
    for change in changes:
        path = made / change.file
        text = path.read_text()
        count = text.count(change.old)
        assert count == 1, f"{change.file} has {count} times: {change.old}"
        path.write_text(text.replace(change.old, change.new))
    if native:
        words = ["make", "-s", "-C", made / "helpers", f"OUT={made}/rootless/bin",
                 f"OBJ={made}/obj", "WERROR="]  # fmt: skip
        built = subprocess.run(words, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
    for path in (made, *made.rglob("*")):
        if path.is_dir() or os.access(path, os.X_OK):
            path.chmod(0o755)
    return made


def launcher(directory: Path, module: str) -> list[str]:
    """Words that start a copy (or, with TREE, the real one)."""
    words = (
        f"import sys; sys.path[:0] = [{str(directory)!r}]; sys.path += {_site_packages()!r}; "
        f"from {module} import main; sys.exit(main())"
    )
    return [_python(), "-ISB", "-c", words]


Variant = Callable[..., Runtime]


@pytest.fixture
def variant(scratch: Path, place: Place, busybox: Path) -> Iterator[Variant]:
    """`variant(Change...)`: a runtime with these changes, and with a bundle of its own."""
    made: list[Runtime] = []

    def make(*changes: Change) -> Runtime:
        source = program(scratch, changes) if changes else TREE
        base = place.base / f"v{len(made)}"
        base.mkdir()
        command = Command(launcher(source, "rootless.cli.oci.main"), place)
        runtime = Runtime(command, base, busybox)
        runtime.root = place.runtime / f"oci{len(made)}"
        runtime.helpers = source / "rootless/bin"
        for name in ("grep", "readlink", "kill", "mkdir", "stat", "mount", "umount", "echo", "wc"):
            (runtime.bundle / "rootfs/bin" / name).symlink_to("busybox")
        made.append(runtime)
        return runtime

    yield make
    for runtime in made:
        for name in runtime("list", "-q").stdout.split():
            runtime("delete", "--force", name)
        runtime.command.close()


Engine = Callable[..., Command]


@pytest.fixture
def engine(scratch: Path, place: Place, rootless: Command) -> Engine:
    """`engine(Change...)`: the engine with these changes, on the store of this test."""

    def make(*changes: Change) -> Command:
        if not changes:
            return rootless
        return Command(launcher(program(scratch, changes), "rootless.cli.main"), place)

    return make
