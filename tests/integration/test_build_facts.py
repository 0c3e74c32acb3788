"""What BuildKit makes of each of several hundred Dockerfiles, and what we make of it.

`build_facts.jsonl` has what was measured: a Dockerfile, options, and the image that came of it, or
that it was refused.  The context is the same for all.  Images are read by `image_reader`.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import http.server
import io
import json
import lzma
import os
import shlex
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image_reader
import pytest
from conftest import Place

from rootless import Engine
from rootless.build.options import BuildOptions
from rootless.cli import build_options
from rootless.engine.build import build as building
from rootless.engine.build.workers import Workers
from rootless.errors import RootlessError

pytestmark = pytest.mark.usefixtures("everyone")

TIMES = (1485449953, 1000000000)
CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "build_facts.jsonl").read_text().splitlines()
]
GROUPS = sorted({case["name"].split()[0] for case in CASES})
PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
guest:x:405:100:guest:/:/bin/false
"""
GROUP = "root:x:0:\ndaemon:x:1:\nmail:x:8:\nwww-data:x:33:\nusers:x:100:\n"

# where the facts are of BuildKit alone, or differ here for a reason
DIFFERENT = {
    # its variables for telemetry, which are not to be imitated
    "run environment": {"/o"},
    # what git writes into its own directory is of its version
    "add ADD --keep-git-dir=true @HTTP@/repo.git /o": {"*"},
}
# nobody else exists where there is a single id
DIFFERENT_SINGLE = {"run mount cache owner mode": {"/o"}, "run mount secret target mode": {"/o"}}
# it refuses a context with a link to nothing, though nobody names that link
ACCEPTED = {
    "copy COPY --exclude=f --exclude=g . /o/",
    "copy COPY --exclude=!f . /o/",
    "copy COPY --exclude=d2/e . /o/",
    "copy COPY --exclude=d/x . /o/",
}


def _tar(files: dict[str, tuple[str, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (text, owner) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(text), 0o640, TIMES[0]
            info.uid = info.gid = owner
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def _context(top: Path) -> None:
    """The common context of the experiments."""
    top.mkdir()
    own = "f g a1 a2 b1 d/x d/y/z d2/e/f/g.txt d2/e/h.txt d2/i.md ro su .hid".split()
    for name in [*own, "sp ace", "star*x"]:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (top / "x.sh").write_text("#!/bin/sh")
    (top / "empty").mkdir()
    (top / "hl").mkdir()
    (top / "hl/1").write_text("h")
    os.link(top / "hl/1", top / "hl/2")
    os.link(top / "f", top / "hard")
    for name, target in {"ln": "f", "dl": "d", "dang": "/nowhere", "d/up": "../f"}.items():
        (top / name).symlink_to(target)
    plain = _tar({"t1": ("one", 7), "td/t2": ("two", 8)})
    zstd = subprocess.run(["zstd", "-q"], input=plain, capture_output=True, check=True).stdout
    for name, data in {
        "t.tar": plain,
        "noext": plain,
        "t.tgz": gzip.compress(plain),
        "t.tbz": bz2.compress(plain),
        "t.txz": lzma.compress(plain),
        "t.zst": zstd,
        "gz.gz": gzip.compress(b"no archive"),
        "bad.tar.gz": b"this is no archive",
    }.items():
        (top / name).write_bytes(data)
    with zipfile.ZipFile(top / "z.zip", "w") as archive:
        archive.writestr("inner", "zipped")
    for name, mode in {"empty": 0o700, "ro": 0o400, "su": 0o4755, "x.sh": 0o700}.items():
        (top / name).chmod(mode)
    for base, names, files in os.walk(top):
        for name in [*files, *names]:
            os.utime(os.path.join(base, name), (TIMES[0], TIMES[0]), follow_symlinks=False)


class World:
    """One user's engine, with the images, the context and the web server of the experiments."""

    def __init__(self, place: Place, driver: str | None = None) -> None:
        self.place = place
        self.engine = Engine(storage_driver=driver)
        self.workers = Workers(self.engine.maps)
        self.context = place.work / "context"
        _context(self.context)
        self.server = self._serve(place.work / "www")
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._images()

    def _serve(self, top: Path) -> http.server.ThreadingHTTPServer:
        license_file = top / "openshift/origin/raw/main/LICENSE"
        license_file.parent.mkdir(parents=True)
        license_file.write_text("license text\n")
        (top / "a b.txt").write_text("ab\n")
        (top / "t.tar").write_bytes((self.context / "t.tar").read_bytes())
        for path in (license_file, top / "a b.txt", top / "t.tar"):
            os.utime(path, (TIMES[0], TIMES[0]))
        self._repository(top)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(top))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def _repository(self, top: Path) -> None:
        work = top / "work"
        (work / "sub").mkdir(parents=True)
        (work / "A").write_text("A")
        (work / "sub/S").write_text("S")
        script = """git init -q -b main . && git add . &&
            git -c user.name=n -c user.email=e@x commit -qm m && git tag v1 &&
            git clone -q --bare . ../repo.git && git -C ../repo.git update-server-info"""
        subprocess.run(["sh", "-ec", script], cwd=work, check=True, capture_output=True)

    def _images(self) -> None:
        busybox = Path(os.environ.get("ROOTLESS_TEST_BUSYBOX", "/bin/busybox"))
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        path = self.place.work / "busybox.tar"
        with tarfile.open(path, "w") as archive:
            for name in ("bin", "etc", "root", "tmp", "var", "usr", "usr/sbin", "srv", "srv/work"):
                info = tarfile.TarInfo(name)
                info.uid = info.gid = int(name == "srv/work")
                info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                archive.addfile(info)
            for name, text in {"etc/passwd": PASSWD, "etc/group": GROUP}.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
            info = archive.gettarinfo(str(busybox), "bin/busybox")
            info.uid = info.gid = 0
            info.mode = 0o755
            archive.addfile(info, io.BytesIO(busybox.read_bytes()))
            for applet in applets.stdout.split():
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    archive.addfile(link)
        self.engine.images.import_image(str(path), "localhost/busybox")
        self.engine.images.import_image(str(path), "localhost/alpine", changes=['CMD ["/bin/sh"]'])
        self.engine.images.import_image(
            str(path),
            "localhost/rich",
            changes=[
                "ENV BASEVAR=frombase", 'CMD ["basecmd"]', 'ENTRYPOINT ["/bin/sh","-c"]',
                "WORKDIR /srv/work", "USER daemon", "EXPOSE 80/tcp", "VOLUME /data",
                "LABEL a=1 b=2", "STOPSIGNAL SIGUSR1",
                "ONBUILD RUN echo onbuild > /tmp/onbuild-ran", "ONBUILD ENV ONB=1",
            ],
        )  # fmt: skip

    def build(self, case: dict[str, Any]) -> image_reader.Read:
        """Raises RootlessError where it is refused."""
        text = case["dockerfile"].replace("@REG@", "localhost").replace("@HTTP@", self.url)
        text = text.replace("@ID1", "shared-cache")
        (self.context / "Dockerfile").write_text(text)
        os.utime(self.context / "Dockerfile", (TIMES[0], TIMES[0]))
        fifo = self.context / "d2/fifo"
        if "fifo" in str(case) and not fifo.exists():
            os.mkfifo(fifo)
        elif "fifo" not in str(case) and fifo.exists():
            fifo.unlink()
        given: dict[str, Any] = {"build_args": {}, "labels": {}, "secrets": {}}
        if "@HTTP@" in case["dockerfile"]:
            # the server is on this machine
            given["allow"] = frozenset(("network.host",))
        contexts = {}
        words = shlex.split(case.get("args", "").replace("CTX", str(self.context)))
        for flag, value in zip(words[::2], words[1::2], strict=True):
            name, _, rest = value.partition("=")
            if flag == "--build-arg":
                given["build_args"][name] = rest
            elif flag == "--label":
                given["labels"][name] = rest
            elif flag == "--target":
                given["target"] = value
            elif flag == "--secret":
                given["secrets"] = build_options.secrets([value])
            elif flag == "--build-context":
                contexts[name] = rest
        ignore = case.get("ignore")
        ignore_path = self.context / ".dockerignore"
        if ignore is not None:
            ignore_path.write_text(ignore)
        else:
            ignore_path.unlink(missing_ok=True)
        request = building.Request(
            str(self.context), options=BuildOptions(**given), contexts=contexts, as_docker=True
        )
        made = building.build(self.engine, request, workers=self.workers)
        assert made.image is not None
        return image_reader.read_store(self.place.data, made.image.manifest_digest)

    def close(self) -> None:
        self.workers.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def world(place: Place, data_dir: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(place, getattr(request, "param", None))
    yield made
    made.close()


def _config(image: image_reader.Read, wanted: dict[str, Any], case: dict[str, Any]) -> list[str]:
    found = dict(image.config["config"])
    if "author" in image.config:
        found[".author"] = image.config["author"]
    found = {
        key: sorted(value) if key in ("ExposedPorts", "Volumes") else value
        for key, value in found.items()
        if value
    }
    if case["name"].startswith("ins "):
        # the variables that all of these have
        own = [one for one in found.get("Env", []) if one.partition("=")[0] not in "vepq"]
        found["Env"] = own
        if not own:
            del found["Env"]
    wrong = []
    for key in sorted({*found, *wanted}):
        if found.get(key) != wanted.get(key):
            wrong.append(f"{key}: {found.get(key)!r} instead of {wanted.get(key)!r}")
    return wrong


def _files(image: image_reader.Read, case: dict[str, Any], single: bool) -> list[str]:
    wanted: dict[str, dict[str, Any]] = case["files"]
    except_for = DIFFERENT.get(case["name"], set())
    if single:
        except_for = except_for | DIFFERENT_SINGLE.get(case["name"], set())
    # the layer of a busybox is no news
    base = int(bool(image.layers) and "bin/busybox" in {one.name for one in image.layers[0]})
    own = {
        "/" + member.name.removeprefix("./").strip("/")
        for layer in image.layers[base:]
        for member in layer
    }
    found = {path: node for path, node in image.files.items() if path in own}
    wrong = []
    for path, node in found.items():
        extra = path not in wanted and not case.get("cut") and path not in except_for
        if extra and not (node.kind == "/" and any(one.startswith(path) for one in wanted)):
            wrong.append(f"{path} is there ({node.kind or 'file'})")
    for path, attributes in wanted.items():
        if path in except_for or "*" in except_for:
            continue
        node = image.files.get(path)
        if node is None:
            wrong.append(f"{path} is missing")
            continue
        wrong += [f"{path}: {one}" for one in _node(node, attributes, path, single)]
    return wrong


def _node(
    node: image_reader.Node, wanted: dict[str, Any], path: str, single: bool
) -> Iterator[str]:
    kind = wanted["kind"]
    if node.kind != kind:
        yield f"is {node.kind!r}, not {kind!r}"
        return
    default = "755" if kind == "/" else "644"
    mode = wanted.get("mode", default)
    if kind in ("", "/") and f"{node.mode:o}" != mode:
        yield f"mode {node.mode:o}, not {mode}"
    owner = tuple(map(int, wanted.get("owner", "0:0").split(":")))
    if node.owner != owner and not single:
        yield f"owner {node.owner}, not {owner}"
    if "link" in wanted and node.link != wanted["link"]:
        yield f"leads to {node.link}"
    if "content" in wanted:
        expected = wanted["content"].encode()
        start = node.content[: len(expected)] if len(expected) > 150 else node.content
        if start != expected:
            yield f"has {node.content[:200]!r}, not {expected!r}"
    if "is" in wanted and node.content.decode(errors="replace").strip() != wanted["is"].strip():
        yield f"is {node.content[:80]!r}, not {wanted['is']!r}"
    if wanted.get("source_time") and node.time not in TIMES:
        yield f"time {node.time}"


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(None, id="best"),
        pytest.param("copy", marks=pytest.mark.long),
        pytest.param("fuse-overlayfs", marks=pytest.mark.long),
        pytest.param("python-fuse", marks=pytest.mark.long),
    ],
    indirect=True,
)
@pytest.mark.parametrize("group", GROUPS)
def test_as_buildkit(world: World, group: str) -> None:
    single = world.engine.maps.single
    wrong = []
    for case in CASES:
        if case["name"].split()[0] != group:
            continue
        # a single id has nobody to give to what a command or an image brings
        owners = single and ("RUN" in case["dockerfile"] or "/rich" in case["dockerfile"])
        try:
            image = world.build(case)
        except RootlessError as error:
            if not case.get("refused"):
                wrong.append(f"{case['name']}: refused: {error} {error.hint}")
            continue
        if case.get("refused"):
            if case["name"] in ACCEPTED:
                continue
            wrong.append(f"{case['name']}: not refused")
            continue
        found = _config(image, case["config"], case) + _files(image, case, owners)
        wrong += [f"{case['name']}: {one}" for one in found]
    assert wrong == [], "\n" + "\n".join(wrong)
