"""What a container controls, and the host's verbs on it: columns and rows of the second table.

`BAITS` are what a container can lay out for whoever looks at it, `VERBS` are who looks.  A cell
holds when the verb ends, what the host keeps is neither told nor written to, no file appears where
it was not asked for, and a terminal gets no control characters.  Scope: laying out and looking.
"""

from __future__ import annotations

import io
import os
import pty
import re
import select
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ways_in.stage import Cell, Column
from ways_in.ways import House

# what a terminal must not get: a new title, an answer that is typed, the screen cleared
EVIL = "\\033]0;pwned\\007\\033[6n\\033[2J"
SIGNS = (b"\x1b]0;pwned", b"\x1b[6n", b"\x1b[2J")

SECONDS = 20  # in which a verb ends whatever it meets; a busy machine takes some


@dataclass(frozen=True)
class Bait:
    """`script` lays out /bait in a container, and the same in the volume at /vol."""

    name: str
    script: str
    accounts: bool = False  # in place of /etc/passwd and /etc/group as well


BAITS = {
    bait.name: bait
    for bait in (
        Bait("link to a file", "ln -s $SECRET it; ln -s $VICTIM out", True),
        Bait("link to a directory", "ln -s $BASE it; ln -s $BASE out"),
        Bait("link upwards", "ln -s ../../../../../../../../../../$SECRET it; ln -s it out", True),
        Bait("magic link", "ln -s /proc/1/root it; ln -s /proc/self/cwd out", True),
        Bait("link to itself", "ln -s it it; ln -s out out", True),
        Bait("pipe", "mkfifo it; mkfifo out", True),
        Bait("socket", "(nc -lU it >/dev/null 2>&1 &); (nc -lU out >/dev/null 2>&1 &); sleep 0.2"),
        Bait("device", "ln -s /dev/zero it; ln -s /dev/full out", True),
        Bait("large and empty", "truncate -s 1T it; truncate -s 1T out", True),
        Bait("deep", "d=$PWD; i=0; while [ $i -lt 700 ]; do mkdir d && cd d || break; i=$((i+1));"
             " done; cd $d; mkdir it out"),
        Bait("control characters",
             f"n=$(printf '{EVIL}'); mkdir it out; printf '{EVIL}\\n' >\"it/$n\"; : >\"$n\"; "
             f"mkdir \"out/$n\""),
        Bait("exchanged all the time", "mkdir it; echo inside >it/secret; echo inside >it/victim; "
             "ln -s $BASE out; (/attack exchange it out &)"),
    )
}  # fmt: skip


class Looker:
    """Runs the host's verbs on one container, `box`, whose volume is `vol`."""

    def __init__(self, house: House, bait: Bait) -> None:
        self.house, self.bait, self.stage = house, bait, house.stage
        self.place = house.place
        self.given = self.place.work / "given"
        self.given.mkdir()
        for name in ("secret", "victim", "it"):
            (self.given / name).write_text("of the user\n")
        self.archive = self.place.work / "given.tar"
        with tarfile.open(self.archive, "w") as archive:
            archive.add(self.given / "victim", "victim")
            archive.add(self.given / "it", "it/victim")
            archive.add(self.given / "it", "out/victim")
        self.taken = self.place.work / "taken"

    def lay_out(self) -> None:
        """Start the container and wait until everything is there."""
        stage = self.stage
        told = f"SECRET={stage.secret}; VICTIM={stage.victim}; BASE={stage.base}"
        lay = self.bait.script
        accounts = f"mkdir /tmp/a; cd /tmp/a; {lay}; rm -f /etc/passwd /etc/group; " \
                   "mv it /etc/passwd; mv out /etc/group"  # fmt: skip
        script = f"""
            {told}; mkdir /bait; cd /bait; {lay}
            cd /vol; {lay}
            {accounts if self.bait.accounts else "true"}
            printf '{EVIL}\\n'; printf '{EVIL}' >&2; : >/results/laid
            exec sh -c 'sleep 100000; true' "$(printf '{EVIL}')"
        """
        health = f"printf '{EVIL}'; head -c 3000000 /dev/zero | tr '\\\\0' x; exit 1"
        self.house.command(
            "run", "-d", "--name", "box", "--network", "none", "-v", "vol:/vol", "-l",
            "name=" + SIGNS[0].decode() + "\a", "--health-cmd", health,
            "--health-interval", "disable", *stage.mounts(), self.house.image, "sh", "-c", script,
        )  # fmt: skip
        stage.appears("laid")

    def run(self, *words: str | Path, given: Path | None = None, interrupt: bool = False) -> str:
        """A verb, ended by ctrl-c where it would stay; what is wrong about how it went."""
        begin = ["timeout", "-s", "INT", "2"] if interrupt else []
        command = [*begin, *self.house.command.words, *map(str, words)]
        with open(given or os.devnull, "rb") as stdin:
            process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, env=self.stage.env,
                                       cwd=self.place.work)  # fmt: skip
            told: list[bytes] = []
            size = 0

            def read(stream: io.BufferedReader, limit: int) -> None:
                nonlocal size
                while data := stream.read1(1 << 16):
                    size += len(data)
                    if size < limit:
                        told.append(data)
                    elif size > 1 << 28:
                        process.kill()

            assert process.stdout and process.stderr
            readers = [threading.Thread(target=read, args=(stream, 1 << 26))
                       for stream in (process.stdout, process.stderr)]  # fmt: skip
            for reader in readers:
                reader.start()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
                return f"no end of {' '.join(map(str, words))}"
            finally:
                for reader in readers:
                    reader.join(10)
                process.stdout.close()
                process.stderr.close()
        text = b"".join(told)
        # an error that nobody foresaw, or words that the verb does not know: then nothing was tried
        if process.returncode < 0 or re.search(
            rb"Traceback|internal error|error: \w+ in rootless|no such option", text
        ):
            return f"status {process.returncode}: {text[-300:]!r}"
        if self.stage.token.encode() in text:
            return "the host's secret is in the output"
        return ""

    def show(self, *words: str | Path) -> str:
        """A verb on a terminal: what is wrong about what comes."""
        master, slave = pty.openpty()
        command = [*self.house.command.words, *map(str, words)]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                   env={**self.stage.env, "TERM": "xterm"}, cwd=self.place.work,
                                   start_new_session=True)  # fmt: skip
        os.close(slave)
        seen = bytearray()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                data = os.read(master, 1 << 16)
            except OSError:
                break  # nobody holds the other end any more
            if not data:
                break
            seen += data
        else:
            process.kill()
            process.wait(10)
            os.close(master)
            return f"no end of {' '.join(map(str, words))}"
        process.wait(10)
        os.close(master)
        found = [sign for sign in SIGNS if sign in seen]
        return f"the terminal gets {found[0]!r}" if found else ""

    def left(self) -> str:
        """What is wrong with the host afterwards."""
        if self.stage.victim.read_text() != "untouched\n":
            return "a file of the host was written to"
        if self.stage.secret.read_text() != self.stage.token:
            return "the host's secret was written to"
        kept = {"secret", "victim", "conf", "log", "results", "readonly", "hit", "report"}
        more = {one.name for one in self.stage.base.iterdir()} - kept
        if more:
            return f"files of a stranger on the host: {more}"
        for path in self._taken():
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20:
                path.chmod(0o600)
                if self.stage.token.encode() in path.read_bytes():
                    return f"the host's secret was copied to {path.name}"
        return ""

    def _taken(self) -> Iterator[Path]:
        """What was copied to the host; links are not followed."""
        if os.path.lexists(self.taken):
            yield self.taken
        for directory, _, names in os.walk(self.taken) if not self.taken.is_symlink() else ():
            yield from (Path(directory, name) for name in names)

    def column(self, verbs: dict[str, Verb]) -> Column:
        """Every verb on this bait."""
        column: Column = {}
        for name, verb in verbs.items():
            self.clean()
            wrong = verb(self) or self.left()
            column[name] = Cell("broke" if wrong else "held", wrong)
            self.stage.reset()
        return column

    def clean(self) -> None:
        """Nothing of the verb before."""
        if os.path.lexists(self.taken):
            subprocess.run(["rm", "-rf", self.taken], check=True)


Verb = Callable[[Looker], str]


def _words(*words: str) -> Verb:
    return lambda look: look.run(*words)


def _shown(*words: str) -> Verb:
    return lambda look: look.run(*words) or look.show(*words)


def _export_and_unpack(look: Looker) -> str:
    # of a sparse file of a terabyte not all is wanted
    if look.bait.name == "large and empty":
        return ""
    return look.run("export", "-o", look.taken, "box")


def _commit(look: Looker) -> str:
    if look.bait.name == "large and empty":
        return ""
    return look.run("commit", "-q", "box", "made:1") or look.run(
        "run", "--rm", "--network", "none", "--entrypoint", "/bin/true", "made:1"
    )


def _import(look: Looker) -> str:
    return look.run("volume", "import", "vol", look.archive)


def _volume_export(look: Looker) -> str:
    if look.bait.name == "large and empty":
        return ""
    return look.run("volume", "export", "-o", look.taken, "vol")


def _attach(look: Looker) -> str:
    # what the program prints is the terminal's; whether the person gets away is looked at
    return look.run("attach", "--no-stdin", "--sig-proxy=false", "box", interrupt=True)


VERBS: dict[str, Verb] = {
    "cp out": lambda look: look.run("cp", "box:/bait/it", look.taken),
    "cp out, followed": lambda look: look.run("cp", "-L", "box:/bait/it", look.taken),
    "cp out, below": lambda look: look.run("cp", "box:/bait/it/secret", look.taken),
    "cp out, the directory": lambda look: look.run("cp", "box:/bait", look.taken),
    "cp out, to a pipe": lambda look: look.run("cp", "box:/bait/it", "-"),
    "cp out of a volume": lambda look: look.run("cp", "box:/vol/it", look.taken),
    "cp in": lambda look: look.run("cp", look.given / "victim", "box:/bait/out"),
    "cp in, below": lambda look: look.run("cp", look.given / "victim", "box:/bait/it/victim"),
    "cp in, a directory": lambda look: look.run("cp", f"{look.given}/.", "box:/bait/it"),
    "cp in, from a pipe": lambda look: look.run("cp", "-", "box:/bait", given=look.archive),
    "cp in to a volume": lambda look: look.run("cp", look.given / "victim", "box:/vol/out"),
    "export": _export_and_unpack,
    "commit": _commit,
    "diff": _shown("diff", "box"),
    "top": _shown("top", "box"),
    "stats": _shown("stats", "--no-stream", "box"),
    "ps": _shown("ps", "-a", "--no-trunc"),
    "ps --size": _shown("ps", "-as"),
    "inspect": _shown("inspect", "box"),
    "explain": _shown("explain", "box"),
    "port": _shown("port", "box"),
    "logs": _words("logs", "box"),
    "attach": _attach,
    "health check": lambda look: look.run("healthcheck", "run", "box") or look.show(
        "inspect", "--format", "{{.State.Health.Log}}", "box"),
    "exec -u": _words("exec", "-u", "somebody", "box", "/bin/true"),
    "exec -w": _words("exec", "-w", "/bait/it", "box", "/bin/true"),
    "volume export": _volume_export,
    "volume import": _import,
    "volume of another": _words("run", "--rm", "--network", "none", "-v", "vol:/bait",
                                "busybox:test", "true"),
    "restart": _words("restart", "-t", "0", "box"),
}  # fmt: skip
