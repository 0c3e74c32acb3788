"""Flags of `run` one by one: ids, devices, variables, names, and how scripts read them back."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Command, Place
from integration.registry import free_port


@pytest.fixture
def closed(place: Place) -> Place:
    """A place whose data directory is as `run` makes it by itself: closed to everybody else."""
    place.data.chmod(0o700)
    return place


def test_keep_id_shows_the_person_s_files_as_the_person_s(
    rootless: Command, busybox_image: str, closed: Place
) -> None:
    shared = closed.work / "shared"
    shared.mkdir()
    (shared / "mine").write_text("text\n")
    script = "id -u; id -g; stat -c %u:%g /s/mine; echo from inside >/s/new; touch /tmp/x"
    found = rootless("run", "--rm", "--userns", "keep-id", "-v", f"{shared}:/s", busybox_image,
                     "sh", "-c", script)  # fmt: skip
    me, group = os.getuid(), os.getgid()
    assert found.stdout.split() == [str(me), str(group), f"{me}:{group}"]
    assert (shared / "new").stat().st_uid == me
    other = rootless("run", "--rm", "--userns", "keep-id:uid=5,gid=6", "-v", f"{shared}:/s",
                     busybox_image, "sh", "-c", "id -u; stat -c %u:%g /s/mine")  # fmt: skip
    assert other.stdout.split() == ["5", "5:6"]
    # who asks for root inside gets it, and is somebody else outside
    root = rootless("run", "--rm", "--userns", "keep-id", "-u", "0", "-v", f"{shared}:/s",
                    busybox_image, "sh", "-c", "id -u; stat -c %u /s/mine")  # fmt: skip
    assert root.stdout.split() == ["0", str(me)]
    wrong = rootless("run", "--rm", "--userns", "keep-id:uid=x", busybox_image, "true", code=125)
    assert 'invalid --userns "keep-id:uid=x"' in wrong.stderr


@pytest.mark.single
def test_keep_id_with_a_single_id(rootless: Command, busybox_image: str, place: Place) -> None:
    (place.work / "mine").write_text("text\n")
    found = rootless("run", "--rm", "--userns", "keep-id", "-v", f"{place.work}:/s", busybox_image,
                     "sh", "-c", "id -u; stat -c %u /s/mine")  # fmt: skip
    assert found.stdout.split() == [str(os.getuid())] * 2


def test_nomap_keeps_the_person_out_of_the_container(
    rootless: Command, busybox_image: str, closed: Place
) -> None:
    words = ("run", "--rm", "--userns", "nomap", busybox_image, "cat", "/proc/self/uid_map")
    # its root is none of ours, and may not even look for its files
    refused = rootless(*words, code=125)
    assert f"cannot pass through {closed.data}" in refused.stderr
    assert f"chmod o+x {closed.data}" in refused.stderr
    closed.data.chmod(0o711)
    for line in rootless(*words).stdout.splitlines():
        _, outside, count = map(int, line.split())
        assert not outside <= os.getuid() < outside + count


def test_maps_by_hand(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--uidmap", "0:0:10", "--gidmap", "0:0:5", busybox_image, "cat",
                     "/proc/self/uid_map", "/proc/self/gid_map")  # fmt: skip
    rows = [list(map(int, line.split())) for line in found.stdout.splitlines()]
    assert rows[0] == [0, os.getuid(), 1]
    assert sum(row[2] for row in rows) == 15
    for words in (["--uidmap", "0:70000:9"], ["--uidmap", "0"], ["--gidmap", "a:b:c"]):
        assert rootless("run", "--rm", *words, busybox_image, "true", code=125).stderr


@pytest.mark.usefixtures("everyone")
def test_one_id_by_choice(rootless: Command, busybox_image: str) -> None:
    found = rootless(
        "run", "--rm", "--userns", "single", busybox_image, "cat", "/proc/self/uid_map"
    )
    assert found.stdout.split() == ["0", str(os.getuid()), "1"]
    same = rootless("run", "--rm", "--userns", "host", busybox_image, "id", "-u")
    assert same.stdout == "0\n"


def test_devices_under_other_names(rootless: Command, busybox_image: str) -> None:
    def listed(*words: str) -> str:
        script = "ls -l /dev/renamed /dev/n/tun /dev/fuse 2>/dev/null; true"
        return rootless("run", "--rm", *words, busybox_image, "sh", "-c", script).stdout

    assert "10, 229" in listed("--device", "/dev/fuse:/dev/renamed:rwm")
    assert "10, 200" in listed("--device", "/dev/net:/dev/n")
    # another runtime, which may not make nodes either
    assert "10, 229" in listed("--device", "/dev/fuse", "--runtime", "crun")
    # all that the person can open, and nobody else's
    assert "10, 229" in listed("--privileged")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "/dev/not-there"], "no such file or directory"),
        (["--device", "/etc/passwd"], "/etc/passwd is not a device"),
        (["--device", "fuse"], 'invalid --device "fuse"'),
        (["--device", "/dev/fuse:/dev/fuse:r"], "cannot be enforced without root"),
        (["--device", "/etc/apt"], "there is no device in /etc/apt"),
        (["--hostname", "two words"], 'invalid --hostname "two words"'),
        (["--hostname", "-x"], 'invalid --hostname "-x"'),
        (["--dns", "resolver"], 'invalid --dns "resolver"'),
        (["--add-host", "db:nowhere"], 'invalid --add-host "db:nowhere"'),
        (["--add-host", "db"], 'invalid --add-host "db"'),
        (["--tz", "Mars/Phobos"], 'there is no time zone "Mars/Phobos"'),
        (["--tz", "../../etc/passwd"], 'invalid --tz "../../etc/passwd"'),
        (["--tz", "/etc/passwd"], 'invalid --tz "/etc/passwd"'),
        (["--tz", "Europe"], 'there is no time zone "Europe"'),
        (["--attach", "stdlog"], 'invalid --attach "stdlog"'),
        (["-d", "-a", "stdout"], "--attach and --detach contradict"),
        (["--expose", "80/icmp"], 'unknown protocol "icmp"'),
        (["--expose", "99999"], '"99999"'),
        (["--sig-proxy", "perhaps"], 'true or false, not "perhaps"'),
        (["--platform", "plan9/z80", "--pull", "never"], "is for linux/"),
        (["--memory-swappiness", "3"], "--memory-swappiness cannot be had"),
        (["--kernel-memory", "3m"], "--kernel-memory cannot be had"),
        (["--oom-kill-disable"], "--oom-kill-disable cannot be had"),
        (["--cpu-rt-runtime", "3"], "--cpu-rt-runtime cannot be had"),
        (["--cpu-rt-period", "3"], "--cpu-rt-period cannot be had"),
        (["--oom-score-adj", "2000"], "--oom-score-adj 2000"),
        (["--ulimit", "nofile=999999999"], "--ulimit nofile=999999999"),
        (["--network", "slirp4netns:colour=red"], 'unknown option "colour=red"'),
        (["--network", "none", "-p", "8080:80"], "--network none"),
        (["--log-opt", "colour=red"], 'invalid --log-opt "colour=red"'),
        (["--log-opt", "tag=x"], "--log-opt tag needs --log-driver journald"),
        (["--log-opt", "path=/no/such/file"], "/no/such cannot be written to"),
        (["--log-opt", "max-file=0"], 'invalid --log-opt "max-file=0"'),
        (["--log-driver", "none", "--log-opt", "max-size=1m"], "for the log driver none"),
        (["--label-file", "/no/such/file"], "/no/such/file"),
        (["--env", "=x"], 'invalid environment variable "=x"'),
        (["--shm-size", "large"], 'invalid size "large"'),
        (["--pid", "container:nobody"], '"nobody"'),
        (["--tmpfs", "relative"], '"relative" is not an absolute path'),
        (["--storage-driver", "zfs"], 'unknown storage driver "zfs"'),
        (["-v", "a:b:c:d"], 'invalid volume "a:b:c:d"'),
        (["-v", "/etc:/"], 'cannot cover "/"'),
    ],
)
def test_a_wrong_value_is_named_and_leaves_nothing(
    rootless: Command, busybox_image: str, words: list[str], said: str
) -> None:
    found = rootless("run", *words, busybox_image, "true", code=125)
    assert said in found.stderr, found
    assert found.stderr.count("\n") <= 2, found
    assert rootless("ps", "-aq").stdout == ""


def test_the_time_zone_of_an_image_without_data(rootless: Command, busybox_image: str) -> None:
    def zone(*words: str) -> str:
        return rootless("run", "--rm", *words, busybox_image, "date", "+%Z%z").stdout.strip()

    assert zone("--tz", "Asia/Tokyo") == "JST+0900"
    assert zone("--tz", "UTC") == "UTC+0000"
    # the host's, as date(1) tells it outside any container
    here = subprocess.run(["date", "+%Z%z"], env={}, stdout=subprocess.PIPE, text=True, check=True)
    assert zone("--tz", "local") == here.stdout.strip()


@pytest.mark.usefixtures("everyone")
def test_variables(rootless: Command, busybox: Path, place: Place) -> None:
    _image_with_settings(rootless, busybox, place)

    def env(*words: str) -> dict[str, str]:
        out = rootless("run", "--rm", *words, "set:test", "env", env={"OURS": "outer"}).stdout
        return dict(line.split("=", 1) for line in out.splitlines())

    assert env()["COLOUR"] == "red"
    assert "OURS" not in env()
    # what is given later wins: image, file, -e
    (place.work / "env").write_text("COLOUR=green\n")
    assert env("--env-host")["OURS"] == "outer"
    assert env("--env-file", "env")["COLOUR"] == "green"
    assert env("--env-file", "env", "-e", "COLOUR=blue")["COLOUR"] == "blue"
    assert "COLOUR" not in env("--unsetenv", "COLOUR")
    assert "COLOUR" not in env("--unsetenv-all")
    assert env("--unsetenv-all", "--env", "X=1")["X"] == "1"


def _image_with_settings(rootless: Command, busybox: Path, place: Place) -> None:
    root = place.work / "set-root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for name in ("sh", "env", "sleep", "cat", "true"):
        (root / "bin" / name).symlink_to("busybox")
    tar = place.work / "set.tar"
    subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
    settings = ("ENV COLOUR=red", "EXPOSE 80/tcp 53/udp", "LABEL from=image", 'CMD ["cat"]',
                "STOPSIGNAL SIGUSR1")  # fmt: skip
    rootless("import", "-q", *(w for one in settings for w in ("-c", one)), tar, "set:test")


def test_what_scripts_read_back(rootless: Command, busybox: Path, place: Place) -> None:
    _image_with_settings(rootless, busybox, place)
    (place.work / "labels").write_text("team=a\n# no label\nfloor=3\n")
    port = free_port()
    rootless("run", "-d", "--name", "c", "--label-file", "labels", "--label", "floor=4",
             "--annotation", "why=test", "--cap-add", "SYS_PTRACE", "--cap-drop", "CHOWN",
             "-p", f"127.0.0.1:{port}:80", "--ulimit", "nofile=64:128", "--tmpfs", "/t:size=1m",
             "--oom-score-adj", "900", "--pid", "host", "--stop-timeout", "1",
             "set:test", "sleep", "1000")  # fmt: skip

    def shown(template: str) -> str:
        return rootless("inspect", "--format", template, "c").stdout.rstrip("\n")

    assert shown('{{index .Config.Labels "floor"}} {{.Config.Labels.team}}') == "4 a"
    assert shown("{{json .HostConfig.Annotations}}") == '{"why":"test"}'
    assert shown("{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}") == "[CAP_SYS_PTRACE] [CAP_CHOWN]"
    where = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    assert shown(where) == str(port)
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    assert shown(address) == shown("{{.NetworkSettings.IPAddress}}") == "10.0.2.100"
    assert shown("{{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}") == "host private"
    assert shown("{{range $k, $v := .HostConfig.Tmpfs}}{{$k}}={{$v}}{{end}}") == "/t=size=1m"
    assert shown("{{if .State.Running}}up{{else}}down{{end}}") == "up"
    assert shown("{{.Config.StopSignal}} {{.Config.Cmd}}") == "SIGUSR1 [sleep 1000]"
    assert rootless("ps", "--format", '{{.Names}} {{.Label "team"}}').stdout == "c a\n"
    assert rootless("ps", "--format", '{{.Label "none"}}').stdout == "\n"
    pid = rootless("inspect", "--format", "{{.State.Pid}}", "c").stdout.strip()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "900\n"
    rootless("rm", "-f", "c")
    rootless("create", "--name", "p", "-P", "--expose", "81-82", "set:test")
    ports = json.loads(shown_ports(rootless))
    assert set(ports) == {"80/tcp", "53/udp", "81/tcp", "82/tcp"}


def shown_ports(rootless: Command) -> str:
    """The ports of the container p as JSON."""
    return rootless("inspect", "--format", "{{json .HostConfig.PortBindings}}", "p").stdout


def test_resolver_options(rootless: Command, busybox_image: str) -> None:
    given = (
        "--dns",
        "10.9.8.7",
        "--dns",
        "fd00::1",
        "--dns-option",
        "ndots:2",
        "--dns-search",
        ".",
    )
    found = rootless("run", "--rm", *given, busybox_image, "cat", "/etc/resolv.conf")
    assert found.stdout == "nameserver 10.9.8.7\nnameserver fd00::1\noptions ndots:2\n"
    assert rootless("run", "--rm", "--dns", "none", busybox_image, "cat",
                    "/etc/resolv.conf").stdout == ""  # fmt: skip


def test_volumes_in_their_ways(rootless: Command, busybox_image: str, place: Place) -> None:
    shared = place.work / "shared"
    shared.mkdir()
    (shared / "f").write_text("outside\n")
    over = rootless("run", "--rm", "-v", f"{shared}:/s:O", busybox_image, "sh", "-c",
                    "echo inside >/s/f; cat /s/f")  # fmt: skip
    assert over.stdout == "inside\n"
    assert (shared / "f").read_text() == "outside\n"
    own = rootless("run", "--rm", "-u", "1000:2000", "-v", f"{shared}:/s:U", busybox_image, "sh",
                   "-c", "stat -c %u:%g /s/f; echo mine >/s/g")  # fmt: skip
    assert own.stdout == "1000:2000\n"
    back = rootless("run", "--rm", "-v", f"{shared}:/s:U", busybox_image, "true")
    assert back.code == 0
    assert (shared / "g").stat().st_uid == os.getuid()
    relative = rootless("run", "--rm", "-v", "./shared:/s", busybox_image, "ls", "/s")
    assert relative.stdout == "f\ng\n"
    # a volume that nobody made before, and what the image has there
    rootless("run", "--rm", "-v", "papers:/etc", busybox_image, "sh", "-c", "echo 1 >/etc/new")
    assert "new" in rootless("run", "--rm", "--mount", "type=volume,src=papers,dst=/p",
                             busybox_image, "ls", "/p").stdout  # fmt: skip
    assert (
        "passwd" in rootless("run", "--rm", "-v", "papers:/p:ro", busybox_image, "ls", "/p").stdout
    )
    empty = rootless("run", "--rm", "-v", "bare:/etc:nocopy", busybox_image, "ls", "/etc/passwd",
                     code=1)  # fmt: skip
    assert "passwd" in empty.stderr
    assert rootless("volume", "ls", "-q").stdout.split() == ["bare", "papers"]


def test_the_log_in_a_file_of_ones_own(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("run", "--name", "c", "--log-driver", "json-file", "--log-opt", "path=mine.log",
             busybox_image, "echo", "written")  # fmt: skip
    line = json.loads((place.work / "mine.log").read_text())
    assert (line["log"], line["stream"]) == ("written\n", "stdout")
    assert rootless("logs", "c").stdout == "written\n"
    shown = rootless("inspect", "--format", "{{.LogPath}} {{.HostConfig.LogConfig.Config}}", "c")
    assert shown.stdout == f"{place.work}/mine.log map[path:mine.log]\n"
    rootless("rm", "c")
    # the person's file is the person's
    assert (place.work / "mine.log").exists()


def test_a_journal_that_is_not_there(rootless: Command, busybox_image: str) -> None:
    words = ("run", "--rm", "--log-driver", "journald", busybox_image, "true")
    if os.path.exists("/run/systemd/journal/socket"):
        rootless(*words)
    else:
        assert "journal does not run here" in rootless(*words, code=125).stderr


@pytest.mark.usefixtures("everyone")
def test_some_streams_only(rootless: Command, busybox_image: str) -> None:
    script = "cat; echo out; echo err >&2"
    words = ("--network", "none", busybox_image, "sh", "-c", script)
    # what this host cannot do is told once, by this
    rootless("run", "--rm", busybox_image, "true")
    out = rootless("run", "--rm", "-a", "stdout", *words, input="unread")
    assert (out.stdout, out.stderr) == ("out\n", "")
    err = rootless("run", "--rm", "-i", "-a", "stdin", "-a", "stderr", *words, input="read")
    assert (err.stdout, err.stderr) == ("", "err\n")


@pytest.mark.usefixtures("everyone")
def test_what_containers_take_on_the_disk(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--name", "small", busybox_image, "true")
    rootless("run", "--name", "large", busybox_image, "sh", "-c",
             "head -c 3000000 /dev/urandom >/root/file; chmod 700 /root")  # fmt: skip
    large = rootless("inspect", "--size", "large").json()[0]
    small = rootless("inspect", "-s", "small").json()[0]
    assert 3_000_000 <= large["SizeRw"] < 3_200_000
    assert small["SizeRw"] < 100_000
    image = large["SizeRootFs"] - large["SizeRw"]
    assert image == small["SizeRootFs"] - small["SizeRw"] > 500_000
    assert "SizeRw" not in rootless("inspect", "small").json()[0]
    lines = rootless("ps", "-a", "-s").stdout.splitlines()
    assert lines[0].rstrip().endswith("SIZE")
    shown = rootless("ps", "-a", "--filter", "name=large", "--format", "{{.Size}}").stdout
    assert shown.startswith("3") and "MB (virtual " in shown


@pytest.mark.usefixtures("everyone")
def test_whether_a_container_exists(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "there", busybox_image, "true")
    rootless("container", "exists", "there")
    assert rootless("container", "exists", "not-there", code=1).stderr == ""


@pytest.mark.usefixtures("everyone")
def test_stopping_by_another_signal(rootless: Command, busybox_image: str) -> None:
    script = (
        "trap 'echo usr1; exit 3' USR1; trap 'echo term' TERM; echo up; while :; do sleep .1; done"
    )
    rootless("run", "-d", "--name", "c", busybox_image, "sh", "-c", script)
    while rootless("logs", "c").stdout != "up\n":
        time.sleep(0.05)
    wrong = rootless("stop", "-s", "FLY", "c", code=125)
    assert 'unknown signal "FLY"' in wrong.stderr
    rootless("stop", "--signal", "USR1", "c")
    assert rootless("logs", "c").stdout == "up\nusr1\n"
    assert rootless("inspect", "-f", "{{.State.ExitCode}}", "c").stdout == "3\n"


@pytest.mark.usefixtures("everyone")
def test_an_image_for_other_machines(rootless: Command, place: Place) -> None:
    # the head of a program of a machine that this is not: s390x, which no emulator is set up for
    head = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\2" + b"\0\x16" + b"\0\0\0\1"
    (place.work / "root/bin").mkdir(parents=True)
    (place.work / "root/bin/other").write_bytes(head + bytes(200))
    (place.work / "root/bin/other").chmod(0o755)
    tar = place.work / "other.tar"
    subprocess.run(["tar", "-C", place.work / "root", "-cf", tar, "."], check=True)
    rootless("import", "-q", "--platform", "linux/s390x", tar, "other:test")
    found = rootless("run", "--rm", "other:test", "/bin/other", code=126)
    assert "note: the image is for linux/s390x, and this host is linux/" in found.stderr
    assert '"/bin/other" cannot be executed: Exec format error' in found.stderr
    assert "not a program of this machine's architecture" in found.stderr
    asked = rootless("run", "--rm", "--pull", "never", "--platform", "linux/amd64", "other:test",
                     "/bin/other", code=125)  # fmt: skip
    assert "the image other:test here is for linux/s390x, not for linux/amd64" in asked.stderr
    shown = rootless("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "other:test")
    assert shown.stdout == "linux/s390x\n"
