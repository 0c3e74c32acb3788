"""Stand-ins for the fifty best-known images: a busybox with the same user, entrypoint, command,
ports, volumes, environment and working directory, as stand_ins.toml has them.

A server says who it is, as whom and where it runs, and waits; an interpreter says its arguments.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "stand_ins.toml"
CREATED = "2024-01-02T03:04:05Z"

PROGRAM = """#!/bin/sh
# one program under many names
name=${0##*/}
say() { echo "$name $* as $(id -u):$(id -g) in $(pwd)"; }
serve() {
    say "$@"
    for word in "$@"; do
        case $word in --version | --help | -v | -V | -t) exit 0 ;; esac
    done
    trap 'echo bye; exit 0' TERM INT QUIT WINCH USR1
    while :; do sleep 1000 & wait; done
}
case " SERVERS " in
    *" $name "*) serve "$@" ;;
esac
case $name in
    *entrypoint* | tini)
        while :; do
            case ${1-} in -- | -g) shift ;; *) break ;; esac
        done
        case ${1-} in
            '' | -* | /etc/*) ;;
            *) exec "$@" ;;
        esac
        serve "$@" ;;
    *)
        case "$*" in current/* | -S*) serve "$@" ;; esac
        say "$@"
        for word in "$@"; do
            [ ! -f "$word" ] || cat "$word"
        done ;;
esac
"""


def images() -> dict[str, dict[str, Any]]:
    """Name -> configuration, of each stand-in."""
    found: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text())
    return found


def _layer(busybox: Path, stand_ins: dict[str, dict[str, Any]]) -> bytes:
    applets = subprocess.run([busybox, "--list"], capture_output=True, check=True, text=True)
    users = sorted(
        {one.get("user", "").partition(":")[0] for one in stand_ins.values()}
        | {name for one in stand_ins.values() for name in one.get("users", [])}
    )
    passwd = ["root:x:0:0:root:/root:/bin/sh", "guest:x:1000:1000::/home/guest:/bin/sh"]
    group = ["root:x:0:", "tty:x:5:", "audio:x:29:", "guest:x:1000:", "extra:x:2000:guest"]
    for number, name in enumerate((one for one in users if one and not one.isdigit()), 100):
        if name not in ("root", "guest"):
            passwd.append(f"{name}:x:{number}:{number}::/home/{name}:/bin/sh")
            group.append(f"{name}:x:{number}:")
    servers = " ".join(
        sorted({name for one in stand_ins.values() for name in one.get("servers", [])})
    )
    programs = {path for one in stand_ins.values() for path in one.get("programs", [])}
    programs |= {"/entrypoint.sh", "/bin/tini"}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        made = set()

        def add(name: str, data: bytes = b"", mode: int = 0o644, kind: bytes = tarfile.REGTYPE,
                link: str = "") -> None:  # fmt: skip
            parent = name.rpartition("/")[0]
            if parent and parent not in made:
                add(parent, mode=0o755, kind=tarfile.DIRTYPE)
            made.add(name)
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.type, info.linkname = len(data), mode, kind, link
            info.mtime = 1704164645
            archive.addfile(info, io.BytesIO(data))

        add("tmp", mode=0o1777, kind=tarfile.DIRTYPE)
        for name in ("etc", "root", "var/lib", "usr/bin", "home/guest", "mnt", "srv", "opt"):
            if name not in made:
                add(name, mode=0o755, kind=tarfile.DIRTYPE)
        add("etc/passwd", "".join(f"{line}\n" for line in passwd).encode())
        add("etc/group", "".join(f"{line}\n" for line in group).encode())
        add("etc/os-release", b'ID=stand-in\nPRETTY_NAME="a stand-in"\n')
        add("bin/busybox", busybox.read_bytes(), mode=0o755)
        for applet in applets.stdout.split():
            if applet != "busybox":
                add(f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        add("bin/bash", kind=tarfile.SYMTYPE, link="busybox")
        add("usr/bin/env", kind=tarfile.SYMTYPE, link="/bin/busybox")
        add("usr/lib/stand-in", PROGRAM.replace("SERVERS", servers).encode(), mode=0o755)
        for path in sorted(programs):
            add(path.lstrip("/"), kind=tarfile.SYMTYPE, link="/usr/lib/stand-in")
    return content.getvalue()


def write_archive(path: Path, busybox: Path) -> None:
    """Write all stand-ins as one archive in the format of `docker save`."""
    stand_ins = images()
    layer = _layer(busybox, stand_ins)
    digest = hashlib.sha256(layer).hexdigest()
    manifest = []
    files = {f"{digest}.tar": layer}
    for name, one in stand_ins.items():
        settings: dict[str, Any] = {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    *one.get("env", [])],
        }  # fmt: skip
        for ours, theirs in (("user", "User"), ("workdir", "WorkingDir"), ("cmd", "Cmd"),
                             ("entrypoint", "Entrypoint"), ("stopsignal", "StopSignal"),
                             ("labels", "Labels"), ("healthcheck", "Healthcheck")):  # fmt: skip
            if ours in one:
                settings[theirs] = one[ours]
        if "ports" in one:
            settings["ExposedPorts"] = {port: {} for port in one["ports"]}
        if "volumes" in one:
            settings["Volumes"] = {volume: {} for volume in one["volumes"]}
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "created": CREATED, "config": settings,
            "author": name,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": CREATED, "created_by": "/bin/sh -c #(nop) ADD stand-in in / "}],
        }).encode()  # fmt: skip
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        files[config_name] = config
        repository = name if "/" in name else f"library/{name}"
        tags = [f"docker.io/{repository}:{tag}" for tag in ["latest", *one.get("tags", [])]]
        manifest.append({"Config": config_name, "RepoTags": tags, "Layers": [f"{digest}.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
