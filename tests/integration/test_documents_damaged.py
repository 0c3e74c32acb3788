"""Documents of the store that are cut short, or JSON of another shape.

Each is one sentence, hurts its own container, image or volume and nothing else, and that one can be
removed, or mended by `system check --repair`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import mutating
import pytest
from conftest import Command, Place

from rootless.engine.containers import record

_CONTAINER = """
ps -a; ps -a --format json; ps -as; inspect c; port c; logs c; top c; diff c; exec c true
cp c:/etc/passwd -; stats --no-stream c; wait --condition running c; kill -s CONT c; rename c c
update -m 1g c; start c; healthcheck run c; explain c; generate systemd c; image prune -f
volume prune -f; rm o9; rm c; system df; system check -q; volume rm v; inspect -s c
ps -a --filter health=healthy; export c -o /dev/null; pause c; unpause c; start -a gone
create --replace --name d busybox:test true; run --rm --userns auto busybox:test true
volume inspect v; info; stats --no-stream; container exists c; attach --no-stdin gone
"""
_VOLUME = """
volume ls; volume ls --format json; volume inspect v; volume export v -o /dev/null; volume mount v
system df; system check -q; create --replace --name d -v v:/v busybox:test true; volume prune -f
chown 0 /nowhere; volume exists v; volume create v; ps -a; volume ls --filter opt=x
volume ls --filter since=v
"""
_IMAGE = """
images; images --format json; image inspect busybox:test; history busybox:test
create --replace --name d busybox:test true; tag busybox:test other; untag busybox:test gone
save busybox:test -o out.tar; image tree busybox:test; system df; system check -q; info
image prune -f; rmi nothing; images --filter dangling=true; ps -a; system prune -f
inspect busybox:test; images --digests; image diff busybox:test second:test
"""
_LIST = """
manifest inspect all; manifest add all second:test; manifest annotate all --arch arm64 second:test
manifest remove all busybox:test; manifest exists all; manifest push all dir:/nowhere/at/all
image prune -f; images; system check -q; manifest create all
"""
_EVENTS = "events --since 1h --until 1s; events --since 1h --until 1s --format json"


def _commands(text: str) -> list[str]:
    return [one.strip() for line in text.split("\n") for one in line.split(";") if one.strip()]


LOOKS = {
    "container": _commands(_CONTAINER),
    "volume": _commands(_VOLUME),
    "image": _commands(_IMAGE),
    "list": _commands(_LIST),
    "events": _commands(_EVENTS),
}


class Store:
    """A store with one of each, and the process that runs commands on it."""

    def __init__(self, rootless: Command, place: Place) -> None:
        health = ["--health-cmd", "true", "--health-interval", "1h"]
        rootless("import", place.base / "second.tar", "second:test")
        rootless("create", "--name", "o", "--network", "none", "busybox:test", "true")
        rootless("run", "-d", "--name", "c", "--network", "none", "--userns", "auto", "-v", "v:/v",
                 "--label", "a=b", *health, "busybox:test", "sleep", "1000")  # fmt: skip
        rootless("manifest", "create", "all")
        rootless("manifest", "add", "all", "busybox:test")
        rootless("healthcheck", "run", "c")
        rootless("images")
        self.place = place
        identifier = rootless("inspect", "-f", "{{.Id}}", "c").stdout.strip()
        image = rootless("image", "inspect", "-f", "{{.Id}}", "busybox:test").stdout.strip()
        directory = place.data / "containers" / identifier
        self.documents = {
            "container.json": ("container", directory / "container.json"),
            "config.json": ("container", directory / "config.json"),
            "state": ("container", directory / "state"),
            "health": ("container", directory / "health"),
            "auto": ("container", directory / "auto"),
            "volume.json": ("volume", place.data / "volumes/v/volume.json"),
            "record": ("image", place.data / f"images/records/{image[7:]}.json"),
            "index.json": ("image", place.data / "images/index.json"),
            "list": ("list", next((place.data / "images/lists").iterdir())),
            "events": ("events", next(one for one in (place.data / "events").iterdir())),
            "choice": ("container", next((place.home / ".cache/rootless").glob("overlay*.json"))),
        }
        if (directory / "cgroup").exists():
            self.documents["cgroup"] = ("container", directory / "cgroup")
        self.whole = {name: path.read_bytes() for name, (_, path) in self.documents.items()}
        self.driver = mutating.Driver(rootless.words, place.env, place.work)

    def refuses(self, name: str, data: bytes, words: str) -> str:
        """What is wrong with how a command takes a damaged document; nothing, if all is well."""
        _, path = self.documents[name]
        code, said = self.driver(path, data, words.split(), self.whole[name])
        lines = said.splitlines()
        bad = [one for one in lines if "internal error" in one or "Traceback" in one]
        if bad or code < 0 or (code == 125 and not lines):
            return f"{words}: status {code}: {said[-600:]}"
        return ""


@pytest.fixture
def store(
    rootless: Command, busybox_image: str, busybox_tar: Path, place: Place
) -> Iterator[Store]:
    (place.base / "second.tar").write_bytes(busybox_tar.read_bytes() + bytes(10240))
    made = Store(rootless, place)
    yield made
    made.driver.close()


def _tell(found: list[tuple[str, bytes, str]]) -> None:
    shown = "\n".join(f"{name}: {data[-300:]!r}\n  {why}" for name, data, why in found[:25])
    assert not found, f"{len(found)} cases:\n{shown}"


FORMS = (b"", b"{", b"[]", b"null", b"{}", b'"x"', b"\xff")


@pytest.mark.usefixtures("everyone")
def test_a_damaged_container_hurts_nobody_else(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    base = ["--network", "none", busybox_image, "sleep", "1000"]
    for name in ("good", "bad"):
        rootless("run", "-d", "--name", name, *base)
    path = place.data / "containers" / _id(rootless, "bad") / "container.json"
    for form in FORMS:
        path.write_bytes(form)
        listed = rootless("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout.splitlines()
        assert sorted(line.split()[0] for line in listed) == ["bad", "good"]
        assert "bad Damaged: container.json" in listed
        for verb in (["inspect"], ["start"], ["exec", "bad", "true"], ["logs"], ["stop"], ["wait"],
                     ["rename", "bad", "n"], ["top"], ["cp", "bad:/etc/passwd", "-"]):  # fmt: skip
            words = verb if len(verb) > 1 else [*verb, "bad"]
            said = rootless(*words, code=125).stderr
            assert said.startswith(f"error: the document {path} is damaged: "), said
            assert "rootless rm -f " in said
        # its name and its process are still its own
        assert "is already in use" in rootless("create", "--name", "bad", *base, code=125).stderr
        assert "the container bad is running" in rootless("rm", "bad", code=2).stderr
        other = rootless("create", *base).stdout.strip()
        rootless("rm", "-f", other)
    rootless("exec", "good", "true")
    rootless("rm", "-f", "bad")
    assert rootless("ps", "-aq", "--no-trunc").stdout.split() == [_id(rootless, "good")]
    rootless("create", "--name", "bad", *base)
    # one that does not run goes with a prune, and what runs stays
    path = place.data / "containers" / _id(rootless, "bad") / "container.json"
    identifier = _id(rootless, "bad")
    path.write_bytes(b"{")
    pruned = rootless("container", "prune", "-f").stdout.splitlines()
    assert pruned[0] == identifier and pruned[1].startswith("Total reclaimed space: ")
    assert len(pruned) == 2
    assert rootless("ps", "-aq").stdout.split() == [_id(rootless, "good")[:12]]


@pytest.mark.usefixtures("everyone")
def test_a_container_of_a_newer_version_hurts_nobody_else(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    base = ["--network", "none", busybox_image, "sleep", "1000"]
    for name in ("good", "new"):
        rootless("run", "-d", "--name", name, *base)
    path = place.data / "containers" / _id(rootless, "new") / "container.json"
    text = json.dumps({**json.loads(path.read_text()), "version": 2, "ports": "another form"})
    path.write_text(text)
    listed = rootless("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout.splitlines()
    assert "new Newer: container.json" in listed and len(listed) == 2
    for verb in (["inspect", "new"], ["exec", "new", "true"], ["stop", "new"], ["start", "new"]):
        said = rootless(*verb, code=125).stderr
        assert said.startswith(f"error: the document {path} was written by a newer rootless: ")
        assert "update rootless" in said
    checked = rootless("system", "check", "--repair", code=125).stdout
    assert "update rootless" in checked and "rootless rm -f new" in checked
    assert path.read_text() == text
    rootless("exec", "good", "true")
    rootless("rm", "-f", "new")
    assert rootless("ps", "-a", "--format", "{{.Names}}").stdout == "good\n"
    # one without a version is of the version before there were any
    path = place.data / "containers" / _id(rootless, "good") / "container.json"
    older = json.loads(path.read_text())
    assert older.pop("version") == 1
    path.write_text(json.dumps(older))
    rootless("exec", "good", "true")
    rootless("rename", "good", "better")
    assert json.loads(path.read_text())["version"] == 1


@pytest.mark.usefixtures("everyone")
def test_a_state_and_an_image_of_a_newer_version_hurt_nobody_else(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    base = ["--network", "none", busybox_image, "sleep", "1000"]
    rootless("run", "-d", "--name", "good", *base)
    rootless("run", "-d", "--name", "new", *base)
    state = place.data / "containers" / _id(rootless, "new") / "state"
    assert json.loads(state.read_text())["version"] == 1
    mutating.replace(state, b'{"version":2,"life":"in another form"}')
    listed = rootless("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout.splitlines()
    assert "new Newer: state" in listed and len(listed) == 2
    for verb in ("start", "stop", "inspect"):
        said = rootless(verb, "new", code=125).stderr
        assert said.startswith(f"error: the document {state} was written by a newer rootless: ")
    assert "update rootless" in rootless("system", "check", "--repair", code=125).stdout
    assert state.exists()
    monitors = set(_monitors(place))
    rootless("rm", "-f", "new")
    assert len(monitors) == 2 and len(set(_monitors(place))) == 1 and not state.parent.exists()
    (place.base / "second.tar").write_bytes(b"\0" * 10240)
    rootless("import", place.base / "second.tar", "second")
    image = rootless("image", "inspect", "-f", "{{.Id}}", "second").stdout.strip()[7:]
    path = place.data / "images/records" / f"{image}.json"
    text = json.dumps({**json.loads(path.read_text()), "version": 2, "layers": 7})
    mutating.replace(path, text.encode())
    listed = rootless("images", "--format", "{{.Repository}}").stdout.splitlines()
    assert sorted(listed) == ["localhost/busybox", "localhost/second"]
    said = rootless("create", "second", "true", code=125).stderr
    assert said.startswith(f"error: the document {path} was written by a newer rootless: ")
    assert "update rootless" in rootless("system", "check", "--repair", code=125).stdout
    assert path.read_text() == text
    rootless("exec", "good", "true")
    assert f"Deleted: sha256:{image}" in rootless("rmi", "second").stdout
    assert rootless("system", "check").stdout.endswith("all is well\n")


def _id(rootless: Command, name: str) -> str:
    return rootless("inspect", "-f", "{{.Id}}", name).stdout.strip()


@pytest.mark.usefixtures("everyone")
def test_a_damaged_state_is_told_and_forgotten(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    directory = place.data / "containers" / _id(rootless, "c")
    state = directory / "state"
    whole = state.read_bytes()
    for form in (*FORMS, whole[:300], whole.replace(b'"exitCode":0', b'"exitCode":7')):
        mutating.replace(state, form)
        assert rootless("ps", "-a", "--format", "{{.Status}}").stdout == "Damaged: state\n"
        for verb in ("start", "stop", "kill", "inspect", "exec", "wait", "restart"):
            words = [verb, "c", "true"] if verb == "exec" else [verb, "c"]
            said = rootless(*words, code=125).stderr
            assert said.startswith(f"error: the document {state} is damaged: "), said
    # it runs: nothing is mended, nothing is started a second time, and -f ends it
    checked = rootless("system", "check", "--repair", code=125).stdout
    assert "it runs: stop it, and check again; or rootless rm -f c" in checked
    monitor = next(_monitors(place))
    rootless("rm", "-f", "c")
    assert not Path(f"/proc/{monitor}").exists() and not directory.exists()
    rootless("run", "--name", "d", "--network", "none", busybox_image, "true")
    mutating.replace(place.data / "containers" / _id(rootless, "d") / "state", b"{}")
    assert "repaired: forgotten" in rootless("system", "check", "--repair").stdout
    rootless("start", "-a", "d")


def _monitors(place: Place) -> Iterator[int]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if str(place.data / "containers").encode() in words and b"orders" in words:
            yield int(name)


@pytest.mark.parametrize("extra", [[], ["--userns", "keep-id", "-u", "0"]])
@pytest.mark.usefixtures("everyone")
def test_a_record_of_a_container_is_rebuilt(
    rootless: Command, busybox_image: str, place: Place, everyone: str, extra: list[str]
) -> None:
    """What a start needs is in its other files; what is not there is told.

    The files are the kernel's overlay's, and a server's where ids are other ones.
    """
    made = rootless("create", "--name", "c", "--network", "none", "-v", "v:/v", *extra, "--restart",
                    "on-failure:2", "--stop-timeout", "3", "-e", "A=b", busybox_image, "sh", "-c",
                    "echo $A; cat /v/x 2>/dev/null; echo y >/v/x").stdout.strip()  # fmt: skip
    path = place.data / "containers" / made / "container.json"
    before = json.loads(path.read_text())
    path.write_bytes(path.read_bytes()[:100])
    assert (
        'the volume "v" is used by the container c' in rootless("volume", "rm", "v", code=2).stderr
    )
    # nobody takes away what it stands on
    (place.base / "second.tar").write_bytes(b"\0" * 10240)
    rootless("import", place.base / "second.tar", "second")
    rootless("rmi", "second")
    left = {one.parent.name for one in (place.data / "layers").glob("*/*/fs")}
    assert left >= {one[7:39] for one in before["layers"]}
    assert rootless("system", "check", code=125).stdout.count("container.json") == 1
    told = rootless("system", "check", "--repair").stdout
    assert "repaired: rebuilt from its configuration and its plan, without its own labels" in told
    after = json.loads(path.read_text())
    lost = {"created", "labels", "createCommand", "entrypoint", "user", "stopSignal", "anonymous",
            "seccomp", "mounts", "maps", "hostname", "asked", "networks", "requires",
            "secrets"}  # fmt: skip
    same = {key: value for key, value in before.items() if key not in lost}
    assert {key: after.get(key) for key in same} == same
    assert [one["Name"] for one in after["mounts"]] == ["v"]
    assert after["maps"]["uids"] == before["maps"]["uids"]
    assert rootless("start", "-a", "c").stdout == "b\n"
    assert rootless("start", "-a", "c").stdout == "b\ny\n"
    assert rootless("system", "check").stdout.endswith("all is well\n")


@pytest.mark.usefixtures("everyone")
def test_damaged_volumes_and_images(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("create", "--name", "c", "--network", "none", busybox_image, "true")
    for name in ("one", "two", "three"):
        rootless("volume", "create", name)
    for number, name in enumerate(("one", "two")):
        path = place.data / "volumes" / name / "volume.json"
        path.write_bytes(FORMS[number])
        (path.parent / "_data/file").write_text("kept")
        said = rootless("volume", "inspect", name, code=125).stderr
        assert said.startswith(f"error: the document {path} is damaged: ")
        said = rootless("run", "--rm", "-v", f"{name}:/v", busybox_image, "true", code=125).stderr
        assert said.startswith(f"error: the document {path} is damaged: ")
    rows = rootless("volume", "ls").stdout.splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["<damaged>", "one"], ["local", "three"], ["<damaged>", "two"],
    ]  # fmt: skip
    assert rootless("volume", "rm", "one").stdout == "one\n"
    assert "repaired: written anew" in rootless("system", "check", "--repair").stdout
    assert rootless("run", "--rm", "-v", "two:/v", busybox_image, "cat", "/v/file").stdout == "kept"
    # an image: others are listed, its container can be removed, and the record is made again
    (place.base / "second.tar").write_bytes(b"\0" * 10240)
    rootless("import", place.base / "second.tar", "second")
    image = rootless("image", "inspect", "-f", "{{.Id}}", busybox_image).stdout.strip()[7:]
    path = place.data / "images/records" / f"{image}.json"
    for form in FORMS:
        mutating.replace(path, form)
        listed = rootless("images", "--format", "{{.Repository}} {{.ID}}").stdout.splitlines()
        assert sorted(listed)[0].split()[0] in ("<damaged>", "localhost/busybox")
        assert any(line.startswith("localhost/second ") for line in listed)
        said = rootless("create", busybox_image, "true", code=125).stderr
        assert said.startswith(f"error: the document {path} is damaged: ")
        noted = rootless("image", "prune", "-f").stderr
        assert "no layers and blobs are freed: the document" in noted
    assert "rebuilt" in rootless("system", "check", "--repair").stdout
    rootless("start", "-a", "c")
    mutating.replace(path, b"[]")
    assert "is used by the container c" in rootless("rmi", busybox_image, code=2).stderr
    rootless("rm", "c")
    assert f"Deleted: sha256:{image}" in rootless("rmi", busybox_image).stdout
    assert rootless("images", "--format", "{{.Repository}}").stdout == "localhost/second\n"


def test_keys_that_an_earlier_version_did_not_write(store: Store) -> None:
    """What inspect, explain and exec look at may all be missing."""
    whole = json.loads(store.whole["container.json"])
    late = [key[:-1] for key in record.SHAPE if key.endswith("?")]
    data = json.dumps({key: whole[key] for key in whole if key not in late}).encode()
    found = [
        ("container.json", data, store.refuses("container.json", data, words))
        for words in LOOKS["container"]
        if not words.startswith(("rm", "rename"))
    ]
    _tell([one for one in found if one[2]])


def test_a_sample_of_damaged_documents(store: Store) -> None:
    """A sentence and nothing else, for some of all damages; the whole is the next test's."""
    # the same ones each time, so that a run fails for a change; others before a release
    daily = os.environ.get("ROOTLESS_TEST_EXAMPLES", "daily") == "daily"
    seed = 1 if daily else random.Random().getrandbits(32)
    chance = random.Random(seed)
    found = []
    for name, (kind, _) in store.documents.items():
        text = store.whole[name]
        forms = list(mutating.changed(text) if name not in ("cgroup", "events") else _torn(text))
        for data in chance.sample(forms, min(len(forms), 12)):
            words = chance.choice(LOOKS[kind])
            why = store.refuses(name, data, words)
            if why:
                found.append((f"{name} (seed {seed})", data, why))
    _tell(found)


def _torn(text: bytes) -> Iterator[bytes]:
    """Forms of what is not one document of JSON: lines of it, or a path."""
    for at in range(len(text)):
        yield text[:at]
        yield text[:at] + mutating.BYTES[at % 12 :][:1] + text[at + 1 :]


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "name", ["container.json", "config.json", "state", "health", "auto", "volume.json", "record",
             "index.json", "list", "events", "choice"],
)  # fmt: skip
def test_every_damage_of_a_document(store: Store, name: str) -> None:
    """Every cut, every byte and every shape, with the commands in turn."""
    kind = store.documents[name][0]
    looks, text = LOOKS[kind], store.whole[name]
    found = []
    forms = _torn(text) if name == "events" else mutating.changed(text)
    for number, data in enumerate(forms):
        words = looks[number % len(looks)]
        why = store.refuses(name, data, words)
        if why:
            found.append((name, data, why))
    _tell(found)
