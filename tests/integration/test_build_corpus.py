"""Dockerfiles of the kinds that people write, against buildah as installed: the same image.

The texts are in `build_corpus`; images of both are read by `image_reader`.  Where they differ,
`DIFFERENT` says why.  What buildah made of some of them is written down in `build_corpus.jsonl`,
because it takes its time; the long tests ask it about all of them, and with
$ROOTLESS_TEST_TAKE=FILE they write down what it answered.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_corpus
import image_reader
import pytest
from conftest import Place

from rootless import Engine
from rootless.build.options import BuildOptions
from rootless.engine.build import build as building
from rootless.engine.build.workers import Workers
from rootless.errors import RootlessError

NAMES = list(build_corpus.CASES)
ARGUMENTS = {"REVISION": "abc123"}
TOGETHER = 5
ANSWERS = {
    answer["name"]: answer
    for answer in map(
        json.loads, (Path(__file__).parent / "build_corpus.jsonl").read_text().splitlines()
    )
}
DAILY = list(ANSWERS)

# what differs, as `_differences` says it, and why ours is right; BuildKit is the judge
DIFFERENT = {
    r"/(dev|proc|sys|run|etc/hosts|etc/hostname|etc/resolv\.conf): missing":
        "mount points of buildah's steps stay in its layers",
    r"/taken/listing: .*": "its listing of /etc has them as well",
    r"@VOLUME: missing":
        "buildah makes the directories that VOLUME names, and those on the way to them",
}  # fmt: skip


class Builders:
    """Both, with the base images and the context."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.engine = Engine()
        self.workers = Workers(self.engine.maps)
        self.context = place.work / "context"
        self.context.mkdir()
        build_corpus.context(self.context)
        (self.context / ".dockerignore").write_text(build_corpus.IGNORED)
        runroot = place.runtime / "b"
        self.buildah = ["buildah", "--root", str(place.base / "buildah"), "--runroot", str(runroot),
                        "--storage-driver", "overlay"]  # fmt: skip
        self._known: set[str] = set()
        self.bases = place.work / "bases"
        self.bases.mkdir()
        busybox = Path(os.environ.get("ROOTLESS_TEST_BUSYBOX", "/bin/busybox"))
        build_corpus.base_tar(self.bases / "base.tar", busybox)
        self.common = {path: _row(node) for path, node in
                       image_reader.read_tar(self.bases / "base.tar").items()}  # fmt: skip
        self._asked = False

    def ask_buildah(self) -> None:
        """Make the base images for it as well, from here on."""
        self._asked = True

    def close(self) -> None:
        """End the workers; remove what belongs to other ids."""
        self.workers.close()
        top = str(self.place.base / "buildah")
        if not self._asked:
            return
        subprocess.run([*self.buildah, "unshare", "rm", "-rf", top], env=self.place.env, check=True)

    def base(self, name: str) -> None:
        """Make a stand-in, once."""
        if name in self._known:
            return
        self._known.add(name)
        text = f"FROM scratch\nADD base.tar /\n{build_corpus.PATH}{build_corpus.BASES[name]}\n"
        self.ours(self.bases, text, f"localhost/{name}")
        if self._asked:
            self.theirs(self.bases, text, f"localhost/{name}")

    def ours(self, context: Path, text: str, name: str) -> image_reader.Read:
        """The image that we make."""
        path = self.place.work / "Dockerfile.ours"
        path.write_text(text)
        request = building.Request(
            str(context), tags=(name,), options=BuildOptions(build_args=ARGUMENTS),
            file=str(path), as_docker=True, form="docker",
        )  # fmt: skip
        made = building.build(self.engine, request, workers=self.workers)
        assert made.image is not None
        return image_reader.read_store(self.place.data, made.image.manifest_digest)

    def theirs(self, context: Path, text: str, name: str) -> Path:
        """Where buildah puts its image."""
        path = self.place.work / "Dockerfile.corpus"
        path.write_text(text)
        words = [word for pair in ARGUMENTS.items() for word in ("--build-arg", "=".join(pair))]
        self._run("bud", "-q", "--isolation", "chroot", "--format", "docker", "--pull-never",
                  "--layers=false", "-f", str(path), "-t", name, *words, str(context))  # fmt: skip
        return path

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [*self.buildah, *words], env=self.place.env, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"

    def pushed(self, name: str) -> image_reader.Read:
        """Read an image of buildah."""
        target = self.place.work / "pushed"
        self._run("push", "-q", name, f"dir:{target}")
        read = image_reader.read_directory(target)
        for path in target.iterdir():
            path.unlink()
        return read


@pytest.fixture
def builders(place: Place, data_dir: Path) -> Iterator[Builders]:
    made = Builders(place)
    yield made
    made.close()


_LISTS = ("ExposedPorts", "Volumes")


def _configured(image: image_reader.Read) -> dict[str, Any]:
    config = {key: value for key, value in image.config["config"].items() if value}
    labels = config.get("Labels")
    if labels:
        labels.pop("io.buildah.version", None)
        if not labels:
            del config["Labels"]
    # of the container that dockerd built with, and of the image's parent
    for key in ("Hostname", "Image", "Domainname"):
        config.pop(key, None)
    for key in _LISTS:
        if key in config:
            config[key] = sorted(config[key])
    config["Env"] = sorted(config.get("Env", []))
    if image.config.get("author"):
        config["author"] = image.config["author"]
    return config


def _summary(image: image_reader.Read, base: dict[str, list[Any]]) -> dict[str, Any]:
    """Everything that counts, without the files that all base images have."""
    files = {path: _row(node) for path, node in image.files.items()}
    return {
        "config": _configured(image),
        "files": {path: row for path, row in files.items() if base.get(path) != row},
        "gone": sorted(path for path in base if path not in files),
    }


def _row(node: image_reader.Node) -> list[Any]:
    """[kind, mode, owner, where it leads, digest of the content]."""
    mode = 0 if node.kind == "@" else node.mode
    digest = hashlib.sha256(node.content).hexdigest()[:16] if node.content else ""
    return [node.kind, f"{mode:o}", f"{node.owner[0]}:{node.owner[1]}", node.link, digest]


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    found = []
    for part in ("config", "files"):
        left, right = ours[part], theirs[part]
        for key in sorted({*left, *right}):
            if key not in left or key not in right:
                found.append(f"{key}: {'extra' if key in left else 'missing'}")
            elif left[key] != right[key]:
                found.append(f"{key}: {left[key]!r}, not {right[key]!r}")
    if ours["gone"] != theirs["gone"]:
        found.append(f"removed: {ours['gone']}, not {theirs['gone']}")
    return found


def _explained(line: str, image: dict[str, Any]) -> bool:
    path = line.partition(": ")[0]
    volumes = image["config"].get("Volumes") or []
    if any(volume == path or volume.startswith(path + "/") for volume in volumes):
        line = line.replace(path, "@VOLUME", 1)
    return any(re.fullmatch(pattern, line) for pattern in DIFFERENT)


def _of_ours(builders: Builders, name: str) -> tuple[str, dict[str, Any]]:
    """The text, and what we make of it."""
    text = build_corpus.local(build_corpus.CASES[name])
    for base in build_corpus.BASES:
        if f"localhost/{base}" in text:
            builders.base(base)
    image = builders.ours(builders.context, text, "localhost/made")
    return text, _summary(image, builders.common)


def _unexplained(name: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    lines = _differences(ours, theirs)
    return [f"{name}: {line}" for line in lines if not _explained(line, ours)]


@pytest.mark.slow
def test_as_buildah_did(builders: Builders) -> None:
    wrong = []
    for name in DAILY:
        try:
            _, ours = _of_ours(builders, name)
        except RootlessError as error:
            wrong.append(f"{name}: refused: {error}")
            continue
        wrong += _unexplained(name, ours, ANSWERS[name])
    assert wrong == [], "\n" + "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_as_buildah_does(builders: Builders, first: int) -> None:
    builders.ask_buildah()
    wrong = []
    order = [*DAILY, *(name for name in NAMES if name not in DAILY)]
    for name in order[first : first + TOGETHER]:
        text, ours = _of_ours(builders, name)
        builders.theirs(builders.context, text, "localhost/made")
        theirs = _summary(builders.pushed("localhost/made"), builders.common)
        if take := os.environ.get("ROOTLESS_TEST_TAKE"):
            with open(take, "a") as file:
                file.write(json.dumps({"name": name, **theirs}, sort_keys=True) + "\n")
        elif name in ANSWERS:
            answer = {key: ANSWERS[name][key] for key in theirs}
            wrong += [f"{name}, as written down: {one}" for one in _differences(theirs, answer)]
        wrong += _unexplained(name, ours, theirs)
    assert wrong == [], "\n" + "\n".join(wrong)
