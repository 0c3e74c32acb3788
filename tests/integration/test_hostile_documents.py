"""What images, registries and files of settings say that makes no sense: a sentence, no more."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Command, Place, Result
from front import Front
from registry import Layout, Registry, registry

__all__ = ["registry"]


def _sentence(found: Result) -> str:
    """The one error of a command."""
    said = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, str(found)
    assert "internal error" not in found.stderr, str(found)
    assert "Traceback" not in found.stderr, str(found)
    return said[0]


CONFIGS: dict[str, Any] = {
    'its "Cmd[1]"': {"Cmd": ["/bin/true", "a\0b"]},
    'its "Env[0]"': {"Cmd": ["x"], "Env": ["A=\ud800"]},
    'its "Healthcheck.Interval"': {
        "Cmd": ["x"],
        "Healthcheck": {"Test": ["NONE"], "Interval": "x"},
    },
    'its "Healthcheck.Test"': {"Cmd": ["x"], "Healthcheck": {"Test": "x"}},
    'its "Healthcheck.Retries"': {"Cmd": ["x"], "Healthcheck": {"Retries": -1}},
    'its "Labels.a"': {"Cmd": ["x"], "Labels": {"a": 1}},
    'its "Labels.a\\x00b"': {"Cmd": ["x"], "Labels": {"a\0b": "1"}},
    'its "Volumes"': {"Cmd": ["x"], "Volumes": ["/v"]},
    'its "User"': {"Cmd": ["x"], "User": {"name": "x"}},
    'its "WorkingDir"': {"Cmd": ["x"], "WorkingDir": "/\0"},
    'its "StopSignal"': {"Cmd": ["x"], "StopSignal": 9},
    'its "ExposedPorts"': {"Cmd": ["x"], "ExposedPorts": "80"},
}


def test_a_configuration_of_an_image_that_makes_no_sense(rootless: Command, place: Place) -> None:
    made = Layout(place.base / "layout")
    for number, (wrong, config) in enumerate(CONFIGS.items()):
        made.image(f"t{number}", [{"file": b"x"}], config=config)
        found = rootless("pull", f"oci:{made.path}:t{number}", code=125)
        said = _sentence(found)
        assert said.startswith("error: the image's configuration is invalid: " + wrong), said
    assert rootless("images", "-aq").stdout == ""


def test_a_layer_with_very_deep_directories(rootless: Command, place: Place) -> None:
    """What nobody could walk through is refused; what is deep is handled by every verb."""
    made = Layout(place.base / "layout")
    for depth in (257, 2000, 3000):
        made.image(f"t{depth}", [{"d/" * depth + "f": b"x"}])
        found = rootless("pull", f"oci:{made.path}:t{depth}", code=125)
        assert "the archive has more than 256 directories within each other" in _sentence(found)
    assert not list((place.data / "layers").rglob("fs"))
    made.image("deep", [{"d/" * 250 + "f": b"x"}])
    rootless("pull", f"oci:{made.path}:deep")
    name = rootless("images", "-q").stdout.strip()
    base = ["create", "--network", "none", "-v", "v:/d", "--name"]
    for words in (["system", "check"], ["save", name, "-o", "a.tar"],
                  [*base, "c", name, "/bin/true"], ["image", "diff", name, name],
                  ["--storage-driver", "copy", *base, "k", name, "/bin/true"],
                  ["export", "c", "-o", "b.tar"], ["cp", "c:/d", "-"], ["cp", "c:/d", "here"],
                  ["diff", "k"], ["commit", "-q", "--squash", "c", "again"],
                  ["cp", "here", "c:/x"], ["volume", "import", "v", "b.tar"],
                  ["volume", "export", "v", "-o", "c.tar"], ["ps", "-as"], ["rm", "-f", "c", "k"],
                  ["rmi", "-af"], ["system", "prune", "-af", "--volumes"]):  # fmt: skip
        rootless(*words)
    assert not list((place.data / "layers").rglob("fs"))


ADDRESSES = (
    "http://[::1", "http://[::1]:x/", "http://h:99999/", "//[", "http://" + "a" * 70 + ".example/",
    "http://h/\x01", "http://h/ö", "http:///", "ftp://h/x", "x:y:z", "http://[v1.x]/", "http://h:-1/",
)  # fmt: skip


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    with Front(registry) as running:
        yield running


@pytest.mark.parametrize("header", ["Location", "WWW-Authenticate", "Link"])
def test_a_registry_that_leads_nowhere(rootless: Command, front: Front, header: str) -> None:
    hasty = {"ROOTLESS_RETRY_SECONDS": "0.01", "ROOTLESS_STALL_SECONDS": "1"}
    for address in ADDRESSES:
        status, value = {
            "Location": (307, address),
            "WWW-Authenticate": (401, f'Bearer realm="{address}",service="x"'),
            "Link": (200, f'<{address}>; rel="next"'),
        }[header]
        headers = {header: value.encode().decode("latin-1"), "Content-Type": "application/json"}
        body = json.dumps({"tags": ["x"], "name": "a/b"}).encode()
        front.fault = lambda request, s=status, h=headers, b=body: request.answer(s, b, h)
        words = ("image", "tags") if header == "Link" else ("pull", "-q")
        found = rootless(*words, f"{front.host}/a/b", code=None, env=hasty)
        assert found.code in (0, 125), str(found)
        if found.code:
            _sentence(found)
        assert "internal error" not in found.stderr, str(found)


def test_settings_that_make_no_sense(rootless: Command, place: Place) -> None:
    """Bytes by chance, and TOML with other values than are meant."""
    # the same ones each time, so that a run fails for a change; others before a release
    daily = os.environ.get("ROOTLESS_TEST_EXAMPLES", "daily") == "daily"
    seed = 1 if daily else random.Random().getrandbits(32)
    chance = random.Random(seed)
    path = place.home / ".config/rootless/config.toml"
    path.parent.mkdir(parents=True)
    values = ["true", "1", "1.5", "nan", "1979-05-27", '""', '"\\u0000"', '"x"', "[]", '["x", 1]',
              '["\\u0000"]', "{}", "{ a = 1 }", "[" * 3000]  # fmt: skip
    keys = ["engine.storage-driver", "engine.storage-opt", "engine.runtime",
            "engine.cgroup-manager", "engine.x", "ps.all", "ps.filter", "ps.last", "ps.format",
            "ps.no-such", "x.y", '"\\u0000".a', 'ps."\\u0000"',
            "trust.require-signatures", "run.env", "x"]  # fmt: skip
    texts = [f"{key} = {value}\n".encode() for key in keys for value in values]
    texts += [chance.randbytes(chance.randrange(1, 200)) for _ in range(20)]
    for text in chance.sample(texts, 40):
        path.write_bytes(text)
        for _ in range(2):  # the second time from what was kept
            found = rootless("ps", "-a", code=None)
            assert found.code in (0, 125), (seed, text, str(found))
            if found.code:
                assert _sentence(found), (seed, text)
            else:
                assert not found.stderr, (seed, text, str(found))
    path.unlink()
