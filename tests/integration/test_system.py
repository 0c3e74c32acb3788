"""The whole store: how much room it takes, pruning, checking and mending it, doing away with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from integration.registry import Layout, Registry, tar_of

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with Registry(tmp_path / "registry") as running:
        yield running


def made(layout: Layout, tag: str, *layers: dict[str, bytes]) -> None:
    layout.image(tag, list(layers))


def blobs(place: Place) -> set[str]:
    return set(os.listdir(place.data / "content/blobs/sha256"))


def layers(place: Place) -> set[str]:
    return {
        name for key in (place.data / "layers").iterdir() if key.is_dir()
        for name in os.listdir(key)
    }  # fmt: skip


def rows(rootless: Command) -> dict[str, Any]:
    lines = rootless("system", "df", "--format", "json").stdout.splitlines()
    return {row["Type"]: row for row in map(json.loads, lines)}


def test_df(rootless: Command, busybox_image: str) -> None:
    rootless(
        "run",
        "--name",
        "c",
        "--network",
        "none",
        "-v",
        "vol:/data",
        busybox_image,
        "sh",
        "-c",
        "cd /data; head -c 300000 /dev/random >/x; tail -c 200000 /x >y",
    )
    rootless("commit", "c", "upper:1")
    rootless("import", "-", "plain:1", input=tar_of({"z": os.urandom(400_000)}))
    lines = rootless("system", "df").stdout.splitlines()
    assert lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert [line[:13].strip() for line in lines[1:]] == [
        "Images", "Containers", "Local Volumes", "Build Cache"
    ]  # fmt: skip
    found = rows(rootless)
    assert (found["Images"]["TotalCount"], found["Images"]["Active"]) == ("3", "1")
    assert (found["Containers"]["TotalCount"], found["Containers"]["Active"]) == ("1", "0")
    assert (found["Local Volumes"]["TotalCount"], found["Local Volumes"]["Active"]) == ("1", "1")
    assert found["Local Volumes"]["Reclaimable"].startswith("0B")
    assert found["Containers"]["Reclaimable"].endswith("(100%)")
    every = rootless("system", "df", "-v", "--format", "json").json()
    images = {name: one for one in every["Images"] for name in one["RepoTags"]}
    assert (
        images["localhost/busybox:test"]["SharedSize"] == images["localhost/busybox:test"]["Size"]
    )
    assert images["localhost/plain:1"]["SharedSize"] == 0
    # its files, as in `images`, and beside them the blob
    assert images["localhost/plain:1"]["Size"] == 400_000
    assert 400_000 <= images["localhost/plain:1"]["BlobSize"] < 450_000
    assert rootless("images", "--format", "{{.Size}}", "plain").stdout == "400kB\n"
    own = images["localhost/upper:1"]["Size"] - images["localhost/upper:1"]["SharedSize"]
    assert 300_000 <= own < 310_000
    assert 300_000 <= every["Containers"][0]["SizeRw"] < 700_000
    assert 200_000 <= every["Volumes"][0]["UsageData"]["Size"] < 300_000
    text = rootless("system", "df", "-v").stdout
    for word in ("Images space usage:", "UNIQUE SIZE", "Containers space usage:", "LINKS", "vol"):
        assert word in text


def test_what_is_reclaimable_is_reclaimed(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--name", "c", "--network", "none", "-v", "vol:/v", busybox_image, "sh", "-c",
             "head -c 300000 /dev/zero >/x; head -c 70000 /dev/zero >/v/y")  # fmt: skip
    rootless("commit", "c", "upper:1")
    rootless("import", "-", "plain:1", input=tar_of({"z": os.urandom(400_000)}))

    def reclaimable(kind: str) -> str:
        told = rootless("system", "df", "--format", "{{.Type}}={{.Reclaimable}}").stdout
        line = next(line for line in told.splitlines() if line.startswith(kind))
        return line.partition("=")[2].partition(" (")[0]

    for kind, verb in (
        ("Images", "image prune -a -f"),  # all but the container's
        ("Containers", "container prune -f"),
        ("Images", "image prune -a -f"),
        ("Local Volumes", "volume prune -a -f"),
    ):
        expected = reclaimable(kind)
        assert expected != "0B"
        told = rootless(*verb.split()).stdout
        assert told.endswith(f"Total reclaimed space: {expected}\n"), (kind, told)
        assert reclaimable(kind) == "0B"
    assert rootless("images", "-q").stdout == ""


@pytest.mark.slow
def test_prune_frees_what_nothing_needs(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    rootless("run", "--name", "stopped", "--network", "none", busybox_image, "true")
    rootless("run", "--name", "kept", "--network", "none", "--label", "keep", busybox_image,
             "touch", "/x")  # fmt: skip
    rootless("commit", "kept", "mine:1")
    rootless("import", "-", "old:1", input=tar_of({"a": b"1"}))
    rootless("import", "-", "old:1", input=tar_of({"a": b"2"}))  # the first has no name now
    before = blobs(place), layers(place)
    asked = rootless("system", "prune", input="n\n")
    assert "WARNING! This will remove:\n  - all stopped containers\n" in asked.stderr
    assert "Are you sure you want to continue? [y/N]" in asked.stderr
    assert (blobs(place), layers(place)) == before
    done = rootless("system", "prune", "-f", "--filter", "label!=keep").stdout
    assert done.startswith("Deleted Containers:\n")
    assert done.count("deleted: sha256:") == 1
    assert "Total reclaimed space: " in done and "Total reclaimed space: 0B" not in done
    assert rootless("ps", "-a", "--format", "{{.Names}}").stdout == "kept\n"
    gone = before[0] - blobs(place)
    assert len(gone) == 3  # manifest, configuration, layer
    assert len(before[1] - layers(place)) == 1
    # an image with a container stays, also when it has no name any more
    rootless("untag", "busybox:test")
    rootless("image", "prune", "-f")
    rootless("start", "-a", "kept")
    done = rootless("image", "prune", "-a", "-f").stdout
    assert "untagged: localhost/mine:1" in done and "untagged: localhost/old:1" in done
    rootless("start", "-a", "kept")
    rootless("rm", "kept")
    rootless("system", "prune", "-a", "--volumes", "-f")
    assert not blobs(place) and not {name for name in layers(place) if len(name) == 32}
    assert "unknown filter" in rootless("system", "prune", "--filter", "color=red", code=125).stderr
    assert rootless("system", "prune", "-f").stdout == "Total reclaimed space: 0B\n"


def test_prune_by_age_and_kind(rootless: Command, place: Place) -> None:
    rootless("import", "-", "a:1", input=tar_of({"a": b"1"}))
    rootless("import", "-c", "LABEL team=x", "-", "b:1", input=tar_of({"a": b"2"}))
    assert "deleted" not in rootless("image", "prune", "-af", "--filter", "until=1h").stdout
    assert (
        "untagged: localhost/b:1"
        in rootless("image", "prune", "-af", "--filter", "label=team=x").stdout
    )
    assert (
        "untagged: localhost/a:1"
        in rootless("image", "prune", "-f", "--filter", "dangling=false").stdout
    )


def test_rmi_tells_its_layers(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("run", "--name", "c", "--network", "none", busybox_image, "touch", "/x")
    rootless("commit", "c", "mine:1")
    rootless("rm", "c")
    own, shared = rootless("image", "inspect", "-f", "{{json .RootFS.Layers}}", "mine:1").json()[
        ::-1
    ]
    done = rootless("rmi", "mine:1").stdout
    assert done.startswith("Untagged: localhost/mine:1\nDeleted: sha256:")
    assert own in done and shared not in done
    rootless("run", "--rm", "--network", "none", busybox_image, "true")


@pytest.mark.slow
def test_collecting_beside_pulls(
    rootless: Command, registry: Registry, tmp_path: Path, place: Place
) -> None:
    """Images come and go at once, and every one that is there is whole."""
    layout = Layout(tmp_path / "layout")
    base = {"base": os.urandom(2_000_000)}
    for number in range(4):
        made(layout, f"t{number}", base, {f"own{number}": os.urandom(300_000)})
        registry.push(f"oci:{layout.path}:t{number}", f"team/app:t{number}")
    names = [f"{registry.host}/team/app:t{number}" for number in range(4)]
    stop = threading.Event()
    troubles: list[str] = []

    def prune() -> None:
        while not stop.is_set():
            done = rootless("image", "prune", "-a", "-f", code=None)
            if done.code:
                troubles.append(done.stderr)

    def pull(name: str) -> None:
        for _ in range(3):
            done = rootless("pull", "-q", name, code=None)
            # an image that is pruned before it is unpacked is a sentence, not a broken image
            if done.code and "removed" not in done.stderr:
                troubles.append(done.stderr)

    pruning = threading.Thread(target=prune)
    pulling = [threading.Thread(target=pull, args=(name,)) for name in names]
    for thread in (pruning, *pulling):
        thread.start()
    for thread in pulling:
        thread.join()
    stop.set()
    pruning.join()
    assert not troubles, troubles[0]
    rootless("pull", *names)
    checked = rootless("system", "check", "--format", "json").json()
    assert (checked["Images"], checked["Damaged"], checked["Waste"]) == (4, [], 0)
    assert os.listdir(place.data / "content/leases") == []


def test_a_pull_in_progress_does_not_stop_collecting(
    rootless: Command, registry: Registry, tmp_path: Path, place: Place
) -> None:
    rootless("import", "-", "old:1", input=tar_of({"a": os.urandom(1000)}))
    reading, writing = os.pipe()
    loading = rootless.start("load", stdin=reading)
    os.close(reading)
    try:
        os.write(writing, tar_of({"blobs/sha256/" + "0" * 64: b"x" * 5000})[:2000])
        while not os.listdir(place.data / "content/leases"):
            assert loading.poll() is None
        rootless("rmi", "old:1")
        assert not blobs(place)
    finally:
        os.close(writing)
    assert loading.wait(60) == 125


# check


@pytest.mark.slow
def test_check(rootless: Command, busybox_image: str, place: Place) -> None:
    """Every kind of damage to a layer is named, and mended from the blob."""
    script = "echo x >/f; mkdir /d; ln -s f /l; rm /etc/group; ln /f /d/again; mkfifo /p"
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c", script)
    rootless("commit", "c", "mine:1")
    rootless("rm", "c")
    done = rootless("system", "check").stdout
    assert done == "Checked 2 images, 6 blobs, 2 layers: all is well\n"
    fs = Path(rootless("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}",
                       "mine:1").stdout.strip())  # fmt: skip

    def damage(command: str) -> None:
        rootless("unshare", "sh", "-ec", f"cd {fs}; {command}")

    for command, said in (
        ("printf 'y\\n' >f; touch -d '2020-01-01' f", "/f "),
        ("t=$(stat -c %Y f); printf 'z\\n' >f; touch -d @$t f", "/f has other contents"),
        ("rm f", "/f is missing"),
        ("touch extra", "/extra is not of the layer"),
        ("chmod 640 f", "/f has the mode 640, not 644"),
        ("rm l; ln -s g l", "/l leads elsewhere"),
        ("rm p; touch p", "/p is not a pipe"),
        ("rm etc/group", "/etc/group is missing"),
        ("echo more >>f", " has 7 bytes, not 2"),
        ("rm -r d; touch d", "/d is not a directory"),
    ):
        damage(command)
        bad = rootless("system", "check", code=125)
        assert said in bad.stdout and "mine:1" in bad.stdout
        mended = rootless("system", "check", "--repair").stdout
        assert "repaired: unpacked again" in mended
    damage("touch extra")
    assert rootless("system", "check", "--quick").stdout == done
    rootless("system", "check", "-r")
    assert rootless("system", "check").stdout == done
    rootless(
        "run", "--rm", "--network", "none", "mine:1", "sh", "-c", "cat /f; test ! -e /etc/group"
    )


def test_check_of_owners(rootless: Command, busybox_image: str, everyone: str) -> None:
    if everyone == "single":
        return
    fs = rootless("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", busybox_image)
    rootless("unshare", "chown", "7:8", fs.stdout.strip() + "/etc/passwd")
    bad = rootless("system", "check", code=125).stdout
    assert "/etc/passwd belongs to 7:8, not 0:0" in bad


@pytest.mark.slow
def test_damaged_blobs_are_fetched_again(
    rootless: Command, registry: Registry, tmp_path: Path, place: Place
) -> None:
    layout = Layout(tmp_path / "layout")
    made(layout, "t", {"a": os.urandom(100_000)}, {"b": b"2"})
    name = registry.push(f"oci:{layout.path}:t", "team/app:t")
    rootless("pull", "-q", name)
    found = rootless("image", "inspect", name).json()[0]
    store = place.data / "content/blobs/sha256"
    for kind, digest in (
        ("layer", found["Layers"][0]["Digest"]),
        ("config", found["Id"]),
        ("manifest", found["Digest"]),
    ):
        path = store / digest[7:]
        data = path.read_bytes()
        for spoiled in (data[:-1] + b"?", data[:-1], None):
            path.unlink()
            if spoiled is not None:
                path.write_bytes(spoiled)
            bad = rootless("system", "check", "--format", "json", code=125).json()["Damaged"]
            assert [one["Id"] for one in bad] == [digest], kind
            mended = rootless("system", "check", "--repair").stdout
            assert f"repaired: fetched again from {registry.host}/team/app" in mended
            assert path.read_bytes() == data
    assert not os.listdir(place.data / "content/ingest")
    rootless("system", "check")


def test_damage_that_cannot_be_mended(rootless: Command, busybox_image: str, place: Place) -> None:
    found = rootless("image", "inspect", busybox_image).json()[0]
    path = place.data / "content/blobs/sha256" / found["Layers"][0]["Digest"][7:]
    data = path.read_bytes()
    path.write_bytes(b"#" + data[1:])
    bad = rootless("system", "check", "--repair", code=125)
    assert (
        "no registry is known" in bad.stdout and "rootless rmi localhost/busybox:test" in bad.stdout
    )
    assert path.exists()
    # the layer that was unpacked before serves on
    rootless("run", "--rm", "--network", "none", busybox_image, "true")
    path.write_bytes(data)
    rootless("system", "check")


def test_damaged_records_are_rebuilt(rootless: Command, busybox_image: str, place: Place) -> None:
    before = rootless("image", "inspect", busybox_image).json()[0]
    record = place.data / "images/records" / (before["Id"][7:] + ".json")
    record.write_text('{"id":')
    bad = rootless("system", "check", code=125)
    assert "record" in bad.stdout and "busybox:test" in bad.stdout
    # what it needs is not known, so nothing that it could need goes
    assert "no layers and blobs are freed" in rootless("system", "prune", "-f").stderr
    assert "rebuilt" in rootless("system", "check", "--repair").stdout
    assert rootless("image", "inspect", busybox_image).json()[0] == before
    assert "busybox" in rootless("images").stdout


def test_a_layer_under_a_container_is_unpacked_again(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    rootless("create", "--name", "c", "--network", "none", busybox_image, "true")
    fs = rootless("image", "inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", busybox_image)
    rootless("unshare", "rm", "-r", os.path.dirname(fs.stdout.strip()))
    assert "missing under the container c" in rootless("system", "check", code=125).stdout
    rootless("system", "check", "-r")
    rootless("start", "-a", "c")


def test_reset(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("run", "-d", "--name", "running", "-v", "vol:/data", "--network", "none",
             "--stop-signal", "KILL", busybox_image, "sleep", "1000")  # fmt: skip
    (place.data / "mine").write_text("not rootless's")
    asked = rootless("system", "reset", input="\n")
    for word in ("all containers: 1 (1 of them running)", "all images: 1",
                 "all volumes and what they hold: 1", str(place.data)):  # fmt: skip
        assert word in asked.stderr
    assert rootless("ps", "-q").stdout
    done = rootless("system", "reset", "--force").stdout
    assert f"Removed {place.data}/layers" in done and f"Kept {place.data}/mine" in done
    assert os.listdir(place.data) == ["mine"]
    assert rootless("images", "-q").stdout == rootless("ps", "-aq").stdout == ""
    rootless("import", "-", "new:1", input=tar_of({"a": b"1"}))


def test_questions_on_a_terminal(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("image", "prune", "-a")
    terminal.expect("WARNING! This will remove all images without at least one container")
    terminal.expect("[y/N]")
    terminal.type("y\n")
    terminal.expect("Total reclaimed space: ")
    assert terminal.wait() == 0
    assert rootless("images", "-q").stdout == ""


def test_library(rootless: Command, busybox_image: str, place: Place, tmp_path: Path) -> None:
    """The names of docker's Python client."""
    script = tmp_path / "script.py"
    script.write_text(
        "import rootless, io\n"
        "engine = rootless.Engine()\n"
        "c = engine.containers.run('busybox:test', ['touch', '/x'], detach=True, network='none')\n"
        "c.wait()\n"
        "image = c.commit('mine:1', message='from a program', changes=['CMD sh'])\n"
        "assert engine.images.history('mine:1')[0]['Comment'] == 'from a program'\n"
        "assert image.tags == ['mine:1'] and image.history()[1]['Comment'].startswith('imported')\n"
        "out = io.BytesIO()\n"
        "engine.images.get('mine:1').save(out)\n"
        "c.export('c.tar')\n"
        "c.remove()\n"
        "assert engine.df()['LayersSize'] > 0\n"
        "assert engine.images.prune(all=True)['SpaceReclaimed'] > 0\n"
        "out.seek(0)\n"
        "assert [one.id for one in engine.images.load(out)] == [image.id]\n"
    )
    words = rootless.words[:-1] if rootless.words[-1].endswith("entry.py") else None
    assert words is not None
    text = Path(rootless.words[-1]).read_text().partition("from rootless")[0]
    script.write_text(text + script.read_text())
    done = subprocess.run([*words, script], env=place.env, cwd=place.work, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    shutil.rmtree(place.work)
    place.work.mkdir()
