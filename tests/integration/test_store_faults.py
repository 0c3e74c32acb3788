"""Bad luck: commands that are killed, disks that are full or read-only, owners that are refused.

After each the store is as it was, or as it was to be; nothing half-made is seen; the next prune has
all the room back.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place, _python, _site_packages
from integration.registry import Layout, Registry, tar_of

pytestmark = [pytest.mark.usefixtures("everyone"), pytest.mark.slow]

# Python's audit events of whatever changes the store or begins to
KILLER = """
import os, sys, threading
at, seen, lock = int(os.environ["KILL_AT"]), 0, threading.Lock()
data, log = os.environ["ROOTLESS_DATA_DIR"], os.environ["KILL_LOG"]
def hook(event, words):
    global seen
    if event == "open":
        if not isinstance(words[0], str) or not words[0].startswith(data):
            return
        if not (words[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event not in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate",
                       "os.posix_spawn", "fcntl.flock"):
        return
    with lock:
        seen += 1
        if seen == at:
            # alone, or with all that it has started, as when a session or a job is killed
            os.kill(os.getpid(), 9) if at % 2 else os.killpg(0, 9)
        if not at:
            os.write(fd, b".")
fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
sys.addaudithook(hook)
"""
# how many points of a command's way: a few each day, and before a release what takes minutes
FEW_OR_MANY = pytest.mark.parametrize("points", [3, pytest.param(24, marks=pytest.mark.long)])
ROOMS = pytest.mark.parametrize(
    "rooms",
    [
        (0, 40, 110, 1000),
        pytest.param((8, 20, 60, 80, 140, 180, 230), marks=pytest.mark.long),
    ],
)


class Killer:
    """Runs a command and kills it with its `number`th change, 0 to count them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.script = place.work / "killer.py"
        self.script.write_text(
            KILLER + f"sys.path.insert(0, {str(TREE)!r})\nsys.path += {_site_packages()!r}\n"
            "from rootless.cli.main import main\nsys.exit(main())\n"
        )
        self.log = place.work / "changes"

    def __call__(self, number: int, *words: str) -> int:
        env = {**self.place.env, "KILL_AT": str(number), "KILL_LOG": str(self.log)}
        done = subprocess.run(
            [_python(), "-IS", str(self.script), *words], env=env, cwd=self.place.work,
            capture_output=True, timeout=100, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == (-9 if number else 0), (words, number, done)
        return self.log.stat().st_size


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with Registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def doomed(rootless: Command, place: Place, tmp_path: Path, registry: Registry) -> str:
    """`kept:1` in the store; an image that shares its lowest layer in a registry and an archive."""
    layout = Layout(tmp_path / "layout")
    base = {"base": b"b" * 20_000}
    layout.image("kept", [base, {"kept": os.urandom(5000)}])
    layout.image("new", [base, {"new": os.urandom(50_000)}, {"more": b"m"}])
    kept = registry.push(f"oci:{layout.path}:kept", "team/kept:1")
    new = registry.push(f"oci:{layout.path}:new", "team/new:1")
    rootless("pull", "-q", kept, new)
    rootless("tag", kept, "kept:1")
    rootless("rmi", kept)
    rootless("save", "-q", "-o", "new.tar", new)
    return new


def check(rootless: Command) -> Any:
    done = rootless("system", "check", "--format", "json", code=None)
    assert done.code == 0, done
    return done.json()


def rubbish(place: Place) -> list[str]:
    """What no command would leave that ends by itself."""
    found = [f"ingest/{name}" for name in os.listdir(place.data / "content/ingest")]
    found += [f"leases/{name}" for name in os.listdir(place.data / "content/leases")]
    for directory in (place.data / "images", place.data / "images/records",
                      place.data / "images/names", *(place.data / "layers").iterdir()):  # fmt: skip
        if directory.is_dir():
            found += [
                name for name in os.listdir(directory)
                if name.endswith(".tmp") or name.startswith((".tmp-", ".gone-"))
            ]  # fmt: skip
    return found


@FEW_OR_MANY
@pytest.mark.parametrize("verb", ("pull", "load", "commit", "rmi", "prune"))
def test_killed(rootless: Command, place: Place, doomed: str, verb: str, points: int) -> None:
    """kill -9 at points spread over all changes that a command makes, in five verbs."""
    words = {
        "pull": ("pull", "-q", doomed),
        "load": ("load", "-q", "-i", "new.tar"),
        "commit": ("commit", "-q", "--timestamp", "1", "c", doomed),
        "rmi": ("rmi", doomed),
        "prune": ("image", "prune", "-a", "-f"),
    }[verb]
    makes = verb in ("pull", "load", "commit")
    rootless("create", "--name", "c", "--network", "none", "kept:1", "x")

    def prepare() -> None:
        rootless("rmi", "-f", doomed, code=None)
        if makes:
            rootless("system", "prune", "-f", "--filter", "label=none")
        else:
            rootless("load", "-q", "-i", "new.tar")

    kill = Killer(place)
    prepare()
    changes = kill(0, *words)
    assert changes >= 6
    kept = rootless("image", "inspect", "kept:1").json()
    # attempts differ by a change or two (a lock that is not free at once): the last ones of one may
    # not come in the next
    last = changes - 3
    for number in sorted({1 + k * (last - 1) // (points - 1) for k in range(points)}):
        prepare()
        kill(number, *words)
        # what was there is there, and whole
        assert rootless("image", "inspect", "kept:1").json() == kept
        found = check(rootless)
        names = set(rootless("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split())
        assert names <= {"localhost/kept:1", doomed}, number
        # what is seen can be used
        for name in names:
            rootless("save", "-q", "-o", "out.tar", name)
        # the next attempt does it
        again = rootless(*words, code=None)
        if makes:
            assert again.code == 0, again
            assert rootless("image", "exists", doomed, code=None).code == 0
        else:
            assert rootless("image", "exists", doomed, code=None).code == 1
            assert again.code == 0 or "no image" in again.stderr
        rootless("system", "prune", "-f", "--filter", "label=none")
        assert rubbish(place) == [], number
        found = check(rootless)
        assert found["Waste"] == 0 and found["Images"] == 1 + makes
    rootless("rm", "c")


# full disks


FULL = """
mount -t tmpfs -o size=100m none {data} && {words} {prepare} || exit 99
room=$(( $(df -k --output=used {data} | tail -1) + $1 ))
mount --options-mode ignore -o remount,size=${room}k {data} || exit 98
shift; {words} "$@"; code=$?
{words} images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' >listed
mount --options-mode ignore -o remount,size=100m {data}
{words} system check >checked 2>&1 || exit 97
{words} "$@" >again 2>&1 || exit 96
{words} system prune -f >/dev/null && {words} system check || exit 95
exit $code
"""


@pytest.fixture
def archive(place: Place) -> Path:
    """A docker-archive with two layers of files that do not compress."""
    layers = [tar_of({f"{n}{k}": os.urandom(9_000) for k in range(4)}) for n in "ab"]
    import hashlib

    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {"Cmd": ["x"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in layers],
            },
        }
    ).encode()
    manifest = [{"Config": "c.json", "RepoTags": ["big:1"], "Layers": ["a.tar", "b.tar"]}]
    members = {"c.json": config, "a.tar": layers[0], "b.tar": layers[1],
               "manifest.json": json.dumps(manifest).encode()}  # fmt: skip
    path = place.work / "big.tar"
    path.write_bytes(tar_of(members))
    return path


def alone(rootless: Command, place: Place, script: str, *words: str) -> Any:
    """Run a shell script in a user and mount namespace of its own."""
    text = " ".join(rootless.words)
    whole = script.replace("{words}", text).replace("{data}", str(place.data))
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", whole, "sh", *words],
        env=place.env, cwd=place.work, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


@ROOMS
@pytest.mark.parametrize("verb", ("pull", "load", "commit"))
def test_full_disk(
    rootless: Command,
    place: Place,
    archive: Path,
    registry: Registry,
    verb: str,
    rooms: tuple[int, ...],
) -> None:
    """A disk that is full after so many kilobytes: a sentence, nothing half-made, and room enough
    afterwards is enough."""
    script = FULL.replace("{{{{", "{{").replace("}}}}", "}}")
    if verb == "pull":
        big = registry.push(f"docker-archive:{archive}", "team/big:1")
        words = ("pull", "-q", big)
        script = script.replace("{prepare}", "import small.tar small:1")
    elif verb == "load":
        big = "big:1"
        words = ("load", "-q", "-i", str(archive))
        script = script.replace("{prepare}", "import small.tar small:1")
    else:
        big = "localhost/big:1"
        words = ("commit", "-q", "c", "big:1")
        script = script.replace(
            "{prepare}",
            "import small.tar small:1 && {words} create --name c --network none small:1 x "
            "&& {words} cp big.tar c:/big",
        )
    (place.work / "small.tar").write_bytes(tar_of({"s": b"1"}))
    codes = []
    for room in rooms:
        done = alone(rootless, place, script, str(room), *words)
        codes.append(done.returncode)
        assert done.returncode in (0, 125), (room, done, (place.work / "checked").read_text())
        if done.returncode:
            assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr, (room, done)
            assert "Traceback" not in done.stderr
            # what could not be written, and that the room is what is missing
            (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert said.startswith("error: the disk is full: cannot ") and said.endswith(
                (" are free", " are needed")
            )  # fmt: skip
            # how much is free is asked after what was half made has begun to go
            assert f"of the file system at {place.data} " in said, (room, said)
            assert "hint: `rootless system prune` frees room" in done.stderr, (room, done)
        listed = (place.work / "listed").read_text().split()
        assert set(listed) <= {"localhost/small:1", big} and "localhost/small:1" in listed
        assert (big in listed) == (done.returncode == 0)
    assert codes[0] == 125 and (codes[-1] == 0 or 1000 not in rooms)


def test_a_disk_without_room_for_another_file(
    rootless: Command, place: Place, archive: Path
) -> None:
    script = """
    mount -t tmpfs -o size=100m,nr_inodes=200 none {data} || exit 99
    {words} images && while touch {data}/filler-$((n=n+1)) 2>/dev/null; do :; done
    for some in 1 2 3; do
        {words} load -q -i big.tar; code=$?
        {words} images -q | grep . && exit 97
        test $some = 3 || rm {data}/filler-$((some * 3)) {data}/filler-$((some * 3 + 1)) \
            {data}/filler-$((some * 3 + 2))
    done
    rm {data}/filler-*
    {words} load -q -i big.tar >/dev/null || exit 98
    exit $code
    """
    done = alone(rootless, place, script)
    assert done.returncode == 125, done
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 3 and "Traceback" not in done.stderr
    for line in said:
        assert line.endswith(f"no file more fits into the file system at {place.data} (200 are its "
                             "most)"), said  # fmt: skip


EMPTY = """
mount -t tmpfs -o size=100m none {data} && {words} import small.tar small:1 >/dev/null || exit 99
{words} load -q -i big.tar >/dev/null && {words} create --name c --network none small:1 x || exit 98
{words} tag big:1 other:1 && {words} images >/dev/null || exit 97
head -c 200m /dev/zero >{data}/filler 2>/dev/null
test "$(df -k --output=avail {data} | tail -1)" -eq 0 || exit 96
"$@"; code=$?
df -k --output=avail {data} | tail -1
{words} images --format '{{.Repository}}:{{.Tag}}' && {words} ps -a --format '{{.Names}}' || exit 95
{words} system check >&2 || exit 94
exit $code
"""


@pytest.mark.parametrize(
    ("script", "left", "freed"),
    [
        ("{words} rmi big:1 other:1", {"localhost/small:1", "c"}, 80),
        ("{words} rmi -f big:1 && {words} untag other:1 && {words} image prune -f",
         {"localhost/small:1", "c"}, 80),
        ("{words} image prune -a -f", {"localhost/small:1", "c"}, 80),
        ("{words} system prune -a -f", set(), 90),
        ("{words} rm c && {words} rmi small:1", {"big:1", "localhost/other:1"}, 4),
        ("{words} container prune -f", {"big:1", "localhost/other:1", "localhost/small:1"}, 4),
    ],
)  # fmt: skip
def test_room_is_made_where_there_is_none(
    rootless: Command, place: Place, archive: Path, script: str, left: set[str], freed: int
) -> None:
    """Whatever frees room works on a disk that has not a byte: kilobytes `freed` at least."""
    (place.work / "small.tar").write_bytes(tar_of({"s": b"1"}))
    text = script.replace("{words}", " ".join(rootless.words))
    done = alone(rootless, place, EMPTY, "sh", "-ec", text)
    assert done.returncode == 0, done
    assert "error" not in done.stderr
    lines = done.stdout.splitlines()
    room = next(number for number, line in enumerate(lines) if line.strip().isdigit())
    assert int(lines[room]) >= freed, done
    assert set(lines[room + 1 :]) == left


def test_read_only_store(rootless: Command, place: Place, archive: Path) -> None:
    script = """
    mount -t tmpfs none {data} && {words} load -q -i big.tar >/dev/null || exit 99
    {words} images >/dev/null; mount --options-mode ignore -o remount,ro {data} || exit 98
    {words} images && {words} image inspect big:1 >/dev/null && {words} ps -a || exit 97
    {words} history big:1 >/dev/null && {words} save -q -o out.tar big:1 || exit 96
    for verb in "load -q -i big.tar" "tag big:1 other:1" "rmi big:1" "untag big:1" \
        "image prune -af" "import big.tar x:1"; do
        {words} $verb >/dev/null; test $? = 125 || exit 90
    done
    """
    done = alone(rootless, place, script)
    assert done.returncode == 0, done
    assert "big" in done.stdout
    said = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert sum(line.startswith("error: ") for line in said) == 6, said
    assert done.stderr.lower().count("read-only") >= 5


def test_owners_that_are_refused(rootless: Command, place: Place, everyone: str) -> None:
    """An image with an id beyond the map: a sentence, and no half of a layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, uid in (("mine", 0), ("theirs", 3_000_000)):
            entry = tarfile.TarInfo(name)
            entry.uid = uid
            tar.addfile(entry)
    if everyone == "single":
        rootless("import", "-", "far:1", input=buffer.getvalue())  # owners are not kept there
        return
    done = rootless("import", "-", "far:1", input=buffer.getvalue(), code=125)
    assert '"theirs" belongs to 3000000:0' in done.stderr and "subordinate ids" in done.stderr
    rootless("rmi", "far:1", code=None)
    rootless("system", "prune", "-f")
    assert not [name for key in (place.data / "layers").iterdir() if key.is_dir()
                for name in os.listdir(key)]  # fmt: skip
