"""`run`: what a container looks like from inside, exit statuses, and what bad input gets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


def test_the_first_container_needs_nothing(rootless: Command) -> None:
    page = rootless("run", "--rm", "rootless/hello").stdout
    assert "inside uid 0" in page
    assert f"outside uid {os.getuid()}" in page
    for part in ("files", "network", "limits", "runtime"):
        assert part in page


def test_the_command_is_run_and_its_status_is_ours(rootless: Command, busybox_image: str) -> None:
    assert rootless("run", "--rm", busybox_image, "echo", "hi").stdout == "hi\n"
    rootless("run", "--rm", busybox_image, "sh", "-c", "exit 7", code=7)
    rootless("run", "--rm", "--init", busybox_image, "sh", "-c", "kill -9 $$", code=137)


def test_a_missing_command_is_127_and_one_without_permission_126(
    rootless: Command, busybox_image: str
) -> None:
    missing = rootless("run", "--rm", busybox_image, "no-such-command", code=127)
    assert 'error: the command "no-such-command" was not found' in missing.stderr
    assert "hint: " in missing.stderr
    closed = rootless("run", "--rm", busybox_image, "/etc/passwd", code=126)
    assert '"/etc/passwd" cannot be executed: Permission denied' in closed.stderr
    directory = rootless("run", "--rm", busybox_image, "/etc", code=126)
    assert "/etc" in directory.stderr
    assert rootless("ps", "-aq").stdout == ""


def test_a_failed_run_leaves_no_container_also_without_rm(
    rootless: Command, busybox_image: str
) -> None:
    rootless("run", "--name", "gone", busybox_image, "no-such-command", code=127)
    assert rootless("ps", "-aq").stdout == ""
    rootless("run", "--name", "gone", "--rm", busybox_image, "true")


def test_root_inside_is_the_person_outside(rootless: Command, busybox_image: str) -> None:
    inside = rootless("run", "--rm", busybox_image, "id", "-u").stdout.strip()
    assert inside == "0"
    mapped = rootless("run", "--rm", busybox_image, "cat", "/proc/self/uid_map").stdout.split()
    assert mapped[:2] == ["0", str(os.getuid())]


def test_another_user_of_the_image(rootless: Command, busybox_image: str) -> None:
    def words(*flags: str) -> str:
        return rootless("run", "--rm", *flags, busybox_image, "id").stdout

    assert words("-u", "guest").startswith("uid=1000(guest) gid=1000(guest)")
    assert words("-u", "1000:2000").startswith("uid=1000(guest) gid=2000(extra)")
    assert words("-u", "77").startswith("uid=77 gid=0(root)")
    home = rootless("run", "--rm", "-u", "guest", busybox_image, "sh", "-c", "echo $HOME").stdout
    assert home == "/home/guest\n"


def test_a_user_the_image_does_not_know(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "-u", "nobody-here", busybox_image, "true", code=125)
    assert 'no user "nobody-here"' in found.stderr


def test_environment_directory_and_host_name(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    (place.work / "env").write_text("# a comment\nFROM_FILE=yes\n\nPASSED\n")
    script = "echo $A/$FROM_FILE/$PASSED/$SHELLVAR; pwd; hostname"
    found = rootless(
        "run", "--rm", "-e", "A=b c", "--env-file", "env", "-e", "SHELLVAR", "-w", "/not/there/yet",
        "-h", "somewhere", busybox_image, "sh", "-c", script,
        env={"PASSED": "through", "SHELLVAR": "x"},
    )  # fmt: skip
    assert found.stdout == "b c/yes/through/x\n/not/there/yet\nsomewhere\n"


def test_names_resolve_in_the_container(rootless: Command, busybox_image: str) -> None:
    hosts = rootless(
        "run", "--rm", "-h", "me", "--add-host", "db:10.1.2.3", busybox_image, "cat", "/etc/hosts"
    ).stdout
    assert "10.1.2.3\tdb" in hosts
    assert "me" in hosts
    given = rootless(
        "run", "--rm", "--dns", "10.9.8.7", "--dns-search", "corp", busybox_image, "cat",
        "/etc/resolv.conf",
    ).stdout  # fmt: skip
    assert "nameserver 10.9.8.7" in given
    assert "search corp" in given


def test_standard_input_reaches_its_end(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "-i", busybox_image, "cat", input=b"some\0bytes\xff\n")
    assert found.out == b"some\0bytes\xff\n"
    without = rootless("run", "--rm", busybox_image, "cat", input="not for it")
    assert without.out == b""


def test_output_goes_on_after_the_input_ended(rootless: Command, busybox_image: str) -> None:
    found = rootless(
        "run",
        "--rm",
        "-i",
        busybox_image,
        "sh",
        "-c",
        "cat; sleep 0.3; echo later",
        input="first\n",
    )
    assert found.stdout == "first\nlater\n"


def test_the_two_streams_stay_apart(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", busybox_image, "sh", "-c", "echo out; echo err >&2")
    # a note on what this host cannot do may come before it
    assert found.out == b"out\n"
    assert found.err.endswith(b"err\n")
    again = rootless("run", "--rm", busybox_image, "sh", "-c", "echo err >&2")
    assert again.err == b"err\n"


@pytest.mark.slow
def test_two_hundred_megabytes_each_way(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    size = 200 * 1000 * 1000
    block = os.urandom(1 << 20)
    source = place.work / "source"
    with open(source, "wb") as file:
        left = size
        while left:
            left -= file.write(block[:left])
    with open(source, "rb") as given, open(place.work / "copy", "wb") as out:
        process = rootless.start(
            "run", "--rm", "-i", "--network", "none", busybox_image, "cat", stdin=given, stdout=out
        )
        assert process.wait(100) == 0
    assert (place.work / "copy").stat().st_size == size
    with open(source, "rb") as first, open(place.work / "copy", "rb") as second:
        while data := first.read(1 << 20):
            assert data == second.read(1 << 20)


def test_an_init_reaps_and_passes_signals_on(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--init", busybox_image, "sh", "-c", "cat /proc/1/comm; exit 4",
                     code=4)  # fmt: skip
    assert "init" in found.stdout
    orphan = "sh -c 'sleep 0.1 & exec true'; sleep 0.4; ps -o stat,comm"
    found = rootless("run", "--rm", "--init", busybox_image, "sh", "-c", orphan)
    assert "Z" not in found.stdout


def test_mounts(rootless: Command, busybox_image: str, place: Place) -> None:
    shared = place.work / "shared"
    shared.mkdir()
    (shared / "file").write_text("from the host\n")
    found = rootless("run", "--rm", "-v", f"{shared}:/there", busybox_image, "sh", "-c",
                     "cat /there/file; echo from inside >/there/new")  # fmt: skip
    assert found.stdout == "from the host\n"
    assert (shared / "new").read_text() == "from inside\n"
    assert (shared / "new").stat().st_uid == os.getuid()
    readonly = rootless("run", "--rm", "-v", f"{shared}:/there:ro", busybox_image, "touch",
                        "/there/x", code=1)  # fmt: skip
    assert "Read-only" in readonly.stderr
    rootless("run", "--rm", "--mount", f"type=bind,source={shared},target=/m,ro", busybox_image,
             "cat", "/m/file")  # fmt: skip
    found = rootless("run", "--rm", "--mount", "type=tmpfs,target=/t,tmpfs-size=1m", "--tmpfs",
                     "/t2:size=2m", busybox_image, "sh", "-c",
                     "df /t /t2 | grep -c tmpfs")  # fmt: skip
    assert found.stdout.strip() == "2"


def test_a_source_that_does_not_exist(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "-v", "/no/such/place:/x", busybox_image, "true", code=125)
    assert "/no/such/place" in found.stderr
    assert "hint: " in found.stderr


def test_a_read_only_root(rootless: Command, busybox_image: str) -> None:
    script = "touch /x 2>/dev/null || echo refused; touch /tmp/y && echo allowed"
    found = rootless("run", "--rm", "--read-only", busybox_image, "sh", "-c", script)
    assert found.stdout == "refused\nallowed\n"


def test_limits_of_setrlimit(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--ulimit", "nofile=100:200", busybox_image, "sh", "-c",
                     "ulimit -Sn; ulimit -Hn")  # fmt: skip
    assert found.stdout == "100\n200\n"
    wrong = rootless("run", "--rm", "--ulimit", "nofile=many", busybox_image, "true", code=125)
    assert 'invalid --ulimit "nofile=many"' in wrong.stderr


def test_capabilities(rootless: Command, busybox_image: str) -> None:
    def bounding(*flags: str) -> int:
        out = rootless("run", "--rm", *flags, busybox_image, "grep", "CapBnd", "/proc/self/status")
        return int(out.stdout.split()[1], 16)

    # docker's default set
    assert bounding() == 0xA80425FB
    assert bounding("--cap-drop", "ALL") == 0
    assert bounding("--cap-drop", "ALL", "--cap-add", "net_bind_service") == 1 << 10
    assert bounding("--cap-add", "SYS_PTRACE") == 0xA80425FB | 1 << 19
    wrong = rootless("run", "--rm", "--cap-add", "FLY", busybox_image, "true", code=125)
    assert "FLY" in wrong.stderr


def test_what_is_hidden_of_the_kernel(rootless: Command, busybox_image: str) -> None:
    script = (
        "cat /proc/kcore /proc/keys 2>/dev/null | wc -c; ls /proc/acpi /sys/firmware | wc -l;"
        "echo 1 >/proc/sysrq-trigger || echo refused"
    )
    found = rootless("run", "--rm", busybox_image, "sh", "-c", script)
    assert found.stdout.split()[0] == "0"
    assert found.stdout.split()[-1] == "refused"
    status = rootless("run", "--rm", busybox_image, "cat", "/proc/self/status").stdout
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t0" in status
    status = rootless("run", "--rm", "--security-opt", "no-new-privileges", busybox_image, "cat",
                      "/proc/self/status").stdout  # fmt: skip
    assert "NoNewPrivs:\t1" in status


def test_no_descriptor_of_ours_is_inherited(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", busybox_image, "ls", "/proc/self/fd")
    # 3 is ls's own, of the directory
    assert found.stdout.split() == ["0", "1", "2", "3"]


def test_namespaces_shared_with_the_host(rootless: Command, busybox_image: str) -> None:
    for flag, name in (("--uts", "uts"), ("--ipc", "ipc"), ("--network", "net")):
        found = rootless("run", "--rm", flag, "host", busybox_image, "readlink",
                         f"/proc/self/ns/{name}").stdout.strip()  # fmt: skip
        assert found == os.readlink(f"/proc/self/ns/{name}")
    own = rootless("run", "--rm", busybox_image, "readlink", "/proc/self/ns/uts").stdout.strip()
    assert own != os.readlink("/proc/self/ns/uts")


def test_the_pid_namespace_of_the_host(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--pid", "host", busybox_image, "sh", "-c",
                     "ls /proc; true")  # fmt: skip
    assert str(os.getpid()) in found.stdout.split()


def test_settings_of_the_kernel(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--sysctl", "net.ipv4.ip_forward=1", busybox_image, "cat",
                     "/proc/sys/net/ipv4/ip_forward")  # fmt: skip
    assert found.stdout == "1\n"
    wrong = rootless("run", "--rm", "--sysctl", "vm.swappiness=1", busybox_image, "true", code=125)
    assert "vm" in wrong.stderr


def test_umask_time_zone_and_shared_memory(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--umask", "0077", "--tz", "Asia/Tokyo", "--shm-size", "2m",
                     busybox_image, "sh", "-c",
                     "umask; date +%Z; df -k /dev/shm | tail -1")  # fmt: skip
    lines = found.stdout.split("\n")
    assert lines[0] == "0077"
    assert lines[1] == "JST"
    assert lines[2].split()[1] == "2048"


def test_devices(rootless: Command, busybox_image: str) -> None:
    script = "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done"
    assert rootless("run", "--rm", busybox_image, "sh", "-c", script).stdout == ""
    rootless("run", "--rm", "--device", "/dev/fuse", busybox_image, "test", "-c", "/dev/fuse")
    wrong = rootless("run", "--rm", "--device", "/dev/not-there", busybox_image, "true", code=125)
    assert "/dev/not-there" in wrong.stderr


def test_files_that_name_the_container(rootless: Command, busybox_image: str, place: Place) -> None:
    identifier = rootless("run", "-d", "--cidfile", "cid", "--pid-file", "pid", "--network", "none",
                          busybox_image, "sleep", "100").stdout.strip()  # fmt: skip
    assert (place.work / "cid").read_text() == identifier
    pid = int((place.work / "pid").read_text())
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    again = rootless("run", "--cidfile", "cid", busybox_image, "true", code=125)
    assert "cid exists" in again.stderr


def test_labels_and_annotations(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "one", "-l", "a=1", "--annotation", "x=y", busybox_image, "true")
    found = rootless("inspect", "one").json()[0]["Config"]
    assert found["Labels"]["a"] == "1"
    assert found["Annotations"]["x"] == "y"


def test_a_root_file_system_of_ones_own(rootless: Command, busybox: Path, place: Place) -> None:
    root = place.work / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "sh").write_bytes(busybox.read_bytes())
    (root / "bin" / "sh").chmod(0o755)
    found = rootless("run", "--rm", "--rootfs", root, "sh", "-c", "echo here >/file; echo done")
    assert found.stdout == "done\n"
    assert (root / "file").read_text() == "here\n"


def test_a_dry_run_prints_the_plan_and_does_nothing(rootless: Command, busybox_image: str) -> None:
    plan = rootless("run", "--dry-run", "-u", "1000", busybox_image, "echo", "hi").stdout
    for word in ("pivot", "mask", "seccomp", "exec"):
        assert word in plan
    assert rootless("ps", "-aq").stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "99999:80"], "99999"),
        (["--memory", "much"], 'invalid size "much"'),
        (["--network", "moon"], 'no such network: "moon"'),
        (["--userns", "moon"], 'unknown --userns "moon"'),
        (["--restart", "sometimes"], 'unknown --restart "sometimes"'),
        (["--log-driver", "stone"], 'unknown --log-driver "stone"'),
        (["--security-opt", "nice"], 'invalid --security-opt "nice"'),
        (["--pull", "maybe"], 'unknown --pull "maybe"'),
        (["--name", "no spaces"], 'invalid container name "no spaces"'),
        (["--rm", "--restart", "always"], "--rm and --restart"),
        (["-v", "relative"], "relative"),
        (["--mount", "type=moon,target=/x"], 'unknown type "moon"'),
        (["--runtime", "no-such-runtime"], 'the runtime "no-such-runtime" is not installed'),
        (["--storage-driver", "paper"], 'unknown storage driver "paper"'),
        (["--entrypoint", "[not json"], "invalid --entrypoint"),
        (["--umask", "9"], 'invalid --umask "9"'),
        (["-w", "relative"], "relative"),
        (["--detach-keys", "ctrl-"], "invalid --detach-keys"),
        (["--uidmap", "a:b"], "a:b"),
        (["--pids-limit", "few"], "few"),
        (["--stop-signal", "SIGFLY"], "SIGFLY"),
        (["--ipc", "public"], "public"),
        (["--group-add", "crowd"], 'no group "crowd"'),
        (["--env-file", "/no/such/file"], "/no/such/file"),
    ],
)
def test_a_value_that_means_nothing(
    rootless: Command, busybox_image: str, words: list[str], said: str
) -> None:
    found = rootless("run", *words, busybox_image, "true", code=125)
    assert "\nerror: " in "\n" + found.stderr, found
    assert said in found.stderr, found
    assert found.stderr.count("\n") <= 2, found
    assert rootless("ps", "-aq").stdout == ""


@pytest.mark.parametrize("name", ["UPPER/case", "a//b", "-x", "image:", "name@sha256:12"])
def test_a_malformed_reference(rootless: Command, name: str) -> None:
    found = rootless("run", "--rm", "--", name, "true", code=125)
    assert found.stderr.startswith("error: ")


def test_an_image_that_is_nowhere(rootless: Command) -> None:
    found = rootless("run", "--rm", "--pull", "never", "no/such-image", "true", code=125)
    assert "no/such-image" in found.stderr
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        found = rootless("run", "--rm", f"127.0.0.1:{port}/image", "true", code=125)
        assert f"127.0.0.1:{port}" in found.stderr
