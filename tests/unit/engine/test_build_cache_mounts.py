"""The directories of RUN --mount=type=cache, as several steps make them at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rootless.engine.build import mounts


def make(caches: Path, draft: str) -> None:
    mounts.cache_worker(
        {
            "directory": str(caches / "meet"), "making": str(caches.parent / draft),
            "mode": 0o700, "uid": os.getuid(), "gid": os.getgid(), "path": "", "single": False,
        }
    )  # fmt: skip


def test_the_second_step_finds_the_directory_of_the_first(tmp_path: Path) -> None:
    """Both saw that there is none yet.  The first has mounted its own, in which nothing is yet."""
    caches = tmp_path / "caches"
    caches.mkdir()
    make(caches, "one")
    mounted = os.stat(caches / "meet" / "fs")
    make(caches, "two")
    assert os.path.samestat(mounted, os.stat(caches / "meet" / "fs"))
    assert sorted(os.listdir(tmp_path)) == ["caches"]


def test_what_a_removal_left_is_replaced(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    (caches / "meet").mkdir(parents=True)
    make(caches, "one")
    assert (caches / "meet" / "fs").stat().st_mode & 0o7777 == 0o700


def test_making_one_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """The parser of documents is stopped by this limit before the stack ends."""
    before = sys.getrecursionlimit()
    (tmp_path / "caches").mkdir()
    make(tmp_path / "caches", "one")
    make(tmp_path / "caches", "two")
    assert sys.getrecursionlimit() == before
