"""containerd and docker's daemon with this runtime, as they are packaged: both in the person's own
user namespace, where they are root.  Neither has anything of the host's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Place

pytestmark = pytest.mark.slow


class Daemon:
    """A script that starts a daemon, runs commands, and ends it; all in one namespace."""

    def __init__(self, place: Place, entry: list[str], oci_entry: list[str]) -> None:
        self.place, self.entry = place, entry
        self.base = place.base / "daemon"
        for name in ("run", "bin"):
            (self.base / name).mkdir(parents=True)
        self.calls = self.base / "calls"
        quoted = " ".join(f"'{word}'" for word in oci_entry)
        runtime = self.base / "bin/rootless-runtime"
        runtime.write_text(f'#!/bin/sh\necho "$@" >>{self.calls}\nexec {quoted} "$@"\n')
        runtime.chmod(0o755)
        # dockerd looks whether it is there, and publishes nothing here
        (self.base / "bin/rootlesskit-docker-proxy").symlink_to("/bin/true")

    def __call__(self, start: str, socket: str, commands: str) -> list[str]:
        """Lines that `commands` print while the daemon runs that `start` starts."""
        script = f"""
            cd {self.base}; mount -t tmpfs none /run; mkdir /run/containerd
            mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
            PATH={self.base}/bin:$PATH
            export XDG_RUNTIME_DIR={self.base}/run ROOTLESSKIT_STATE_DIR={self.base}/run TMPDIR=/tmp
            {start} >log 2>&1 &
            daemon=$! tries=0
            until [ -S {socket} ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
            {commands}
            kill $daemon; wait $daemon
        """
        words = [*self.entry, "unshare", "unshare", "--net", "--cgroup", "--pid", "--fork",
                 "--kill-child", "--mount-proc", "sh", "-c", script]  # fmt: skip
        found = subprocess.run(
            words, env=self.place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=150,
        )  # fmt: skip
        self.said = found.stdout + (self.base / "log").read_text()[-3000:]
        return found.stdout.splitlines()

    def called(self, *words: str) -> bool:
        """Whether a call of the runtime holds these words in this order."""
        for line in self.calls.read_text().splitlines():
            rest = iter(line.split())
            if all(word in rest for word in words):
                return True
        return False


@pytest.fixture
def daemon(place: Place, entry: list[str], oci_entry: list[str]) -> Daemon:
    return Daemon(place, entry, oci_entry)


def image(directory: Path, layer: Path) -> None:
    """An archive of an OCI layout, named bb:1 for containerd."""
    blobs = directory / "oci/blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        name = f"application/vnd.oci.image.{kind}"
        return {"mediaType": name, "digest": f"sha256:{digest}", "size": len(data)}

    one = blob(layer.read_bytes(), "layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]},
              "rootfs": {"type": "layers", "diff_ids": [one["digest"]]}}  # fmt: skip
    manifest = {"schemaVersion": 2, "layers": [one],
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json")}  # fmt: skip
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": "docker.io/library/bb:1"}
    (directory / "oci/index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [entry]})
    )
    (directory / "oci/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    subprocess.run(["tar", "-C", directory / "oci", "-cf", directory / "oci.tar", "."], check=True)


def test_containerd(daemon: Daemon, busybox_tar: Path) -> None:
    base = daemon.base
    image(base, busybox_tar)
    (base / "config.toml").write_text(
        f'version = 2\nroot = "{base}/root"\nstate = "{base}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
        f'[grpc]\naddress = "{base}/c.sock"\n'
    )
    runtime = f"--snapshotter native --runc-binary {base}/bin/rootless-runtime"
    lines = daemon(
        f"containerd -c {base}/config.toml", f"{base}/c.sock",
        f"""
            export CONTAINERD_ADDRESS={base}/c.sock
            ctr image import --snapshotter native oci.tar >import 2>&1 || cat import
            run="{runtime} docker.io/library/bb:1"
            ctr run --rm $run one sh -c 'echo hello; id -u; exit 3'; echo one $?
            ctr run --rm --cwd /bin --env A=b $run env sh -c 'pwd; echo $A'
            ctr run -d $run two sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
            ctr task exec --exec-id e two sh -c 'echo inside; exit 4'; echo exec $?
            ctr task ps two | wc -l
            ctr task kill two; sleep 1; ctr task ls | tail -1; ctr task rm two 2>/dev/null; echo $?
            ctr run --rm $run none nosuch; echo none $?
        """,
    )  # fmt: skip
    assert lines[:2] == ["hello", "0"], daemon.said
    assert lines[2:5] == ["one 3", "/bin", "b"], daemon.said
    assert lines[5:7] == ["inside", "exec 4"], daemon.said
    assert int(lines[7]) >= 2
    assert lines[8].split()[::2] == ["two", "STOPPED"]
    assert '"nosuch": executable file not found in $PATH' in "\n".join(lines[9:]), daemon.said
    log = ["--log", f"{base}/state/io.containerd.runtime.v2.task/default/two/log.json"]
    assert daemon.called("--root", *log, "--log-format", "json", "create", "--bundle", "--pid-file",
                         "two")  # fmt: skip
    assert daemon.called("exec", "--process", "--detach", "--pid-file", "two")
    assert daemon.called("delete", "two")


def test_docker(daemon: Daemon, busybox_tar: Path) -> None:
    base = daemon.base
    os.environ.pop("DOCKER_HOST", None)
    lines = daemon(
        f"env ROOTLESSKIT_PARENT_EUID={os.getuid()} dockerd --rootless --userland-proxy=false "
        "--bridge=none --iptables=false --ip6tables=false "
        # short: the address of a unix socket ends at 108 bytes
        f"--data-root {base}/data --exec-root /run/exec -H unix:///run/d.sock -p {base}/pid "
        f"--add-runtime ours={base}/bin/rootless-runtime --default-runtime ours -s vfs "
        "--exec-opt native.cgroupdriver=cgroupfs",
        "/run/d.sock",
        f"""
            export DOCKER_HOST=unix:///run/d.sock DOCKER_CONFIG={base}
            docker info --format '{{{{.DefaultRuntime}}}}'
            docker import {busybox_tar} bb >import 2>&1 || cat import
            docker run --rm --network none bb sh -c 'echo hello; id -u; exit 3'; echo one $?
            docker run --rm --network none -u 7:8 --group-add 9 --hostname box --read-only \
                --tmpfs /t -v /usr:/u:ro --cap-drop all --cap-add chown -w /bin -e A=b bb \
                sh -c 'exec 2>&1; id; hostname; touch /x; touch /u/x; pwd; echo $A
                       grep CapBnd /proc/1/status'
            docker run -d --name two --network none bb \
                sh -c 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done' >id
            docker exec -w /bin two sh -c 'pwd; exit 4'; echo exec $?
            docker top two | wc -l
            docker stop -t 20 two; docker inspect -f '{{{{.State.ExitCode}}}}' two; docker logs two
            docker start two; docker rm -f two
            script -qec 'docker run --rm -it --network none bb sh -c "tty; stty size"' /dev/null
            docker run --rm --network none bb nosuch; echo none $?
        """,
    )  # fmt: skip
    text = "\n".join(line.strip() for line in lines)
    assert text.startswith("ours\nhello\n0\none 3\n"), daemon.said
    for said in (
        # one stream: docker carries two side by side, in no order
        "uid=7 gid=8 groups=8,9\nbox\n", "touch: /x: Read-only file system",
        "touch: /u/x: Read-only file system", "/bin\nb\nCapBnd:\t0000000000000001\n",
        "/bin\nexec 4\n", "two\n5\nup\nbye\n", "two\ntwo\n", "/dev/pts/0\n",
        '"nosuch": executable file not found in $PATH', "none 127",
    ):  # fmt: skip
        assert said in text, f"{said}\n\n{text}\n{daemon.said}"
    assert daemon.called("--log-format", "json", "create", "--bundle", "--pid-file",
                         "--console-socket") or daemon.called("--console-socket")  # fmt: skip
