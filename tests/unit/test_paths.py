"""Places: what platformdirs, which other programs ask, says of the same environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from rootless import paths

_PLACES: dict[str, tuple[Callable[[], str], Callable[[], str], Callable[[str], str]]] = {
    "XDG_DATA_HOME": (paths.data_home, paths.data_dir, platformdirs.user_data_dir),
    "XDG_CONFIG_HOME": (paths.config_home, paths.config_dir, platformdirs.user_config_dir),
    "XDG_CACHE_HOME": (paths.cache_home, paths.cache_dir, platformdirs.user_cache_dir),
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_PLACES, "XDG_RUNTIME_DIR", "ROOTLESS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("home", ["/somebody's home", None])
@pytest.mark.parametrize("value", [None, "", "/some/where"])
@pytest.mark.parametrize("variable", _PLACES)
def test_directories_are_where_platformdirs_has_them(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, home: str | None
) -> None:
    for name, given in (("HOME", home), (variable, value)):
        if given is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, given)
    base, own, theirs = _PLACES[variable]
    assert own() == theirs("rootless")
    assert base() == os.path.dirname(theirs("rootless"))


@pytest.mark.parametrize("variable", _PLACES)
def test_a_relative_directory_is_ignored(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    base, own, _ = _PLACES[variable]
    usual = base(), own()
    # XDG Base Directory Specification: "consider the path invalid and ignore it"
    monkeypatch.setenv(variable, "relative/one")
    assert (base(), own()) == usual


def test_the_runtime_directory_is_where_platformdirs_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert paths.runtime_dir() == platformdirs.user_runtime_dir("rootless")
    # without one platformdirs takes $TMPDIR, which some job systems empty between steps
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert paths.runtime_dir() == f"/tmp/rootless-{os.getuid()}"
