"""Images that are made here and run by others, and the other way round: podman, buildah, umoci,
crun, runc and skopeo as Debian packages them, with a real registry between."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from integration.chunked_images import estargz, layout, many_files, tar_of
from integration.registry import Registry, registry

__all__ = ["registry"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# where cgroup v1 and v2 are mixed crun starts nothing; it sees a v2 tree, as a plain user again
CRUN = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
exec unshare --user --map-user={uid} --map-group={gid} \
    crun --root {root} --cgroup-manager disabled run --bundle bundle x
"""

# root of the person's user namespace, with nothing of the host's to write to
PEERS = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
for place in /run /var/cache /var/lib /dev/shm; do mount -t tmpfs none $place || exit 1; done
export XDG_RUNTIME_DIR=/run
store="--root {base}/peer/root --runroot /run/peer --storage-driver vfs"
podman() {{ command podman $store --cgroup-manager cgroupfs --events-backend file "$@"; }}
buildah() {{ command buildah $store "$@"; }}
# podman's own devpts names the group 5, which a single id does not have
pts="-v /dev/pts:/dev/pts"
# its exit status and what it wrote; `podman run` loses the output of what is quicker than it
run() {{
    made=$(podman create --network none --cgroups disabled --log-driver k8s-file $pts "$@")
    podman start $made >/dev/null; podman wait $made; podman logs $made; podman rm $made >/dev/null
}}
set -e
"""

SETTINGS = ("-c", 'CMD ["/bin/sh", "-c", "echo $A; pwd; id -u; cat /proc/1/comm; exit 3"]',
            "-c", "ENV A=b", "-c", "WORKDIR /w")  # fmt: skip
SAID = "b\n/w\n0\nsh\n"


class Peers:
    """podman and buildah with one store of this test."""

    def __init__(self, rootless: Command) -> None:
        self.rootless = rootless

    def __call__(self, script: str) -> str:
        """What a script with them prints."""
        begin = PEERS.format(base=self.rootless.place.base)
        words = ("unshare", "unshare", "--mount", "--cgroup", "sh", "-c", begin + script)
        return self.rootless(*words, timeout=240).stdout


@pytest.fixture
def roots_tar(place: Place, busybox_tar: Path) -> Path:
    """busybox where root has everything: podman needs the ids of all owners."""
    path = place.work / "busybox.tar"
    with tarfile.open(busybox_tar) as old, tarfile.open(path, "w") as new:
        for member in old:
            member.uid = member.gid = 0
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return path


@pytest.fixture
def peers(rootless: Command) -> Peers:
    return Peers(rootless)


def skopeo(*words: str, place: Place) -> str:
    done = subprocess.run(["skopeo", "--insecure-policy", *words], cwd=place.work, env=place.env,
                          capture_output=True, text=True, timeout=200)  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


def raw(name: str, place: Place) -> str:
    """The manifest at this name in a registry."""
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}", place=place)


def ids(rootless: Command, name: str, data: Path | None = None) -> tuple[str, str]:
    """Digest of the manifest and of the configuration."""
    env = {"ROOTLESS_DATA_DIR": str(data)} if data else {}
    found: list[dict[str, Any]] = rootless("image", "inspect", name, env=env).json()
    return found[0]["Digest"], found[0]["Id"]


@pytest.mark.parametrize("runtime", ["crun", "runc", "ours"])
def test_saved_here_unpacked_by_umoci_and_run(
    rootless: Command, place: Place, busybox_tar: Path, oci_entry: list[str], runtime: str,
    everyone: str,
) -> None:  # fmt: skip
    """What the image says is in the configuration that umoci makes; each runtime does it."""
    rootless("import", "-q", *SETTINGS, busybox_tar, "app:1")
    assert rootless("run", "--rm", "--network", "none", "app:1", code=3).stdout == SAID
    rootless("save", "-q", "--format", "oci-archive", "-o", "app.tar", "app:1")
    (place.work / "layout").mkdir()
    for words in (
        ["tar", "-C", "layout", "-xf", "app.tar"],
        ["umoci", "unpack", "--rootless", "--image", "layout:localhost/app:1", "bundle"],
    ):
        subprocess.run(words, cwd=place.work, check=True, capture_output=True, timeout=100)
    path = place.work / "bundle/config.json"
    config = json.loads(path.read_text())
    config["process"]["terminal"] = False
    path.write_text(json.dumps(config))
    root = str(place.runtime / "peer")
    if runtime == "crun":
        script = CRUN.format(root=root, uid=os.getuid(), gid=os.getgid())
        command = ["unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c",
                   script]  # fmt: skip
    else:
        program = ["runc"] if runtime == "runc" else oci_entry
        command = [*program, "--root", root, "run", "--bundle", "bundle", "x"]
    done = subprocess.run(command, cwd=place.work, env=place.env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=100)  # fmt: skip
    assert (done.returncode, done.stdout) == (3, SAID), done


def test_digests_stay_through_skopeo(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path, everyone: str
) -> None:
    """From here to everywhere and back into fresh stores."""
    base = f"{registry.host}/through-{everyone}"
    rootless("import", "-q", *SETTINGS, busybox_tar, "app:1")
    rootless("push", "-q", "app:1", f"{base}/app:1")
    # pushing compresses: what is in the registry is what goes round
    begun = raw(f"{base}/app:1", place)
    plain = ("copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo(*plain, f"docker://{base}/app:1", "oci:lay:example.test/app:1", place=place)
    stores = [place.base / "one", place.base / "two"]
    one, two = [{"ROOTLESS_DATA_DIR": str(store)} for store in stores]
    rootless("load", "-q", "-i", "lay", env=one)
    wanted = ids(rootless, "example.test/app:1", stores[0])
    assert wanted == ("sha256:" + hashlib.sha256(begun.encode()).hexdigest(),
                      ids(rootless, "app:1")[1])  # fmt: skip
    for form in ("oci-archive", "oci-dir"):
        rootless("save", "-q", "--format", form, "-o", form, "example.test/app:1", env=one)
    for source in ("oci-archive:oci-archive", "oci:oci-dir"):
        back = f"{base}/back:{source.partition(':')[0]}"
        skopeo(*plain, source, f"docker://{back}", place=place)
        assert raw(back, place) == begun
        rootless("pull", "-q", back, env=two)
        assert ids(rootless, back, stores[1]) == wanted
    # docker's archive has no manifest: the configuration stays
    rootless("save", "-q", "-o", "d.tar", "app:1")
    skopeo(*plain, "docker-archive:d.tar", f"docker://{base}/docker:1", place=place)
    rootless("pull", "-q", f"{base}/docker:1", env=two)
    assert ids(rootless, f"{base}/docker:1", stores[1])[1] == wanted[1]
    assert rootless("run", "--rm", "--network", "none", f"{base}/docker:1", code=3,
                    env=two).stdout == SAID  # fmt: skip


def test_podman_runs_what_is_made_here(
    rootless: Command, place: Place, registry: Registry, peers: Peers, roots_tar: Path,
    everyone: str,
) -> None:  # fmt: skip
    """From archives, and from a registry: zstd:chunked, eStargz, a manifest list."""
    base = f"{registry.host}/here-{everyone}"
    # nothing twice, which podman refuses
    files = {name.replace("usr/", "data/"): data for name, data in many_files(30).items()}
    path, content = next(iter(files.items()))
    tar = place.base / "many.tar"
    tar.write_bytes(tar_of(files, roots_tar))
    rootless("import", "-q", *SETTINGS, tar, "many:1")
    rootless("push", "-q", "--compression-format", "zstd:chunked", "many:1", f"{base}/chunked:1")
    manifest = json.loads(raw(f"{base}/chunked:1", place))
    assert manifest["layers"][0]["mediaType"].endswith("+zstd")
    # eStargz goes through this store as it is
    star = layout(place.base / "star", "example.test/star:1", [estargz(tar.read_bytes())],
                  plain=[tar.read_bytes()])  # fmt: skip
    rootless("load", "-q", "-i", star.path)
    rootless("push", "-q", "example.test/star:1", f"{base}/star:1")
    pushed = raw(f"{base}/star:1", place).encode()
    assert "sha256:" + hashlib.sha256(pushed).hexdigest() == star.entries[0]["digest"]
    rootless("manifest", "create", "list:1", "many:1")
    rootless("manifest", "push", "list:1", f"{base}/list:1")
    rootless("save", "-q", "--format", "oci-archive", "-o", "oci.tar", "many:1")
    rootless("save", "-q", "-o", "docker.tar", "many:1", "example.test/star:1")
    printed = peers(f"""
        for name in chunked star list; do
            podman pull -q --tls-verify=false {base}/$name:1 >/dev/null
        done
        for name in chunked star list; do
            run {base}/$name:1 sh -c 'sha256sum </{path}'
        done
        run {base}/list:1
        podman image inspect -f '{{{{.Id}}}}' {base}/list:1
        podman rmi -f -a >/dev/null
        podman load -q -i oci.tar; run many:1
        podman image inspect -f '{{{{.Id}}}} {{{{.Digest}}}}' many:1
        podman rmi -f -a >/dev/null
        podman load -q -i docker.tar; run many:1
        run example.test/star:1 sha256sum /{path}
    """)
    digest, identifier = ids(rootless, "many:1")
    expected = hashlib.sha256(content).hexdigest()
    ran = "3\n" + SAID
    assert printed == (
        f"0\n{expected}  -\n" * 3
        + f"{ran}{identifier[7:]}\n"
        + f"Loaded image: localhost/many:1\n{ran}{identifier[7:]} {digest}\n"
        + "Loaded image: localhost/many:1\nLoaded image: example.test/star:1\n"
        + f"{ran}0\n{expected}  /{path}\n"
    )


def test_what_podman_and_buildah_make_runs_here(
    rootless: Command, place: Place, registry: Registry, peers: Peers, roots_tar: Path,
    everyone: str,
) -> None:  # fmt: skip
    """A build, its archives of every kind, and a manifest list of two platforms."""
    base = f"{registry.host}/there-{everyone}"
    (place.work / "Containerfile").write_text(
        "FROM scratch\nADD busybox.tar /\nENV A=b\nWORKDIR /w\n"
        # a step of buildah's sets groups, which a single id may not
        + ("RUN echo made >/made\n" if everyone == "mapped" else "") +
        f'CMD {SETTINGS[1].removeprefix("CMD ")}\n'
        'LABEL from=buildah\nEXPOSE 80/tcp\nVOLUME /v\nSTOPSIGNAL SIGINT\nUSER 0:0\n'
    )  # fmt: skip
    printed = peers(f"""
        build="buildah bud -q --isolation chroot --tls-verify=false"
        $build -t built:1 . >/dev/null
        $build -t docker:1 --format docker . >/dev/null
        buildah push -q built:1 oci-archive:built.tar:example.test/built:1
        buildah push -q --format v2s2 --tls-verify=false docker:1 docker://{base}/docker:1
        podman save -q --format oci-archive -o saved.tar built:1
        podman save -q -o one.tar docker:1
        podman save -q -m -o several.tar built:1 docker:1
        podman save -q --format oci-dir -o saved.dir built:1
        buildah from --name arm scratch >/dev/null; buildah config --arch arm64 arm
        buildah commit -q arm arm:1 >/dev/null; buildah rm arm >/dev/null
        podman manifest create both:1 >/dev/null
        podman manifest add both:1 containers-storage:localhost/built:1 >/dev/null
        podman manifest add --arch arm64 both:1 containers-storage:localhost/arm:1 >/dev/null
        podman manifest push -q --all --tls-verify=false both:1 docker://{base}/both:1
        for name in built docker; do
            podman image inspect -f '{{{{.Id}}}}' $name:1
        done
    """)
    built, docker = printed.split()
    saved = skopeo("inspect", "--raw", "oci-archive:saved.tar", place=place)
    digest = "sha256:" + hashlib.sha256(saved.encode()).hexdigest()

    def check(name: str, identifier: str, manifest: str = "") -> None:
        found = ids(rootless, name)
        assert found[1] == f"sha256:{identifier}"
        assert not manifest or found[0] == manifest
        ran = rootless("run", "--rm", "--network", "none", name, code=3)
        assert ran.stdout == SAID
        config = rootless("image", "inspect", name).json()[0]["Config"]
        assert config["Labels"]["from"] == "buildah"
        assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/v": {}})
        assert config["StopSignal"] == "SIGINT"
        rootless("rmi", "-f", name)

    rootless("load", "-q", "-i", "built.tar")
    check("example.test/built:1", built)
    rootless("load", "-q", "-i", "saved.tar")
    check("localhost/built:1", built, digest)
    rootless("pull", "-q", "oci:saved.dir")
    names = rootless("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    check(names[0], built)
    rootless("load", "-q", "-i", "one.tar")
    check("localhost/docker:1", docker)
    told = rootless("load", "-q", "-i", "several.tar").stdout
    assert "localhost/built:1" in told and "localhost/docker:1" in told
    check("localhost/built:1", built)
    check("localhost/docker:1", docker)
    rootless("pull", "-q", f"{base}/docker:1")
    check(f"{base}/docker:1", docker)
    rootless("pull", "-q", f"{base}/both:1")
    check(f"{base}/both:1", built)
    rootless("pull", "-q", "--platform", "linux/arm64", f"{base}/both:1")
    found = rootless("image", "inspect", f"{base}/both:1").json()[0]
    assert found["Architecture"] == "arm64"
