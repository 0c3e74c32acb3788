"""What a life of containers is held against (see lives.py), and the tools that lead it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

# (text, mode, uid, gid)
Entry = tuple[str, int, int, int]
# mode, uid, gid of the directory itself
Top = tuple[int, int, int]


@dataclass
class Files:
    """A directory as it should be."""

    top: Top
    entries: dict[str, Entry] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The form in which `Life.look` reports a directory."""
        lines = ["{:o} {}:{} .".format(*self.top)]
        for name, (text, mode, uid, gid) in sorted(self.entries.items()):
            lines.append(f"{mode:o} {uid}:{gid} {name} {text}")
        return lines


# what the image holds: a directory with data of a service, and an empty one
IMAGE = {
    "/data": Files((0o750, 5, 6), {"a": ("first", 0o640, 7, 8), "b": ("second", 0o600, 0, 0)}),
    "/srv": Files((0o711, 3, 4)),
}
NAMES = ["one", "two", "three"]
VOLUMES = ["vol1", "vol2"]
PROGRAM = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 1000 & wait $!; done"]
# waits until the trap is set (bit 14 of SigCgt), then shows the directories
LOOK = r"""
i=0
while ! grep -q 'SigCgt:[[:space:]]*[0-9a-f]*[4-7c-f][0-9a-f]\{3\}$' /proc/1/status; do
    i=$((i + 1)); [ $i -lt 3000 ] || exit 9; usleep 3000
done
for d in /data /srv; do
    echo "= $d"
    cd $d && find . -maxdepth 1 | sort | while read -r f; do
        if [ -f "$f" ]; then text=" $(cat "$f")"; else text=; fi
        echo "$(stat -c '%a %u:%g' "$f") ${f#./}$text"
    done
done
"""


@dataclass
class Container:
    """A container as it should be: `files` are its own, also where a volume lies over them."""

    files: dict[str, Files]
    mounts: dict[str, str] = field(default_factory=dict)
    state: str = "created"
    always: bool = False


def image_tar(path: Path, busybox_tar: Path) -> Path:
    """The image of all lives: busybox and the directories of IMAGE."""
    with tarfile.open(busybox_tar) as source, tarfile.open(path, "w") as target:
        for member in source:
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
        for directory, files in IMAGE.items():
            info = tarfile.TarInfo(directory[1:])
            info.type = tarfile.DIRTYPE
            info.mode, info.uid, info.gid = files.top
            target.addfile(info)
            for name, (text, mode, uid, gid) in files.entries.items():
                one = tarfile.TarInfo(f"{directory[1:]}/{name}")
                one.size, one.mode, one.uid, one.gid = len(text), mode, uid, gid
                target.addfile(one, io.BytesIO(text.encode()))
    return path


class Tool:
    """An engine under test: how its command is started, and what only it can be put through."""

    def __init__(self, name: str, words: Sequence[str], env: dict[str, str], create: Sequence[str]):
        self.name = name
        self.words = list(words)
        self.env = env
        self.create = list(create)

    def __call__(self, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.words, *words], input=input, capture_output=True, env=self.env, timeout=120
        )

    def text(self, *words: str) -> str:
        """What a command that must succeed writes."""
        found = self(*words)
        assert found.returncode == 0, self.told(words, found)
        return found.stdout.decode()

    def told(self, words: Sequence[str], found: subprocess.CompletedProcess[bytes]) -> str:
        """A command and its end, for a failure."""
        out, err = (part[-3000:].decode(errors="replace") for part in (found.stdout, found.stderr))
        return f"{self.name} {' '.join(words)}: {found.returncode}\n{out}\n{err}"

    def states(self) -> list[str]:
        """A line for each container: its name and state."""
        lines = self.text("ps", "-a", "--format", "{{.Names}} {{.State}}").lower().splitlines()
        # podman 4: "up 3 seconds ago"
        return [" ".join(line.split()[:2]).replace(" up", " running") for line in lines]

    def clear(self) -> None:
        """Remove all but the image; after a failure, whatever stands in the way as well."""
        shown = self("ps", "-aq")
        if shown.returncode and (data := self.env.get("ROOTLESS_DATA_DIR")):
            self("unshare", "rm", "-rf", f"{data}/containers")
        names = self.text("ps", "-aq").split()
        if names:
            self.text("rm", "-f", "-t", "0", *names)
        volumes = self.text("volume", "ls", "-q").split()
        if volumes:
            self.text("volume", "rm", *volumes)
        images = self.text("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        made = [name for name in images if "made" in name]
        if made:
            self.text("rmi", "-f", *made)
