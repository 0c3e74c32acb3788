"""A virtual machine: booted once, then loaded from a snapshot; reached by ssh on the loopback.

Scope: qemu's life and the channel.  The processor is emulated (tcg): hosts that run tests rarely
have a kvm that works, and what works everywhere is what is tested.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType

from image import Image


def check() -> None:
    """Ends the program with a sentence where there is no emulator; nothing is skipped."""
    for program, package in (
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("qemu-img", "qemu-utils"),
        ("ssh", "openssh-client"),
    ):
        if shutil.which(program) is None:
            raise SystemExit(
                f"tests/vm: error: there is no {program}\nhint: apt-get install {package}"
            )


class Machine:
    """One running machine.  A context manager: at the end it is gone."""

    def __init__(self, image: Image, work: pathlib.Path, *, verbose: bool = False) -> None:
        self.image = image
        self.work = work
        self.verbose = verbose
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------ qemu

    def __enter__(self) -> Machine:
        check()
        try:
            if not self.image.snapshot.exists():
                self._prepare()
            overlay = self.work / "disk.qcow2"
            shutil.copyfile(self.image.snapshot, overlay)
            self._start(overlay, "-loadvm", "ready")
            self.wait()
            self._clock()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, disk: pathlib.Path, *more: str) -> None:
        console = open(self.work / "console", "ab")  # noqa: SIM115
        words = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "2048",
            "-smp", "2", "-display", "none", "-no-user-config", "-nodefaults",
            "-serial", f"file:{self.work}/serial",
            "-monitor", f"unix:{self.work}/monitor,server=on,wait=off",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd),
            "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1 "
            # swap is not counted by default on older kernels
            "psi=1 swapaccount=1",
            "-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe",
            # restrict: the guest reaches nothing outside; only our one port leads in
            "-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-device", "virtio-net-pci,romfile=,netdev=n0",
            "-device", "virtio-rng-pci",
            *more,
        ]  # fmt: skip
        # a group of its own: Ctrl-C ends the tests first, and then we end the machine
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
        console.close()

    def _prepare(self) -> None:
        """Boot from the disk, let it settle, and keep the state of the machine."""
        overlay = self.work / "first.qcow2"
        subprocess.run(
            [
                "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.image.disk),
                str(overlay),
            ],
            check=True,
        )  # fmt: skip
        print("tests/vm: booting for the first time", flush=True)
        self._start(overlay)
        self.wait(300)
        self.run("root", ["systemctl", "is-system-running", "--wait"], check=False, timeout=300)
        self.run("root", ["sync"])
        self.hang_up()
        self._tell("savevm ready")
        self._tell("quit")
        assert self.process is not None
        self.process.wait(60)
        partial = self.image.directory / "partial.qcow2"
        shutil.move(overlay, partial)
        os.rename(partial, self.image.snapshot)

    def _tell(self, words: str) -> None:
        """A command for qemu's monitor; returns when the next prompt appears or it hangs up."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(120)
            monitor.connect(str(self.work / "monitor"))
            self._prompt(monitor)
            monitor.sendall(words.encode() + b"\n")
            self._prompt(monitor)

    @staticmethod
    def _prompt(monitor: socket.socket) -> None:
        found = b""
        while not found.endswith(b"(qemu) "):
            try:
                more = monitor.recv(4096)
            except ConnectionError:
                return
            if not more:
                return
            found += more

    def stop(self) -> None:
        """End the machine, at once."""
        self.hang_up()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    # ------------------------------------------------------------------ the channel

    def ssh(self, user: str, *options: str) -> list[str]:
        """The words that lead into the machine."""
        return [
            "ssh", "-i", str(self.image.key), "-p", str(self.port), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "ControlMaster=auto",
            "-o", f"ControlPath={self.work}/c-%r", "-o", "ControlPersist=600",
            *options, f"{user}@127.0.0.1",
        ]  # fmt: skip

    def run(
        self,
        user: str,
        words: Sequence[str],
        *,
        check: bool = True,
        timeout: float = 120,
        capture: bool = True,
        stdin: int | None = subprocess.DEVNULL,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command there; words are joined as ssh joins them."""
        found = subprocess.run(
            [*self.ssh(user), *words],
            stdin=stdin,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            text=True,
            timeout=timeout,
        )
        if check and found.returncode:
            raise SystemExit(
                f"{found.stdout or ''}\ntests/vm: error: in the machine: {' '.join(words)}"
            )
        return found

    def wait(self, seconds: float = 120) -> None:
        """Until somebody answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process is not None
            if self.process.poll() is not None:
                raise SystemExit(f"tests/vm: error: qemu ended\n{self._last_words()}")
            if self.run("root", ["true"], check=False, timeout=90).returncode == 0:
                return
            time.sleep(0.5)
        raise SystemExit(f"tests/vm: error: the machine does not answer\n{self._last_words()}")

    def reboot(self) -> None:
        """Let systemd end everything and boot again; returns when somebody answers."""
        identity = ["cat", "/proc/sys/kernel/random/boot_id"]
        before = self.run("root", identity).stdout
        self.run("root", ["systemctl", "reboot", "--no-block"], check=False)
        self.hang_up()
        end = time.monotonic() + 300
        while time.monotonic() < end:
            self.wait(300)
            now = self.run("root", identity, check=False, timeout=90)
            if now.returncode == 0 and now.stdout != before:
                return
            self.hang_up()
            time.sleep(1)
        raise SystemExit(f"tests/vm: error: it does not boot again\n{self._last_words()}")

    def _last_words(self) -> str:
        texts = []
        for name in ("console", "serial"):
            path = self.work / name
            if path.exists():
                texts.append(path.read_text(errors="replace")[-3000:])
        return "\n".join(texts)

    def _clock(self) -> None:
        # it still has the time of the snapshot
        self.run("root", ["date", "-s", f"@{int(time.time())}"])

    def hang_up(self) -> None:
        """End the kept connections; a reboot or a snapshot needs that."""
        for control in self.work.glob("c-*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={control}", "-O", "exit", "x"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            control.unlink(missing_ok=True)

    def attach(self, directory: pathlib.Path, target: str) -> None:
        """Let the machine see a directory's content at `target`: a disk that is made on this side.

        Through ssh the emulated processor would decipher, unpack and write each file.
        """
        disk = self.work / "attached.raw"
        with open(disk, "wb") as file:
            file.truncate(1 << 30)
        subprocess.run(
            ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
             "-d", directory, disk],
            check=True,
        )  # fmt: skip
        self._tell(f"drive_add 0 if=none,id=attached,file={disk},format=raw,cache=unsafe")
        self._tell("device_add virtio-blk-pci,drive=attached,id=attached")
        # the kernel names it when it has found it; it stays through a boot
        self.run(
            "root",
            [
                "until test -b /dev/vdb; do sleep 0.1; done; "
                f"mkdir -p {target} && echo /dev/vdb {target} ext4 defaults 0 0 >>/etc/fstab && "
                f"mount {target}"
            ],
        )
