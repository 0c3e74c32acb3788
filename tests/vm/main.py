"""Runs the tests marked `systemd` in a virtual machine.

    tests/vm/run [--suite bullseye|bookworm|trixie] [--daily] [--tree DIR] [--shell] [--junit FILE]
                 [WORD...]

  --suite S     the Debian release of the machine (bookworm)
  --daily       without the tests marked long
  --tree DIR    a built tree to copy into it; without, this one is copied and built here first
  --shell       no tests: a shell of the lingering user, and the machine ends when it ends
  --root        with --shell, root's shell
  --junit FILE  where the results go, in JUnit's XML (none)
  --reports FILE  where they go for the summary of tests/run (none)
  WORD...       passed on to pytest, for example: -k pause -x

The disk is made once a month by mmdebstrap (as root), kept in /var/cache/rootless-tests with a
snapshot of the booted machine; a run starts from the snapshot and never writes to it.
Users there: tester (lingers, all controllers delegated), plain (lingers, what Debian delegates),
fleeting (does not linger); the tests reach all of them, and root, by ssh on the loopback.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from xml.etree import ElementTree

from image import HERE, SUITES, Image
from machine import Machine, check

sys.path.append(str(HERE.parent))
from ways_in.building import compile_into

TREE = HERE.parent.parent
CACHE = pathlib.Path("/var/cache/rootless-tests")
PYTHONS = {"bullseye": "3.11", "bookworm": "3.11", "trixie": "3.13"}
# where the machine's own Python is older than what the project needs, that of a newer Debian
BROUGHT = {"bullseye": "bookworm"}
REBOOT = "tests/integration/test_systemd_reboot.py"
TOOLS = ["pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.5", "cffi", "click",
         "platformdirs", "rich", "hypothesis", "backports.zstd"]  # fmt: skip


def say(words: str) -> None:
    """One line, at once."""
    print(f"tests/vm: {words}", flush=True)


def site(suite: str) -> pathlib.Path:
    """What the tests import, for the Python of that suite; made once."""
    key = hashlib.sha256("\n".join([PYTHONS[suite], *TOOLS]).encode()).hexdigest()[:12]
    path = CACHE / f"vm-site-{key}"
    if not path.exists():
        say(f"fetching the test tools for Python {PYTHONS[suite]}")
        with tempfile.TemporaryDirectory(prefix="partial-site-", dir=CACHE) as name:
            made = pathlib.Path(name) / "made"
            subprocess.run(
                [
                    os.environ.get("ROOTLESS_TEST_PIP", sys.executable), "-m", "pip", "install",
                    "--quiet", "--disable-pip-version-check", "--target", str(made),
                    "--python-version", PYTHONS[suite], "--only-binary", ":all:",
                    "--no-compile", *TOOLS,
                ],
                check=True,
            )  # fmt: skip
            os.rename(made, path)
        path.chmod(0o755)
    return path


# the newer Debian's own C library and loader: those of the machine are older
# (the loader by its real name: lib64 has a link that leads to the machine's own)
WRAPPER = """#!/bin/sh
exec /opt/python/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --argv0 \\
/opt/python/bin/python3 --library-path \\
/opt/python/lib/x86_64-linux-gnu:/opt/python/usr/lib/x86_64-linux-gnu \\
/opt/python/usr/bin/python3.11 "$@"
"""
COMPILE = ["-m", "compileall", "-q", "-x", "/(test|idlelib|lib2to3|distutils)/"]


def interpreter(suite: str) -> pathlib.Path:
    """A Python of another Debian that runs from /opt/python; made once a month, as root."""
    key = hashlib.sha256("\n".join([WRAPPER, *COMPILE]).encode()).hexdigest()[:12]
    path = CACHE / f"vm-python-{suite}-{datetime.date.today():%Y-%m}-{key}"
    if not path.exists():
        say(f"fetching the Python of {suite}")
        for old in CACHE.glob(f"vm-python-{suite}-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix="partial-python-", dir=CACHE) as name:
            made = pathlib.Path(name) / "made"
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=extract", "--include=python3.11,libc6", suite,
                 str(made)],
                check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            for unused in ("usr/share", "var", "dev", "proc", "sys"):
                shutil.rmtree(made / unused, ignore_errors=True)
            # the interpreter looks for its library beside the name that it is called by
            (made / "lib/python3.11").symlink_to("../usr/lib/python3.11")
            program = made / "bin/python3"
            program.parent.mkdir(exist_ok=True)
            program.unlink(missing_ok=True)
            program.write_text(WRAPPER)
            program.chmod(0o755)
            # packages that were only unpacked have no bytecode, and nobody there may write it
            libraries = f"{made}/lib/x86_64-linux-gnu:{made}/usr/lib/x86_64-linux-gnu"
            subprocess.run(
                [
                    made / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "--library-path", libraries,
                    made / "usr/bin/python3.11", *COMPILE, "-s", made, "-p", "/opt/python",
                    made / "usr/lib/python3.11",
                ],
                check=True, env={"PYTHONHOME": str(made / "usr")},
            )  # fmt: skip
            os.rename(made, path)
        path.chmod(0o755)
    return path


def build(tree: pathlib.Path) -> None:
    """Build helpers and extension in place."""
    # the system's own Python need not have cffi; what tests/run has made does
    made = sorted(CACHE.glob("venv-*/bin/python"), key=os.path.getmtime)
    python = os.environ.get("ROOTLESS_TEST_PIP") or (made[-1] if made else sys.executable)
    subprocess.run(
        [python, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tree,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # without cffi setuptools only warns that it does not know what the extension is
    if not list(tree.glob("rootless/kernel/_syscalls*.so")):
        raise SystemExit(
            f"tests/vm: error: {python} has not built rootless/kernel/_syscalls\n"
            "hint: tests/run --prepare, or apt-get install python3-cffi"
        )


def arguments() -> tuple[argparse.Namespace, list[str]]:
    """The words of the command line; what is not ours is pytest's."""
    parser = argparse.ArgumentParser(
        prog="tests/vm/run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--suite", choices=SUITES, default="bookworm")
    parser.add_argument("--daily", action="store_true")
    parser.add_argument("--tree", type=pathlib.Path)
    parser.add_argument("--shell", action="store_true")
    parser.add_argument("--root", action="store_true")
    parser.add_argument("--junit", type=pathlib.Path)
    parser.add_argument("--reports", type=pathlib.Path)
    return parser.parse_known_args()


def program(suite: str) -> str:
    """The interpreter in the machine."""
    return "/opt/python/bin/python3" if suite in BROUGHT else "/usr/bin/python3"


def _copy(source: pathlib.Path, target: pathlib.Path, *excluded: str) -> None:
    """Copy a directory's content; all of it belongs to root there."""
    target.mkdir(parents=True)
    words = ["tar", "-C", source, *(f"--exclude={one}" for one in excluded), "-cf", "-", "."]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["tar", "-C", target, "--no-same-owner", "-xf", "-"], stdin=tar.stdout, check=True
        )
    if tar.returncode:
        raise SystemExit(f"tests/vm: error: {source} cannot be copied")


def copy_in(machine: Machine, tree: pathlib.Path, suite: str) -> None:
    """The tree and the tools, and a command on the PATH of everybody there."""
    stage = machine.work / "opt"
    _copy(tree, stage / "tree", "./.git", "./build", "./.*_cache", "./tests/vm")
    _copy(site(suite), stage / "site")
    # there is no compiler
    programs = stage / "ways-in"
    programs.mkdir()
    compile_into(programs)
    if suite in BROUGHT:
        _copy(interpreter(BROUGHT[suite]), stage / "python")
    subprocess.run(["chmod", "-R", "a+rX", stage], check=True)
    python = program(suite)
    # bytecode is made on this side if the Pythons are the same
    mine = f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHONS[suite]
    if mine:
        words = ["-m", "compileall", "-q", "-s", stage, "-p", "/opt"]
        subprocess.run(
            [sys.executable, *words, stage / "tree/rootless", stage / "site"],
            stdout=subprocess.DEVNULL,
        )
    machine.attach(stage, "/opt")
    shutil.rmtree(stage)
    machine.run(
        "root",
        [
            f"printf '#!{python} -IS\\nimport sys\\n"
            "sys.path[:0] = [\"/opt/tree\", \"/opt/site\"]\\n"
            "from rootless.cli.main import main\\nsys.exit(main())\\n' >/usr/local/bin/rootless && "
            "sed s/rootless.cli.main/rootless.quadlet.generator/ /usr/local/bin/rootless "
            ">/usr/local/bin/rootless-generator && chmod 755 /usr/local/bin/rootless* && "
            "mkdir -p /usr/local/lib/systemd/user-generators && "
            "ln -s ../../../bin/rootless-generator /usr/local/lib/systemd/user-generators/ && "
            + ("true" if mine else f"{python} -m compileall -q /opt/tree/rootless /opt/site; true")
        ],
        timeout=300,
    )  # fmt: skip


def run_tests(machine: Machine, words: list[str], given: argparse.Namespace) -> int:
    """Run pytest there as the lingering user, its output here; its exit status."""
    key = machine.image.key.read_bytes()
    # the tests log in as the other users with the same key
    subprocess.run(
        [*machine.ssh("tester"), "umask 077; cat >~/.ssh/id_ed25519"], input=key, check=True
    )
    named = [word for word in words if word.startswith("tests/")]
    words = [word for word in words if not word.startswith("tests/")]
    files = named or modules(given.tree or TREE)
    if given.suite == "bullseye":
        # its podman is older than what the tests of the runtime beside podman use
        files = [name for name in files if "test_runtime_podman" not in name]
    marks = "systemd and not long" if given.daily else "systemd"
    # a test that lives through a boot is in two parts; the first is the last before it
    reboot = REBOOT in files
    files = [name for name in files if name != REBOOT]
    if reboot:
        files.append(f"{REBOOT}::test_before")
    results = [_pytest(machine, given.suite, marks, [*words, *files], "junit-1.xml")]
    if reboot and not machine.run("tester", ["test -e reboot-test/boot"], check=False).returncode:
        say("booting again")
        machine.reboot()
        words.append(f"{REBOOT}::test_after")
        results.append(_pytest(machine, given.suite, marks, words, "junit-2.xml"))
    if given.junit is not None:
        given.junit.write_text(_joined(machine))
    if given.reports is not None:
        found = machine.run("tester", ["cat", "reports"], check=False)
        given.reports.write_text("" if found.returncode else found.stdout)
    # 5 of one part: it had none of the chosen tests
    return next((one for one in results if one not in (0, 5)), min(results))


def modules(tree: pathlib.Path) -> list[str]:
    """The files that have tests for such a machine: importing the others takes long there."""
    return [
        str(path.relative_to(tree))
        for path in sorted((tree / "tests/integration").glob("test_*.py"))
        if "mark.systemd" in path.read_text()
    ]


def _joined(machine: Machine) -> str:
    """The results of all parts in one document of JUnit's XML."""
    whole = ElementTree.Element("testsuites")
    for number in (1, 2):
        found = machine.run("tester", ["cat", f"junit-{number}.xml"], check=False)
        if found.returncode == 0:
            whole.extend(ElementTree.fromstring(found.stdout))
    return ElementTree.tostring(whole, encoding="unicode")


def _pytest(machine: Machine, suite: str, marks: str, words: list[str], junit: str) -> int:
    """One call of pytest there; its exit status."""
    command = (
        "cd /opt/tree && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/tree:/opt/site "
        "ROOTLESS_TEST_SITE=/opt/site ROOTLESS_TEST_WAYS_IN=/opt/ways-in "
        "ROOTLESS_TEST_REPORTS_OUT=$HOME/reports timeout 3000 "
        f"{program(suite)} -m pytest -p no:cacheprovider -p no:xdist -m '{marks}' --timeout 600 "
        # what tests record for their tables has a place only in the older kind of the document
        f"--junitxml=$HOME/{junit} -o junit_family=xunit1 "
        + " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    )
    return subprocess.run(
        [*machine.ssh("tester", "-tt" if sys.stdout.isatty() else "-T"), command],
        stdin=subprocess.DEVNULL,
        timeout=3100,
    ).returncode


def main() -> int:
    """The command."""
    given, words = arguments()
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    check()
    image = Image(given.suite, CACHE)
    CACHE.mkdir(exist_ok=True)
    if not image.ready():
        say(f"making a disk of {given.suite}")
        image.make()
    tree = given.tree
    if tree is None:
        tree = TREE
        build(tree)
    with (
        tempfile.TemporaryDirectory(prefix="rootless-vm-", dir="/var/tmp") as name,
        Machine(image, pathlib.Path(name)) as machine,
    ):
        copy_in(machine, tree, given.suite)
        say(f"{given.suite} is up after {time.monotonic() - began:.0f} s")
        if given.shell:
            user = "root" if given.root else "tester"
            return subprocess.run([*machine.ssh(user)]).returncode
        return run_tests(machine, words, given)


if __name__ == "__main__":
    sys.exit(main())
