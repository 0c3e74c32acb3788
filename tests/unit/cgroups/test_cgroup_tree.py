"""What is removed of a container's cgroup: directories that the engine made, never a unit's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rootless.cgroups import tree


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("rootless-0123456789ab", False),
        # systemd looks there for what it hears of, and must find it
        ("rootless-0123456789ab.scope", True),
        ("web.service", True),
        ("work.slice", True),
    ],
)
def test_a_directory_of_systemd_stays(tmp_path: Path, name: str, stays: bool) -> None:
    above = tmp_path / name
    (above / "ctr/made-inside/deeper").mkdir(parents=True)
    (above / "sup").mkdir()
    tree.remove(str(above / "ctr"))
    assert above.exists() is stays
    assert not stays or list(above.iterdir()) == []
    # a second time there is nothing to do
    tree.remove(str(above / "ctr"))
    assert not (above / "sup").exists()
