"""Units of the user's systemd that run containers: in the virtual machine of tests/vm.

Here the command has the person's real directories, because systemd starts it with those; each
test cleans up after itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.registry import Registry

pytestmark = pytest.mark.systemd
SSH = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
# a server in any container that sees the host's /usr: socket activation, then sd_notify
SERVER = """\
import http.server, os, socket, sys
server = http.server.HTTPServer(("", 0), http.server.SimpleHTTPRequestHandler, False)
if "LISTEN_FDS" in os.environ:
    assert os.environ["LISTEN_PID"] == str(os.getpid()), os.environ
    server.socket = socket.socket(fileno=3)
else:
    server.socket.bind(("", 8000))
    server.socket.listen()
print("serving", flush=True)
if "NOTIFY_SOCKET" in os.environ:
    while not os.path.exists("/data/go"):
        __import__("time").sleep(0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"READY=1\\nSTATUS=at your service\\nMAINPID=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
"""
PYTHON = "Volume=/usr:/usr:ro\nVolume=/lib:/lib:ro\nVolume=/lib64:/lib64:ro\n"


def environment() -> dict[str, str]:
    """What systemd gives to a service, as far as it matters."""
    runtime = f"/run/user/{os.getuid()}"
    return {
        "HOME": os.path.expanduser("~"),
        "USER": os.environ["USER"],
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "XDG_RUNTIME_DIR": runtime,
        "LANG": "C.UTF-8",
    }


def call(*words: str | Path, code: int | None = 0, timeout: float = 120) -> str:
    """Run a command with the person's own directories; what it said."""
    done = subprocess.run(
        [str(word) for word in words],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert code is None or done.returncode == code, (words, done.returncode, done.stdout)
    return done.stdout


def systemctl(*words: str, code: int | None = 0) -> str:
    """The user's systemd."""
    return call("systemctl", "--user", *words, code=code)


def shown(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit."""
    text = systemctl("show", unit, *(f"--property={name}" for name in names))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def until(what: str, condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            journal = call("journalctl", "--user", "--no-pager", "-n", "60", code=None)
            pytest.fail(f"{what}: {found!r} after {seconds} s\n{journal}")
        time.sleep(0.2)


def state(unit: str) -> str:
    """active, activating, inactive, failed."""
    return shown(unit, "ActiveState")["ActiveState"]


def fetch(port: int, path: str = "index.html") -> str:
    """A page of a server on the loopback, empty if none answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, busybox_tar: Path) -> Iterator[str]:
    """busybox in the person's own store."""
    call("rootless", "import", busybox_tar, "localhost/busybox:1")
    yield "localhost/busybox:1"
    call("rootless", "rmi", "--all", "--force", code=None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for files; afterwards no unit, container, volume or cgroup is left."""
    work = Path(os.path.expanduser("~/units-test"))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    yield work
    call("rootless", "quadlet", "rm", "--all", "--force", code=None)
    call("rootless", "rm", "--all", "--force", code=None)
    call("rootless", "volume", "prune", "--force", code=None)
    shutil.rmtree(work)

    def left() -> list[str]:
        words = ("--all", "--plain", "--no-legend", "rootless-*.scope", "web*")
        lines = systemctl("list-units", *words).splitlines()
        return [line for line in lines if " failed " not in line]

    until("nothing to be left", lambda: not left())
    systemctl("reset-failed")


def write(path: Path, text: str) -> Path:
    """Write a file."""
    path.write_text(text)
    return path


def test_a_web_server_as_a_unit(image: str, home: Path) -> None:
    # systemd would replace signs of a name and split it at spaces
    application = home / "50% web $app"
    application.mkdir()
    write(
        application / "web.container",
        f"""[Unit]
Description=The web

[Container]
Image={image}
Exec=sh -c 'echo started; cat /seed/index.html >/www/index.html; exec httpd -f -p 8000 -h /www'
Volume=web.volume:/www
Volume=./seed:/seed:ro
PublishPort=127.0.0.1:8100:8000
Memory=64m

[Service]
Restart=on-failure

[Install]
WantedBy=default.target
""",
    )
    write(application / "web.volume", "[Volume]\nLabel=made=by-unit\n")
    (application / "seed").mkdir()
    write(application / "seed/index.html", "hello from a unit\n")
    # with a mistake it is not installed
    write(home / "bad.container", f"[Container]\nImage={image}\nVolme=/x\n")
    found = call("rootless", "quadlet", "install", home / "bad.container", code=125)
    assert "bad.container:3: unknown key Volme= in [Container]" in found
    assert "is Volume= meant?" in found
    paths = call("rootless", "quadlet", "install", application).splitlines()
    base = Path(environment()["HOME"]) / ".config/rootless/units" / application.name
    assert {Path(one) for one in paths} == {
        base / "web.container", base / "web.volume", base / "seed/index.html",
    }  # fmt: skip
    row = json.loads(call("rootless", "quadlet", "list", "--format", "json").splitlines()[0])
    assert (row["Name"], row["UnitName"], row["App"]) == (
        "web.container", "web.service", application.name,
    )  # fmt: skip
    assert row["Status"] == "inactive/dead"
    # made by the generator, and systemd finds nothing wrong with it
    made = [shown(unit, "FragmentPath")["FragmentPath"] for unit in ("web", "web-volume")]
    assert made[0] == f"/run/user/{os.getuid()}/systemd/generator/web.service"
    assert "web" not in call("systemd-analyze", "--user", "verify", *made)
    systemctl("start", "web.service")
    properties = shown("web.service", "ActiveState", "MainPID", "SourcePath", "ControlGroup",
                       "UnitFileState", "WantedBy")  # fmt: skip
    assert properties["ActiveState"] == "active"
    assert properties["SourcePath"] == str(base / "web.container")
    needed = shown("web.service", "RequiresMountsFor")["RequiresMountsFor"]
    assert str(base / "seed") in needed.replace("\\", "")
    assert properties["WantedBy"] == "default.target"
    # its main process is the monitor, and all of it is in the unit's cgroup
    pid = properties["MainPID"]
    assert Path(f"/proc/{pid}/comm").read_text().startswith("rootless-monit")
    group = Path("/sys/fs/cgroup" + properties["ControlGroup"])
    assert pid in (group / "sup/cgroup.procs").read_text().split()
    inside = call("rootless", "inspect", "--format", "{{.State.Pid}}", "systemd-web").strip()
    assert (group / "ctr/cgroup.procs").read_text().split() == [inside]
    assert (group / "ctr/memory.max").read_text() == f"{64 << 20}\n"
    until("the page", lambda: fetch(8100) == "hello from a unit\n")
    assert "made" in call("rootless", "volume", "inspect", "systemd-web")
    # what can be done to a container of a unit
    assert call("rootless", "exec", "systemd-web", "cat", "/proc/self/cgroup") == "0::/\n"
    call("rootless", "update", "--memory", "96m", "systemd-web")
    assert (group / "ctr/memory.max").read_text() == f"{96 << 20}\n"
    assert "systemd-web" in call("rootless", "stats", "--no-stream")
    until("the log", lambda: "started" in call("journalctl", "--user", "-u", "web", "-o", "cat"))
    assert "started" in call("rootless", "logs", "systemd-web")
    found = call("rootless", "quadlet", "rm", application.name, code=125)
    assert "web.service is running" in found
    # it fails, and systemd starts it again
    os.kill(int(inside), signal.SIGKILL)
    until("a restart", lambda: shown("web.service", "NRestarts")["NRestarts"] == "1")
    until("the page again", lambda: fetch(8100) == "hello from a unit\n")
    # so it does when the monitor is killed
    os.kill(int(shown("web.service", "MainPID")["MainPID"]), signal.SIGKILL)
    until("a restart", lambda: shown("web.service", "NRestarts")["NRestarts"] == "2")
    until("the page again", lambda: fetch(8100) == "hello from a unit\n")
    systemctl("stop", "web.service")
    # stopped, not failed; no container, no cgroup
    assert shown("web.service", "ActiveState", "Result") == {
        "ActiveState": "inactive", "Result": "success",
    }  # fmt: skip
    assert call("rootless", "ps", "--all", "--quiet") == ""
    assert not group.exists()
    assert sorted(call("rootless", "quadlet", "rm", "web.service").split()) == [
        "web.container", "web.volume",
    ]  # fmt: skip
    assert not base.exists()
    assert shown("web.service", "LoadState")["LoadState"] == "not-found"


def test_a_socket_and_a_container_that_tells(image: str, home: Path) -> None:
    """The container's network is none of its own, and still the port answers."""
    for name, text in (
        ("server.py", SERVER),
        ("index.html", "hello by socket\n"),
        ("web.socket", "[Socket]\nListenStream=127.0.0.1:8101\nFileDescriptorName=page\n"),
        (
            "web.container",
            f"[Container]\nImage={image}\nNetwork=none\nNotify=yes\nWorkingDir=/data\n"
            f"Volume=%h/units-test:/data\n{PYTHON}"
            "Exec=/usr/bin/python3 -u /data/server.py\n"
            "[Service]\nWatchdogSec=300\n",
        ),
    ):
        write(home / name, text)
    call("rootless", "quadlet", "install", home / "web.container", home / "web.socket")
    systemctl("start", "web.socket")
    assert state("web.service") == "inactive"
    client = subprocess.Popen(
        ["python3", "-c", "import urllib.request as u;"
         "print(u.urlopen('http://127.0.0.1:8101/index.html', timeout=300).read().decode())"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until("the start", lambda: "serving" in call("rootless", "logs", "systemd-web", code=None))
        # it serves already, and has not said so to systemd
        assert state("web.service") == "activating"
        (home / "go").touch()
        until("readiness", lambda: state("web.service") == "active")
        output, _ = client.communicate(timeout=200)
    finally:
        client.kill()
    assert output.strip() == "hello by socket"
    found = shown("web.service", "StatusText", "MainPID", "TriggeredBy")
    assert found["StatusText"] == "at your service"
    assert found["TriggeredBy"] == "web.socket"
    comm = Path(f"/proc/{found['MainPID']}/comm").read_text()
    assert comm.startswith("rootless-monit"), "what the container says of pids means nothing here"
    assert fetch(8101) == "hello by socket\n"
    systemctl("stop", "web.socket", "web.service")
    assert shown("web.service", "Result") == {"Result": "success"}


@pytest.mark.long
def test_a_person_without_the_generator(image: str, home: Path) -> None:
    """Where root has installed nothing the units are written where systemd reads them."""
    generator = "/usr/local/lib/systemd/user-generators/rootless-generator"
    as_root(f"mv {generator} /root/")
    try:
        write(
            home / "job.container",
            f"[Container]\nImage={image}\nExec=echo the job is done\n"
            "[Service]\nType=oneshot\nRemainAfterExit=yes\n[Install]\nWantedBy=default.target\n",
        )
        call("rootless", "quadlet", "install", home / "job.container")
        directory = Path(environment()["HOME"]) / ".config/systemd/user"
        assert (directory / "default.target.wants/job.service").is_symlink()
        systemctl("start", "job.service")
        assert state("job.service") == "active"
        log = call("journalctl", "--user", "-u", "job", "-o", "cat")
        assert "the job is done" in log
        # a unit of the person's own is never overwritten
        systemctl("stop", "job.service")
        write(directory / "mine.service", "[Service]\nExecStart=/bin/true\n")
        write(home / "mine.container", f"[Container]\nImage={image}\n")
        found = call("rootless", "quadlet", "install", home / "mine.container", code=125)
        assert f"{directory}/mine.service exists" in found
        (directory / "mine.service").unlink()
        call("rootless", "quadlet", "rm", "--all")
        assert [one for one in directory.rglob("*") if one.suffix == ".service"] == []
        assert shown("job.service", "LoadState")["LoadState"] == "not-found"
    finally:
        as_root(f"mv /root/rootless-generator {generator}")


def as_root(script: str) -> str:
    """Run a script as root of the machine."""
    return call(*SSH, "root@127.0.0.1", script)


def test_a_plain_unit(image: str, home: Path) -> None:
    directory = Path(environment()["HOME"]) / ".config/systemd/user"
    directory.mkdir(parents=True, exist_ok=True)
    # it does not listen to SIGTERM: killed in the end, which is no failure of the unit
    call("rootless", "create", "--name", "web", "-e", "A=$x", "--stop-timeout", "1", image, "sh",
         "-c", "echo $A; exec sleep 1000")  # fmt: skip
    for more, name in (([], "webold"), (["--new"], "webnew")):
        path = directory / f"{name}.service"
        write(path, call("rootless", "generate", "systemd", "--name", *more, "web"))
        assert name not in call("systemd-analyze", "--user", "verify", path)
        systemctl("daemon-reload")
        systemctl("start", f"{name}.service")
        assert state(f"{name}.service") == "active"
        until("it runs", lambda: "Up" in call("rootless", "ps", "--filter", "name=web"))
        until("output", lambda: "$x" in call("rootless", "logs", "web"))
        systemctl("stop", f"{name}.service")
        assert shown(f"{name}.service", "Result", "ActiveState") == {
            "Result": "success", "ActiveState": "inactive",
        }  # fmt: skip
        assert call("rootless", "ps", "--quiet") == ""
        path.unlink()
    systemctl("daemon-reload")


@pytest.mark.long
def test_updates_and_the_way_back(
    image: str, home: Path, busybox_tar: Path, tmp_path: Path
) -> None:
    """Three versions in a registry; the third never becomes healthy."""
    sources = {}
    for version, good in ((1, True), (2, True), (3, False)):
        tar = tmp_path / f"{version}.tar"
        shutil.copy(busybox_tar, tar)
        with tarfile.open(tar, "a") as archive:
            for name in [f"version-{version}", *(["good"] if good else [])]:
                archive.addfile(tarfile.TarInfo(name))
        call("rootless", "import", tar, f"localhost/made:{version}")
        saved = tmp_path / f"{version}.saved"
        call("rootless", "save", "-o", saved, f"localhost/made:{version}")
        sources[version] = f"docker-archive:{saved}"

    def updated(*words: str, code: int = 0) -> dict[str, str]:
        text = call("rootless", "auto-update", "--format", "{{.Unit}} {{.Updated}}", *words,
                    code=code)  # fmt: skip
        rows = [line.split(" ", 1) for line in text.splitlines() if ".service " in line]
        return dict(rows)

    with Registry(tmp_path / "registry") as registry:
        name = registry.push(sources[1], "app:latest")
        write(
            home / "web.container",
            f"[Container]\nImage={name}\nAutoUpdate=registry\nExec=sleep 1000\nStopTimeout=0\n"
            "HealthCmd=test -e /good\nHealthInterval=1s\nHealthRetries=2\nNotify=healthy\n"
            "[Service]\nTimeoutStartSec=30\n",
        )
        call("rootless", "quadlet", "install", home / "web.container")
        systemctl("start", "web.service")
        registry.push(sources[2], "app:latest")
        assert updated("--dry-run") == {"web.service": "pending"}
        assert updated() == {"web.service": "true"}
        assert "version-2" in call("rootless", "exec", "systemd-web", "ls", "/")
        registry.push(sources[3], "app:latest")
        assert updated() == {"web.service": "rolled back"}
        assert "version-2" in call("rootless", "exec", "systemd-web", "ls", "/")
        assert "(healthy)" in call("rootless", "ps")
        # and the service is left alone until there is a newer one
        assert "note: web.service is not updated: the image" in call("rootless", "auto-update")
        systemctl("stop", "web.service")
    call("rootless", "service", "enable", "auto-update")
    assert "rootless-auto-update.timer" in systemctl("list-timers", "--all")
    files = [f"{environment()['HOME']}/.config/systemd/user/rootless-auto-update.{kind}"
             for kind in ("service", "timer")]  # fmt: skip
    assert "rootless" not in call("systemd-analyze", "--user", "verify", *files)
    call("rootless", "service", "disable", "auto-update")
    assert "rootless-auto-update" not in systemctl("list-timers", "--all")
