#!/usr/bin/python3
"""How fast images arrive, beside GNU tar, podman, skopeo and umoci: medians and ratios of one run.

    tests/bench/images.py [--user NAME] [--times N] [--only ROW,...] [--directory DIR]

Rows: unpack (a layer of 10,000 files: plain, gzip, zstd), pull (300 MB in six layers from a
docker-registry on the loopback), again (a second pull, and how many requests it makes), update
(zstd:chunked, 5 % of the files changed: bytes that the registry sent), list (`images` with 500 and
with 5).  Everything lies on one file system, contenders take turns, and all of them end with
syncfs(2), so that nobody is measured by what he left to the kernel.  Nothing is asserted.
As root it becomes the user NAME (default rl-user) like start.py, and measures on a file system of
its own (disk.py); otherwise, and with --directory, where it is told to, by default in /var/tmp.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import io
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from disk import own_disk, own_runtime_directory
from start import TREE, become, launcher, run

sys.path.insert(0, str(TREE))

ROWS = ("unpack", "pull", "again", "update", "list")


def verdict(title: str, medians: Medians, peer: str, aim: float) -> None:
    """One row: everybody's milliseconds with the least and the most, and ours against a peer's."""
    shown = "  ".join(f"{name} {value:.0f} ms ({medians.spread[name]})"
                      for name, value in medians.items())  # fmt: skip
    text = ""
    if peer in medians:
        ratio = medians["rootless"] / medians[peer]
        text = f"  ratio to {peer} {ratio:.2f} (aim {aim}: {'met' if ratio <= aim else 'MISSED'})"
    print(f"{title:22} {shown}{text}", flush=True)


class Medians(dict[str, float]):
    """Milliseconds by contender; `spread` has the least and the most of each."""

    def __init__(self, found: dict[str, list[float]]) -> None:
        super().__init__({name: statistics.median(values) for name, values in found.items()})
        self.spread = {name: f"{min(v):.0f}-{max(v):.0f}" for name, v in found.items()}


def in_turn(times: int, contenders: dict[str, Callable[[], float]]) -> Medians:
    """Medians of so many rounds; each gives milliseconds, what it does besides is not counted.

    Every round begins with another one, so that nobody always meets what his predecessor left to
    the disk.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(times):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(contenders[name]())
    return Medians(found)


def timed(words: list[str], **options: Any) -> float:
    """Milliseconds of a command that must succeed."""
    begin = time.perf_counter()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, **options)
    elapsed = (time.perf_counter() - begin) * 1000
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, words))}: {done.stderr.decode()[-2000:]}")
    return elapsed


# ---------------------------------------------------------------- what is measured with


def layer(count: int, size: int, seed: int, prefix: str = "usr") -> bytes:
    """A tar of so many files, about `size` bytes each, of which half compresses away."""
    source = random.Random(seed)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(-(-count // 100)):
            entry = tarfile.TarInfo(f"{prefix}/share/d{seed}-{number:04}")
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
            tar.addfile(entry)
        for number in range(count):
            length = source.randint(size // 4, size * 7 // 4)
            half = source.randbytes(length // 2)
            data = half + half.hex().encode()[: length - len(half)]
            entry = tarfile.TarInfo(f"{prefix}/share/d{seed}-{number // 100:04}/f{number:05}")
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 1_700_000_000 + number
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def changed(tar: bytes, every: int) -> bytes:
    """The same tar with one of so many files changed."""
    buffer = io.BytesIO()
    number = 0
    with (
        tarfile.open(fileobj=io.BytesIO(tar)) as old,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            file = old.extractfile(member) if member.isreg() else None
            data = file.read() if file is not None else b""
            if file is not None:
                number += 1
                if number % every == 0:
                    data = data[::-1] + b"changed"
                    member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def packed(tar: bytes, kind: str) -> tuple[bytes, str, dict[str, str]]:
    """(blob, media type, annotations) of a layer."""
    name = "application/vnd.oci.image.layer.v1.tar"
    if kind == "gzip":
        return gzip.compress(tar, 6, mtime=0), name + "+gzip", {}
    if kind == "zstd":
        return _zstd().compress(tar), name + "+zstd", {}
    if kind == "zstd:chunked":
        from rootless.chunked import writing

        out = io.BytesIO()
        written = writing.write(io.BytesIO(tar), out)
        return out.getvalue(), name + "+zstd", written.annotations
    return tar, name, {}


def _zstd() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SystemExit("error: no module for zstd; run this with the tests' python")


class Registry:
    """docker-registry on a free port, with images pushed by skopeo."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{listener.getsockname()[1]}"
        (directory / "config.yml").write_text(
            "version: 0.1\nlog: {level: info}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
            f"http: {{addr: '{self.host}'}}\n"
        )
        with open(directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", directory / "config.yml"], stdout=log, stderr=log
            )
        for _ in range(500):
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/").close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit("error: docker-registry does not start")

    def push(self, name: str, tars: list[bytes], kind: str) -> str:
        """An image of these layers; its whole name."""
        layout = self.directory / "layout"
        blobs = layout / "blobs/sha256"
        blobs.mkdir(parents=True)

        def blob(data: bytes) -> dict[str, Any]:
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return {"digest": f"sha256:{digest}", "size": len(data)}

        layers = []
        for tar in tars:
            data, media_type, notes = packed(tar, kind)
            layers.append({"mediaType": media_type, **blob(data), "annotations": notes})
        config = {
            "architecture": run(["dpkg", "--print-architecture"]),
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars],
            },
        }
        kinds = "application/vnd.oci.image."
        manifest = {
            "schemaVersion": 2,
            "mediaType": kinds + "manifest.v1+json",
            "config": {"mediaType": kinds + "config.v1+json", **blob(json.dumps(config).encode())},
            "layers": layers,
        }
        entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode())}
        index = {
            "schemaVersion": 2,
            "manifests": [{**entry, "annotations": {"org.opencontainers.image.ref.name": "t"}}],
        }
        (layout / "index.json").write_text(json.dumps(index))
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        target = f"{self.host}/{name}"
        run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false",
             f"oci:{layout}:t", f"docker://{target}"])  # fmt: skip
        shutil.rmtree(layout)
        return target

    def requests(self) -> list[tuple[str, int]]:
        """(request, bytes sent) of the access log so far."""
        made = []
        for line in (self.directory / "log").read_text(errors="replace").splitlines():
            words = line.split('"')
            if len(words) > 2 and " HTTP/" in words[1]:
                made.append((words[1], int(words[2].split()[1])))
        return made

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


# ---------------------------------------------------------------- the rows


class Rows:
    """All rows, in one directory."""

    def __init__(self, directory: Path, command: list[str], times: int) -> None:
        self.directory = directory
        self.command = command
        self.times = times
        self.short = tempfile.mkdtemp(prefix="rlb-", dir="/var/tmp")
        self.registry = Registry(directory / "registry")

    def rootless(self, data: str, *words: str) -> list[str]:
        """Words of our command with a data directory of this name."""
        return [*self.command, "--root", str(self.directory / data), *words]

    def remove(self, name: str) -> None:
        """A directory with anybody's files."""
        path = self.directory / name
        if path.exists():
            subprocess.run([*self.command, "unshare", "rm", "-rf", str(path)], check=False)
            shutil.rmtree(path, ignore_errors=True)

    def sync(self) -> None:
        """Let the disk come to rest before the next one is measured."""
        run(["sync", "-f", str(self.directory)])

    def unpack(self) -> None:
        """A layer of 10,000 files, against GNU tar fed by the same decompressor."""
        from rootless.storage.layers.store import LayerStore
        from rootless.userns import idmap

        tar = layer(10_000, 8000, 1)
        diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
        maps = idmap.default_maps()
        enter = ["unshare", "--user", "--map-root-user"]
        if not maps.single:
            enter.append("--map-auto")
        for kind in ("plain", "gzip", "zstd"):
            blob = self.directory / f"layer.{kind}"
            blob.write_bytes(packed(tar, kind)[0])
            store = LayerStore(str(self.directory / "unpacked"), maps)

            def ours(store: LayerStore = store, blob: Path = blob) -> float:
                self.remove("unpacked")
                os.makedirs(store.directory)
                self.sync()
                begin = time.perf_counter()
                store.ensure([(diff_id, str(blob))])
                return (time.perf_counter() - begin) * 1000

            def theirs(blob: Path = blob) -> float:
                self.remove("by-tar")
                target = self.directory / "by-tar"
                target.mkdir()
                self.sync()
                feed = f"{sys.executable} -S {__file__} --decompress {blob} | "
                line = f"{feed}tar -C {target} -xpf - && sync -f {target}"
                return timed([*enter, "sh", "-c", line], env={**os.environ, "PYTHONPATH": _path()})

            medians = in_turn(self.times, {"rootless": ours, "tar": theirs})
            verdict(f"unpack 10,000, {kind}", medians, "tar", 1.2)
        self.remove("unpacked")
        self.remove("by-tar")

    def pull(self) -> None:
        """300 MB in six layers."""
        tars = [layer(1500, 33_000, seed) for seed in range(10, 16)]
        total = sum(len(tar) for tar in tars)
        name = self.registry.push("bench/app:1", tars, "gzip")
        print(f"  (an image of {total / 1e6:.0f} MB in six layers, gzip)")

        def ours() -> float:
            self.remove("pulled")
            self.sync()
            spent = timed(self.rootless("pulled", "pull", "-q", name))
            return spent + self._synced()

        contenders = {"rootless": ours, **self._peers(name)}
        medians = in_turn(self.times, contenders)
        for peer in [one for one in medians if one != "rootless"] or [""]:
            verdict("pull 300 MB, 6 layers", medians, peer, 0.7)
        for one in ("pulled", "podman", "oci", "bundle"):
            self.remove(one)

    def _synced(self) -> float:
        begin = time.perf_counter()
        self.sync()
        return (time.perf_counter() - begin) * 1000

    def _peers(self, name: str) -> dict[str, Callable[[], float]]:
        made: dict[str, Callable[[], float]] = {}

        def podman() -> float:
            self.remove("podman")
            self.sync()
            words = ["podman", "--cgroup-manager", "cgroupfs"]
            words += ["--root", f"{self.directory}/podman"]
            # it takes no more than 50 characters
            words += ["--runroot", self.short]
            words += ["pull", "-q", "--tls-verify=false", name]
            return timed(words) + self._synced()

        def umoci() -> float:
            self.remove("oci")
            self.remove("bundle")
            self.sync()
            layout = f"{self.directory}/oci"
            spent = timed(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
                           f"docker://{name}", f"oci:{layout}:t"])  # fmt: skip
            words = ["umoci", "unpack", "--rootless", "--image", f"{layout}:t",
                     str(self.directory / "bundle")]  # fmt: skip
            return spent + timed(words) + self._synced()

        if shutil.which("podman"):
            made["podman"] = podman
        if shutil.which("umoci") and shutil.which("skopeo"):
            made["skopeo+umoci"] = umoci
        return made

    def again(self) -> None:
        """A second pull of what is here."""
        name = self.registry.push("bench/small:1", [layer(50, 4000, 3)], "gzip")
        run(self.rootless("second", "pull", "-q", name))
        before = len(self.registry.requests())
        run(self.rootless("second", "pull", "-q", name))
        made = [request for request, _ in self.registry.requests()[before:]]
        medians = in_turn(
            max(self.times, 11),
            {
                "rootless": lambda: timed(self.rootless("second", "pull", "-q", name)),
                "version": lambda: timed(self.rootless("second", "version")),
            },
        )
        verdict("second pull", medians, "version", 2)
        print(f"  ({len(made)} request: {', '.join(one.rpartition(' ')[0] for one in made)})")

    def update(self) -> None:
        """5 % of the files changed, by zstd:chunked."""
        old = layer(10_000, 8000, 4)
        new = changed(old, 20)
        names = [
            self.registry.push(f"bench/chunked:{number}", [tar], "zstd:chunked")
            for number, tar in enumerate((old, new))
        ]
        run(self.rootless("update", "pull", "-q", names[0]))
        before = len(self.registry.requests())
        elapsed = timed(self.rootless("update", "pull", "-q", names[1]))
        made = [row for row in self.registry.requests()[before:] if "/blobs/" in row[0]]
        moved, size = sum(count for _, count in made), len(packed(new, "zstd:chunked")[0])
        share = moved / size
        print(
            f"{'update, 5 % changed':22} {moved / 1e6:.2f} of {size / 1e6:.1f} MB in {len(made)} "
            f"requests, {elapsed:.0f} ms: {share:.1%} (aim 10%: "
            f"{'met' if share <= 0.1 else 'MISSED'})"
        )

    def list(self) -> None:
        """`images` with 500 images and with 5."""
        for data, count in (("five", 5), ("many", 500)):
            for number in range(count):
                tar = self.directory / "one.tar"
                with tarfile.open(tar, "w") as archive:
                    info = tarfile.TarInfo("number")
                    info.size = len(str(number))
                    archive.addfile(info, io.BytesIO(str(number).encode()))
                run(self.rootless(data, "import", "-q", str(tar), f"image{number}:1"))
        medians = in_turn(
            max(self.times, 11),
            {
                "rootless": lambda: timed(self.rootless("many", "images", "-q")),
                "five": lambda: timed(self.rootless("five", "images", "-q")),
            },
        )
        verdict("images, 500 and 5", medians, "five", 1.5)


def _path() -> str:
    return ":".join([str(TREE), *[one for one in sys.path if "site-packages" in one]])


def decompress(path: str) -> None:
    """To standard output, by the decompressor that unpacking uses."""
    from rootless.storage.layers.decompress import decompressed

    with open(path, "rb") as blob:
        source = decompressed(blob)
        while data := source.read(1 << 20):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]


def main() -> None:
    """Prepare, measure, clean up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default=",".join(ROWS), help="rows, separated by commas")
    parser.add_argument("--directory", default="", help="where everything is kept")
    parser.add_argument("--rootless", default="", help="an installed command instead of this tree")
    parser.add_argument("--decompress", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.decompress:
        decompress(given.decompress)
        return
    place = given.directory or "/var/tmp"
    if os.getuid() == 0:
        place = given.directory or own_disk()
        become(given.user)
    directory = Path(tempfile.mkdtemp(prefix="rootless-bench-", dir=place))
    directory.chmod(0o711)
    with own_runtime_directory():
        measure(directory, given.rootless.split() or launcher(directory), given.times, given.only)


def measure(directory: Path, command: list[str], times: int, only: str) -> None:
    """The rows that are wanted, and nothing left behind."""
    rows = Rows(directory, command, times)
    try:
        for name in only.split(","):
            if name not in ROWS:
                raise SystemExit(f"error: there is no row {name}: {', '.join(ROWS)}")
            getattr(rows, name)()
    finally:
        rows.registry.close()
        shutil.rmtree(rows.short, ignore_errors=True)
        subprocess.run([*rows.command, "unshare", "rm", "-rf", str(directory)], check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
