"""Bad luck in the middle of a change: a full disk, a killed server.  Nothing half-there is seen."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration import filesystem
from integration.test_storage import Layer
from integration.test_storage import make_image as make_image

pytestmark = pytest.mark.usefixtures("everyone")

SIZE = 6 << 20


def full_disk(driver: str, base: Path) -> dict[str, object]:
    """Runs in the namespace: the upper directory is on a tmpfs, smaller than a file below."""
    from rootless import kernel

    lower, small = base / "lower", base / "small"
    lower.mkdir()
    small.mkdir()
    (lower / "big").write_bytes(b"b" * SIZE)
    (lower / "little").write_text("l")
    kernel.calls.mount("tmpfs", str(small), "tmpfs", 0, "size=3m")

    def act(root: Path) -> dict[str, object]:
        said = ""
        try:
            with open(root / "big", "ab") as file:
                file.write(b"x")
        except OSError as error:
            said = os.strerror(error.errno or 0)
        with open(root / "little", "a") as file:
            file.write("more")
        return {
            "said": said,
            "same": (root / "big").read_bytes() == b"b" * SIZE,
            "little": (root / "little").read_text(),
            "listed": sorted(os.listdir(root)),
        }

    found: dict[str, object] = filesystem.mounted(driver, small, [lower], act)
    left = [os.path.getsize(one) for one in (small / "work").rglob("*") if one.is_file()]
    return {**found, "left": left, "upper": sorted(os.listdir(small / "upper"))}


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs", "python-fuse"])
def test_a_full_disk_while_a_file_is_copied_up(
    rootless: Command, place: Place, driver: str
) -> None:
    base = place.data / "checked"
    base.mkdir()
    paths = [str(TREE), str(TREE / "tests"), *sys.path]
    code = (
        f"import sys; sys.path[:0] = {paths!r}; import json, pathlib;"
        "from integration.test_storage_faults import full_disk;"
        f"print(json.dumps(full_disk({driver!r}, pathlib.Path({str(base)!r}))))"
    )
    out = rootless("unshare", sys.executable, "-IS", "-c", code, timeout=200).stdout
    assert json.loads(out.splitlines()[-1]) == {
        "said": "No space left on device", "same": True, "little": "lmore",
        "listed": ["big", "little"], "left": [], "upper": ["little"],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["fuse-overlayfs", "python-fuse"])
def test_a_server_that_is_killed_while_it_copies(
    rootless: Command, place: Place, make_image: Callable[..., str], driver: str
) -> None:
    image = make_image(Layer().add("big", b"b" * (SIZE * 4)).bytes())
    script = "stat -c %s /big; wc -c </big; ls -a /; echo more >>/big; sleep 100"
    one = rootless("--storage-driver", driver, "create", "--network", "none", image, "sh", "-c",
                   script).stdout.strip()  # fmt: skip
    state = place.data / "containers" / one / "state"
    for pause in (0.0, 0.01, 0.03, 0.06):
        rootless("start", one)
        (server,) = json.loads(state.read_text())["servers"]
        time.sleep(pause)
        os.kill(server, signal.SIGKILL)
        assert rootless("wait", one).stdout.strip() == "137"
    seen = rootless("logs", one).stdout.split()
    sizes = {int(word) for word in seen if word.isdigit()}
    # the old file or the whole new one, as often as something was appended to it
    assert sizes <= {SIZE * 4 + 5 * times for times in range(5)}, sizes
    assert not [word for word in seen if word.startswith((".fuse", ".wh"))]
    upper = place.data / "containers" / one / "upper"
    for path in upper.rglob("big*"):
        assert (path.stat().st_size - SIZE * 4) % 5 == 0
    rootless("rm", one)
