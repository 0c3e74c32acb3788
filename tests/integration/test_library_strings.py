"""The library takes no string apart: where lists are meant, one string is one word.

In a process of its own, as a person's program: what is asked for is what happens, or a sentence.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from conftest import TREE, Command, Place

from rootless import documents

_PROGRAM = """
import json
import rootless
from rootless.errors import UsageError

engine = rootless.Engine()

def names(found):
    return sorted(one.name for one in found)

def refused(work):
    try:
        return work()
    except UsageError as error:
        return "refused: " + str(error)

told = {}
make = engine.containers.create
# the name has every letter of the filter, the label none of its own
keep = make("busybox:test", ["true"], name="production-set", labels={"team": "red"})
test = make("busybox:test", "sh -c 'exit 3'", name="test-1", labels={"a": "b"})
told["by name"] = names(engine.containers.list(all=True, filters={"name": "test"}))
told["by names"] = names(engine.containers.list(all=True, filters={"name": ["test", "prod"]}))
told["by label"] = names(engine.containers.list(all=True, filters={"label": "a=b"}))
told["by status"] = names(engine.containers.list(filters={"status": "created"}))
told["by nothing"] = refused(lambda: engine.containers.list(filters="name=test"))
told["by odd"] = refused(lambda: engine.containers.list(filters={"name": {"x": 1}}))
made = engine.events(filters={"event": "create", "type": "container"}, stream=False)
told["events"] = [one.name for one in made]
test.start()
told["code"] = test.wait()["StatusCode"]
with engine.containers.run("busybox:test", "sleep 60", detach=True, name="one") as one:
    told["exec"] = one.exec("echo 'two words' hi").output.decode()
    told["exec a list"] = one.exec(["echo", "two words"]).output.decode()
    told["no shell"] = one.exec("echo $HOME;").output.decode()
    told["exec an open quote"] = refused(lambda: one.exec("echo 'hi"))
    told["exec env"] = one.exec("env", env="A=1").output.decode().split()
    told["top"] = one.top("pid,comm")["Titles"]
told["entry point"] = engine.containers.run(
    "busybox:test", "there", entrypoint="echo hello"
).output.decode()
told["run env"] = engine.containers.run("busybox:test", "env", env="A=1").output.decode().split()
engine.images.tag("busybox:test", "abc:1")
engine.images.tag("busybox:test", "abc:2")
told["untag"] = engine.images.untag("busybox:test", "abc:1")
told["images"] = [one.tags for one in map(engine.images.hand, engine.images.list(
    filters={"reference": "abc"}))]
engine.volumes.create("wanted", labels=["keep=yes"])
told["volumes"] = [one["Name"] for one in engine.volumes.list(filters={"label": "keep=yes"})]
told["dangling"] = [one["Name"] for one in engine.volumes.list(filters={"dangling": True})]
told["image"] = test.commit("made:1", changes="LABEL made=here").labels
told["gone"] = engine.containers.prune(
    filters={"label": "a=b"})["ContainersDeleted"] == [test.id]
told["left"] = names(engine.containers.list(all=True))
keep.remove()
print(json.dumps(told))
"""


def test_strings_are_words_and_not_letters(
    rootless: Command, place: Place, busybox_image: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM],
        env={**place.env, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=place.work, capture_output=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = documents.loads(done.stdout.decode())
    assert told["by name"] == ["test-1"]
    assert told["by names"] == ["production-set", "test-1"]
    assert told["by label"] == ["test-1"]
    assert told["by status"] == ["production-set", "test-1"]
    assert told["by nothing"].startswith("refused: filters are a table")
    assert told["by odd"].startswith('refused: the filter "name"')
    assert told["events"] == ["production-set", "test-1"]
    assert told["code"] == 3
    assert told["exec"] == "two words hi\n"
    assert told["exec a list"] == "two words\n"
    assert told["no shell"] == "$HOME;\n"
    assert told["exec an open quote"].startswith("refused: the command")
    assert "A=1" in told["exec env"]
    assert told["top"] == ["PID", "COMMAND"]
    assert told["entry point"] == "hello there\n"
    assert "A=1" in told["run env"]
    assert told["untag"] == ["abc:1"]
    assert told["images"] == [["abc:2", "localhost/busybox:test"]]
    assert told["volumes"] == told["dangling"] == ["wanted"]
    assert told["image"] == {"a": "b", "made": "here"}
    assert told["gone"]
    assert told["left"] == ["production-set"]
