"""COPY into a hostile root: nothing leads out, whatever links are in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.build import copying, hashing, resolve, selecting
from rootless.errors import NotFound, RootlessError, StorageError


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    root, top = tmp_path / "root", tmp_path / "top"
    root.mkdir()
    top.mkdir()
    (top / "f").write_text("new")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("kept")
    return root, top


def copy(root: Path, top: Path, word: str, destination: str, directory: bool = False) -> None:
    copying.copy_worker(
        {
            "root": str(root),
            "destination": destination,
            "directory": directory,
            "single": True,
            "sources": [{"top": str(top), "words": [word], "own": False}],
        }
    )


@pytest.mark.parametrize("link", ["../outside", "../../outside", "/../outside", "../outside/kept"])
@pytest.mark.parametrize("destination", ["/l", "/l/", "/l/kept", "/l/new/f"])
def test_links_of_the_destination_stay_inside(
    places: tuple[Path, Path], link: str, destination: str
) -> None:
    root, top = places
    (root / "l").symlink_to(link)
    try:
        copy(root, top, "f", destination, destination.endswith("/"))
    except RootlessError:
        pass
    outside = root.parent / "outside"
    assert os.listdir(outside) == ["kept"]
    assert (outside / "kept").read_text() == "kept"


@pytest.mark.parametrize("link", ["../outside/kept", "/../outside/kept", "/proc/self/environ"])
def test_links_of_the_source_stay_inside(places: tuple[Path, Path], link: str) -> None:
    root, top = places
    (top / "l").symlink_to(link)
    with pytest.raises(NotFound):
        copy(root, top, "l", "/o")
    with pytest.raises(NotFound):
        copy(root, top, "l*", "/o")


def test_a_loop_of_links_ends(places: tuple[Path, Path]) -> None:
    root, top = places
    (top / "a").symlink_to("b")
    (top / "b").symlink_to("a")
    with pytest.raises(NotFound):
        copy(root, top, "a", "/o")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(RootlessError):
        copy(root, top, "f", "/a")


@settings(max_examples=200)
@given(st.text("ab/.*?[]^-\\", max_size=12))
def test_any_word_selects_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, word: str
) -> None:
    top = tmp_path_factory.mktemp("top")
    (top / "a").mkdir()
    (top / "a/b").write_text("b")
    (top / "b").symlink_to("a")
    root = resolve.open_root(str(top))
    try:
        for parents in (False, True):
            try:
                chosen = selecting.select(root, word, parents=parents)
            except RootlessError:
                continue
            hashing.selection(root, chosen, hashing.Memory(""))
            for one in chosen:
                assert all(".." not in entry.name.split("/") for entry in one.entries)
    finally:
        os.close(root)


def test_what_was_hashed_is_remembered_only_when_it_was_old(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    file = top / "f"
    file.write_text("one")
    memory = hashing.Memory(str(tmp_path / "memory"))
    root = resolve.open_root(str(top))
    try:
        (fresh,) = selecting.select(root, "f")
        hashing.of_file(root, fresh.entries[0], memory)
        # it may change again within the tick of the clock that its time is of
        assert memory.recall(fresh.entries[0]) == ""
    finally:
        os.close(root)


def test_a_full_disk_is_that_of_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination is a path of the image, and tells nothing of this host's file systems."""
    root, top = tmp_path / "snapshot/root", tmp_path / "top"
    root.mkdir(parents=True)
    top.mkdir()
    (top / "f").write_text("new")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copying, "_one_source", full)
    with pytest.raises(StorageError, match=f"cannot copy to /g, which is in {root.parent}: "):
        copy(root, top, "f", "/g")


def test_the_umask_of_the_process_stays(places: tuple[Path, Path]) -> None:
    root, top = places
    before = os.umask(0o027)
    try:
        copy(root, top, "f", "/o")
        with pytest.raises(NotFound):
            copy(root, top, "nothing", "/o")
    finally:
        after = os.umask(before)
    assert after == 0o027
