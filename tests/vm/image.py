"""A disk with Debian and systemd on it, made once and kept by content.

Scope: from a suite's name to files in the cache: a kernel, an initial ram disk, a raw ext4 disk, an
ssh key, and later a qcow2 overlay with a snapshot of the booted machine (machine.py makes it).  As
root only: the files of the disk have many owners.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SUITES = ("bullseye", "bookworm", "trixie")
# what the guest has: systemd with a user manager, what the engine uses, what the tests use
PACKAGES = (
    "linux-image-cloud-amd64 initramfs-tools systemd systemd-sysv dbus dbus-user-session "
    "libpam-systemd udev iproute2 uidmap slirp4netns fuse-overlayfs fuse3 python3 python3-venv "
    "openssh-server busybox-static procps libcap2-bin ca-certificates kmod passwd login "
    "docker-registry skopeo zstd"
).split()
EXTRA = {
    "bookworm": ["crun", "runc", "podman", "apparmor"],
    "trixie": ["crun", "runc", "podman", "apparmor"],
    "bullseye": ["crun", "apparmor"],
}
# long-term support of bullseye has ended, and its security archive no longer has all it lists
PLAIN = {"bullseye"}
SETUP = HERE / "setup"


def _sources(suite: str) -> list[str]:
    """What mmdebstrap is to use instead of all that a suite has: the archive of this host alone."""
    if suite not in PLAIN:
        return []
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    if not found:
        raise SystemExit("tests/vm: error: apt-get knows no archive; run apt-get update")
    return [f"deb {found[0].rstrip('/')} {suite} main"]


class Image:
    """The files of one suite's disk.  `make` when `ready` says no."""

    def __init__(self, suite: str, cache: pathlib.Path) -> None:
        # a new one each month, so that what Debian mends arrives
        month = datetime.date.today().strftime("%Y-%m")
        words = [suite, month, SETUP.read_text(), *PACKAGES, *EXTRA[suite]]
        key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
        self.suite = suite
        self.cache = cache
        self.directory = cache / f"vm-{suite}-{key}"
        self.kernel = self.directory / "vmlinuz"
        self.initrd = self.directory / "initrd.img"
        self.disk = self.directory / "disk.raw"
        self.key = self.directory / "key"
        self.snapshot = self.directory / "ready.qcow2"

    def ready(self) -> bool:
        """Whether the files are there."""
        return self.disk.exists()

    def make(self) -> None:
        """Build everything beside the final place, and rename it at the end."""
        if os.geteuid() != 0:
            raise SystemExit("tests/vm: error: only root can make the disk; run it once as root")
        for old in self.cache.glob(f"vm-{self.suite}-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix="partial-vm-", dir=self.cache) as name:
            work = pathlib.Path(name)
            made = work / "made"
            made.mkdir(mode=0o700)
            key = made / "key"
            _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(key)])
            tar, root = work / "root.tar", work / "root"
            _run(
                [
                    "mmdebstrap", "--quiet", "--variant=minbase", "--skip=check/empty",
                    f"--include={','.join([*PACKAGES, *EXTRA[self.suite]])}",
                    f"--customize-hook={SETUP} \"$1\"", self.suite, str(tar),
                    *_sources(self.suite),
                ],
                KEY=str(key),
            )  # fmt: skip
            root.mkdir()
            _run(["tar", "-C", str(root), "--exclude=./dev/*", "-xf", str(tar)])
            tar.unlink()
            for name, target in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd.img")):
                newest = sorted((root / "boot").glob(name))[-1]
                shutil.copy(newest, made / target)
            disk = made / "disk.raw"
            with open(disk, "wb") as file:
                file.truncate(6 << 30)
            _run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(disk)])
            os.rename(made, self.directory)


def _run(words: list[str], **environment: str) -> None:
    found = subprocess.run(
        words,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    if found.returncode:
        raise SystemExit(f"{found.stdout}\ntests/vm: error: {words[0]} failed")
