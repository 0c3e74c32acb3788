"""What docker's Python client is written for: the examples of its docstrings, and its calls."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration.hub import Hub

pytestmark = pytest.mark.usefixtures("everyone")


def python(place: Place, code: str, given: str = "") -> str:
    """Run a program with the library of this tree; its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**place.env, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=place.work, capture_output=True, timeout=200, check=False,
        input=given.encode(),
    )  # fmt: skip
    assert done.returncode == 0, f"{code}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout.decode()


# ------------------------------------------------- the examples of its docstrings


def blocks() -> list[tuple[str, str]]:
    """(where, code) of the examples, as pip has installed docker's client."""
    spec = importlib.util.find_spec("docker")
    assert spec is not None and spec.origin is not None
    found = []
    for name in ("client", "models/containers", "models/images", "models/volumes"):
        tree = ast.parse((Path(spec.origin).parent / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                code = _code(ast.get_docstring(node) or "")
                if code:
                    found.append((f"{name}.{node.name}", code))
    return found


def _code(text: str) -> str:
    lines: list[str] = []
    for line in text.partition("Example")[2].splitlines():
        bare = line.strip()
        if bare.startswith(">>>") or bare.startswith("..."):
            lines.append(bare[4:])
        elif lines and _is_open("\n".join(lines)):
            lines.append(bare)
        elif lines and bare.startswith("Args:"):
            break
    return "\n".join(lines) + "\n" if lines else ""


def _is_open(code: str) -> bool:
    return code.count("(") > code.count(")")


# runs each block with the names that they take for granted
PROGRAM_OF_EXAMPLES = """
import json, sys
import rootless as docker

client = docker.from_env()
for number, (where, code, refused) in enumerate(json.load(sys.stdin)):
    container = client.containers.run("busybox", "sleep 1000", detach=True, name=f"c{number}")
    print("---", where)
    try:
        names = {"client": client, "cli": client, "container": container}
        exec(compile(code, where, "exec"), names)
        assert not refused, "not refused"
    except docker.errors.RootlessError as error:
        assert type(error).__name__ == refused, repr(error)
    container.remove(force=True)
"""
# there is no daemon to connect to; and docker's own driver of volumes has no option `foo` either
REFUSED = {
    "client.DockerClient": "NotOffered",
    "client.from_context": "NotOffered",
    "models/volumes.create": "UsageError",
}


@pytest.mark.slow
def test_the_examples_of_dockers_client(rootless: Command, hub: Hub, place: Place) -> None:
    """Those of its docstrings for the client, containers, images and volumes."""
    found = blocks()
    assert {"client.from_env", "models/containers.run", "models/containers.get_archive",
            "models/images.save", "models/images.pull", "models/volumes.create"} <= {
        where for where, _ in found}  # fmt: skip
    hub.use_as_docker_io(place.home)
    rootless("pull", "-q", "busybox")
    for name in ("alpine", "bfirsh/reticulate-splines"):
        rootless("tag", "busybox", name)
    given = []
    for where, code in found:
        code = code.replace("import docker", "import rootless as docker")
        code = code.replace("/tmp/busybox-latest.tar", str(place.work / "busybox.tar"))
        given.append([where, code, REFUSED.get(where, "")])
    told = python(place, PROGRAM_OF_EXAMPLES, given=json.dumps(given))
    assert told.count("---") == len(found)
    assert "'name': 'sh'" in told
    assert (place.work / "sh_bin.tar").stat().st_size > 1000
    rootless("load", "-q", "-i", place.work / "busybox.tar")


# ------------------------------------------------- its calls

PROGRAM = r"""
import io, tarfile, time
import rootless as docker

client = docker.from_env()
assert client.ping() and "Engine" in repr(client)
said = client.containers.run("busybox:test", ["echo", "hello"])
assert said == b"hello\n" and said.decode() == "hello\n" and b"ell" in said
code, output = said
assert (code, output) == (0, b"hello\n")
box = client.containers.run("busybox:test", ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"],
                            detach=True, name="box", labels={"a": "b"})

# output, in all forms
deadline = time.monotonic() + 60
while b"err" not in box.logs() and time.monotonic() < deadline:
    time.sleep(0.05)
assert box.logs(stdout=True, stderr=False, stream=False) == b"out\n"
assert b"".join(box.logs(stream=True, follow=False)) in (b"out\nerr\n", b"err\nout\n")
assert dict(box.logs()) == {"stdout": b"out\n", "stderr": b"err\n"}
assert box.logs(tail="all").decode().split()

# commands
both = ["sh", "-c", "echo one; echo two >&2; exit 3"]
code, output = box.exec_run(both)
assert code == 3 and sorted(output.split()) == [b"one", b"two"], output
assert box.exec_run(both, demux=True) == (3, (b"one\n", b"two\n"))
assert box.exec_run(["true"], demux=True) == (0, (None, None))
code, stream = box.exec_run(both, stream=True)
assert code is None and sorted(b"".join(stream).split()) == [b"one", b"two"]
code, stream = box.exec_run(both, stream=True, demux=True)
assert sorted(stream, key=str) == [(None, b"two\n"), (b"one\n", None)]
code, talk = box.exec_run(["cat"], stdin=True, socket=True)
talk.sendall(b"through\n")
assert talk.recv(100) == b"through\n"
talk.close()
assert b"A=1\n" in box.exec_run("env", environment={"A": "1"}, user="root").output
assert box.exec_run("pwd", workdir="/tmp").output == b"/tmp\n"
assert box.exec_run("touch /detached", detach=True).__class__ is tuple
try:
    box.exec(both, check=True)
    raise SystemExit("not checked")
except docker.errors.CommandFailed as error:
    assert (error.exit_status, error.output, error.stderr) == (3, b"one\n", b"two\n")
    assert "two" in error.hint
begun = time.monotonic()
try:
    box.exec(["sh", "-c", "echo begun; exec sleep 777"], timeout=1)
    raise SystemExit("no timeout")
except docker.errors.TimedOut as error:
    assert error.output == b"begun\n" and isinstance(error, TimeoutError)
assert "777" not in str(box.top()["Processes"])
code, stream = box.exec_run(["sh", "-c", "echo begun; exec sleep 778"], stream=True)
assert next(stream) == b"begun\n"
stream.close()
while "778" in str(box.top()["Processes"]) and time.monotonic() < begun + 60:
    time.sleep(0.05)
assert "778" not in str(box.top()["Processes"])

# files
made = io.BytesIO()
with tarfile.open(fileobj=made, mode="w") as archive:
    member = tarfile.TarInfo("file")
    member.size = 5
    archive.addfile(member, io.BytesIO(b"hello"))
assert box.put_archive("/tmp", made.getvalue())
made.seek(0)
assert box.put_archive("/var", made)
assert box.exec("cat /tmp/file /var/file").output == b"hellohello"
bits, stat = box.get_archive("/tmp/file")
with tarfile.open(fileobj=io.BytesIO(b"".join(bits))) as archive:
    assert archive.extractfile("file").read() == b"hello"
assert (stat["name"], stat["size"]) == ("file", 5)
try:
    box.get_archive("/nowhere")
    raise SystemExit("found")
except docker.errors.NotFound:
    pass

# state
assert box.stats(stream=False)["Name"] == "box"
assert next(box.stats(0.1))["PIDs"] >= 1
try:
    box.wait(timeout=0.2)
    raise SystemExit("it ended")
except docker.errors.TimedOut as error:
    assert "box" in str(error)
image = box.commit("made", "1")
assert image.tags == ["made:1"] and "made:1" in repr(image), image.tags
again = box.commit(repository="made", tag="2").tags
assert "made:2" in again, again
assert b"".join(image.save())[257:262] == b"ustar"
assert client.images.load(b"".join(image.save()))

# volumes
volume = client.volumes.create(name="v", labels={"key": "value"})
assert (volume.name, volume.id, volume["Name"]) == ("v", "v", "v") and "v" in repr(volume)
assert [one.name for one in client.volumes.list()] == ["v"]
client.volumes.get("v").remove()
client.volumes.create("unused")
done = client.volumes.prune(all=True)
assert done == {"VolumesDeleted": ["unused"], "SpaceReclaimed": done["SpaceReclaimed"]}

# events, and what is not offered
assert [one for one in client.events(since=0, until=time.time(), stream=False)]
for name in ("swarm", "services", "plugins", "api", "nodes", "configs"):
    try:
        getattr(client, name)
        raise SystemExit(name)
    except docker.errors.NotOffered as error:
        assert name in str(error)
assert not hasattr(client, "nothing_such")
box.stop(timeout=0)
done = client.containers.prune(filters={"label": "a=b"})
assert done["ContainersDeleted"] == [box.id] and done["SpaceReclaimed"] > 0
client.close()
print("done")
"""


def test_calls_of_dockers_client(rootless: Command, place: Place, busybox_image: str) -> None:
    assert python(place, PROGRAM) == "done\n"


APART = """
import io, rootless, tarfile
engine = rootless.Engine()
for words in ({"path": "context"}, {}):
    copy = b"COPY . /\\n" if words else b""
    text = io.BytesIO(b"FROM scratch\\nLABEL a=b\\n" + copy)
    image, _ = engine.images.build(fileobj=text, tag="apart", **words)
    with open("apart.tar", "wb") as file:
        for piece in image.save():
            file.write(piece)
    names = []
    with tarfile.open("apart.tar") as archive:
        for member in archive:
            if tarfile.is_tarfile(found := archive.extractfile(member)):
                found.seek(0)
                names += tarfile.open(fileobj=found).getnames()
    print(sorted(names))
"""


def test_a_dockerfile_given_to_build_apart(place: Place) -> None:
    """What the context's .dockerignore excludes does not get into the image."""
    context = place.work / "context"
    context.mkdir()
    for name in (".dockerignore", "key", "seen"):
        (context / name).write_text("key\n.*\n")
    assert python(place, APART) == "['seen']\n[]\n"
