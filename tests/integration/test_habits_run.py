"""Options of `run` and `create` that people who come from podman and docker know."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from conftest import Command

OFFLINE = ("--network", "none")


def sh(rootless: Command, image: str, *words: str, env: dict[str, str] | None = None) -> str:
    """What a shell says, whose script is the last word; the others are options."""
    *options, script = words
    told = rootless("run", "--rm", *OFFLINE, *options, image, "sh", "-c", script, env=env)
    return told.stdout


def test_variables(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# for a shell\nexport C=3\nD=4\n")
    host = {"MINE_A": "1", "MINE_B": "2", "OTHER": "3", "http_proxy": "http://192.0.2.1"}
    words = ("-e", "MINE_*", "--env-file", str(tmp_path / "env"), "-e", "P=b")
    merge = ("--env-merge", "P=a:${P}:$Q:$OTHER", "--http-proxy")
    told = sh(rootless, busybox_image, *words, *merge, "env", env=host).splitlines()
    wanted = {"MINE_A=1", "MINE_B=2", "C=3", "D=4", "P=a:b::", "http_proxy=http://192.0.2.1"}
    assert wanted <= {*told}
    assert not any(line.startswith("OTHER=") for line in told)
    told = sh(rootless, busybox_image, "--http-proxy=false", "env", env=host).splitlines()
    assert "http_proxy=http://192.0.2.1" not in told


def test_namespaces_and_ids(rootless: Command, busybox_image: str) -> None:
    assert sh(rootless, busybox_image, "--ipc", "none", "ls -d /dev/shm || echo none") == "none\n"
    assert sh(rootless, busybox_image, "--ipc", "shareable", "ls -d /dev/shm") == "/dev/shm\n"
    groups = sh(rootless, busybox_image, "--group-add", "0", "id -G").split()
    assert groups == ["0"]
    machine = sh(rootless, busybox_image, "--personality", "LINUX32", "uname -m")
    assert machine != sh(rootless, busybox_image, "uname -m")
    told = rootless("run", "--personality", "BSD", *OFFLINE, busybox_image, "true", code=125)
    assert "LINUX32" in told.stderr


def test_files_in_etc(rootless: Command, busybox_image: str) -> None:
    look = "for f in hosts hostname resolv.conf; do test -e /etc/$f && echo $f; done; true"
    assert sh(rootless, busybox_image, look) == "hosts\nhostname\nresolv.conf\n"
    assert sh(rootless, busybox_image, "--no-hosts", "--no-hostname", look) == "resolv.conf\n"
    assert sh(rootless, busybox_image, "--chrootdirs", "/srv", "ls /srv/etc").split() == [
        "hosts", "resolv.conf"]  # fmt: skip


def test_memory_of_nothing_is_no_limit(rootless: Command, busybox_image: str) -> None:
    assert sh(rootless, busybox_image, "-m", "0", "--memory-swap", "0", "echo hi") == "hi\n"


def test_names_with_a_slash(rootless: Command, busybox_image: str) -> None:
    rootless("create", "-q", "--name", "/web", *OFFLINE, busybox_image, "true")
    assert rootless("inspect", "-f", "{{.Name}}", "/web").stdout == "/web\n"
    assert rootless("rm", "/web").stdout == "/web\n"


def test_the_same_mount_twice(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    word = f"{tmp_path}:/data"
    assert sh(rootless, busybox_image, "-v", word, "-v", word, "ls -d /data") == "/data\n"
    told = rootless(
        "run", "-v", word, "-v", f"{word}:ro", *OFFLINE, busybox_image, "true", code=125
    )
    assert "two mounts" in told.stderr


@pytest.mark.parametrize(
    "mount, script, said",
    [
        ("type=glob,src=$HERE/*.x,dst=/g", "cat /g/a.x /g/b.x", "a\nb\n"),
        ("type=bind,src=$HERE,dst=/b,ro,bind-nonrecursive", "cat /b/a.x; >/b/c || echo ro",
         "a\nro\n"),
        ("type=image,src=$IMAGE,dst=/i", "ls /i/bin/busybox; >/i/new || echo ro",
         "/i/bin/busybox\nro\n"),
        ("type=image,src=$IMAGE,dst=/i,rw=true", "echo new >/i/new; cat /i/new", "new\n"),
        ("type=ramfs,dst=/r", "echo new >/r/new; cat /r/new; grep -c ' /r ramfs ' /proc/mounts",
         "new\n1\n"),
        ("type=devpts,dst=/p", "ls -d /p/ptmx; grep -c ' /p devpts ' /proc/mounts", "/p/ptmx\n1\n"),
        ("type=tmpfs,dst=/t,tmpfs-size=64k,tmpfs-mode=1700,chown=true", "stat -c %a /t", "1700\n"),
        ("type=volume,dst=/v,nocopy,U=true", "echo new >/v/new; cat /v/new", "new\n"),
    ],
)  # fmt: skip
def test_types_of_mounts(
    rootless: Command, busybox_image: str, tmp_path: Path, mount: str, script: str, said: str
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.x").write_text(f"{name}\n")
    mount = mount.replace("$HERE", str(tmp_path)).replace("$IMAGE", busybox_image)
    assert sh(rootless, busybox_image, "--mount", mount, f"{{ {script}; }} 2>/dev/null") == said


@pytest.mark.parametrize(
    "mount, said",
    [
        ("type=nosuch,dst=/x", "bind, volume, tmpfs, ramfs, devpts, image, glob"),
        ("type=tmpfs,dst=/x,nosuch=1", 'unknown key "nosuch"'),
        ("type=image,dst=/x", "names no image"),
        ("type=glob,src=/nosuch/*,dst=/x", "nothing on the host"),
        ("type=volume,src=v,dst=/x,volume-driver=nfs", "no volume driver nfs"),
        ("type=volume,src=v,dst=/x,volume-subpath=a", "is not offered"),
        ("type=bind,src=/tmp,dst=/x,ro=maybe", "true or false"),
    ],
)
def test_mounts_that_are_refused(
    rootless: Command, busybox_image: str, mount: str, said: str
) -> None:
    told = rootless("run", "--mount", mount, *OFFLINE, busybox_image, "true", code=125)
    assert said in told.stderr


def test_an_image_that_is_mounted_is_in_use(
    rootless: Command, busybox_image: str, busybox_tar: Path
) -> None:
    rootless("import", "-c", "ENV A=b", busybox_tar, "other:1")
    mount = "type=image,src=other:1,dst=/i"
    rootless(
        "create", "--name", "box", "--mount", mount, *OFFLINE, busybox_image, "ls", "/i/bin/sh"
    )
    rootless("rmi", "other:1", code=2)
    assert rootless("start", "-a", "box").stdout == "/i/bin/sh\n"
    told = json.loads(rootless("inspect", "box").stdout)[0]["Mounts"]
    assert [one["Type"] for one in told] == ["image"]


def test_read_only_without_memory(rootless: Command, busybox_image: str) -> None:
    write = (
        "for d in /run /tmp /var/tmp; do mkdir -p $d && >$d/x && echo $d; done 2>/dev/null; true"
    )
    assert sh(rootless, busybox_image, "--read-only", write) == "/run\n/tmp\n/var/tmp\n"
    assert sh(rootless, busybox_image, "--read-only", "--read-only-tmpfs=false", write) == ""


def test_the_image_goes_with_the_container(
    rootless: Command, busybox_image: str, busybox_tar: Path
) -> None:
    rootless("import", busybox_tar, "once:1")
    rootless("run", "--rmi", *OFFLINE, "once:1", "sh", "-c", "exit 5", code=5)
    rootless("image", "exists", "once:1", code=1)
    assert rootless("ps", "-a", "-q").stdout == ""
    rootless("create", "--name", "box", *OFFLINE, busybox_image, "true")
    told = rootless("run", "--rmi", *OFFLINE, busybox_image, "true")
    assert "is used by the container box" in told.stderr
    rootless("run", "-d", "--rmi", *OFFLINE, busybox_image, "true", code=125)


def test_what_another_one_requires(rootless: Command, busybox_image: str) -> None:
    sleep = (*OFFLINE, busybox_image, "sleep", "1000")
    rootless("create", "--name", "first", *sleep)
    rootless("run", "-d", "--name", "second", "--requires", "first", *sleep)
    assert len(rootless("ps", "-q").stdout.split()) == 2
    rootless("create", "--requires", "nobody", *sleep, code=125)


def test_prepared_for_systemd(rootless: Command, busybox_image: str) -> None:
    mounts = "grep -c -e ' /run tmpfs' -e ' /run/lock tmpfs' -e ' /tmp tmpfs' /proc/mounts || true"
    assert sh(rootless, busybox_image, "--systemd", "always", mounts) == "3\n"
    assert sh(rootless, busybox_image, "--systemd", "true", mounts) == "0\n"
    rootless("create", "--name", "box", "--systemd", "true", *OFFLINE, busybox_image, "/sbin/init")
    assert rootless("inspect", "-f", "{{.Config.StopSignal}}", "box").stdout == "SIGRTMIN+3\n"


def test_single_descriptors(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "told").write_text("by descriptor\n")
    words = [*rootless.words, "run", "--rm", *OFFLINE, "--preserve-fd", "5", busybox_image,
             "sh", "-c", "cat <&5"]  # fmt: skip
    script = f'exec 4<{tmp_path}/told 5<{tmp_path}/told; exec "$@"'
    told = subprocess.run(["sh", "-c", script, "sh", *words], env=rootless.place.env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert told.stdout == "by descriptor\n"
    refused = rootless("run", "--preserve-fd", "5", *OFFLINE, busybox_image, "true", code=125)
    assert "descriptor 5 is not open" in refused.stderr


def test_where_the_image_comes_from(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    rootless("save", "-q", "-o", tmp_path / "bb.tar", busybox_image)
    rootless("rmi", busybox_image)
    place = f"docker-archive:{tmp_path}/bb.tar"
    told = rootless("run", "--rm", *OFFLINE, "--tls-verify=false", place, "echo", "hi")
    assert told.stdout == "hi\n"
    rootless("run", "--authfile", "nosuch", *OFFLINE, "nosuch.invalid/x", "true", code=125)
    told = rootless("pull", "--authfile", "nosuch", "nosuch.invalid/x", code=125)
    assert "nosuch does not exist" in told.stderr
    told = rootless("pull", "--policy", "never", "nosuch.invalid/x", code=125)
    assert "nosuch.invalid/x" in told.stderr
    told = rootless("pull", "--retry-delay", "soon", "nosuch.invalid/x", code=125)
    assert "--retry-delay" in told.stderr


def test_the_line_of_every_tutorial(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    """`-u $(id -u) -v $PWD:/w` cannot write there, and says what can."""
    work = tmp_path / "work"
    work.mkdir(mode=0o755)
    words = ("-u", str(os.getuid()), "-v", f"{work}:/w", *OFFLINE, busybox_image)
    script = ("sh", "-c", ">/w/file")
    single = "a single id" in rootless("run", "--rm", *OFFLINE, busybox_image, "true").stderr
    told = rootless("run", "--rm", *words, *script, code=None)
    assert ("--userns keep-id" in told.stderr) == (told.code != 0 and not single)
    told = rootless("run", "--rm", "--userns", "keep-id", *words, *script)
    assert "cannot write" not in told.stderr
    assert (work / "file").stat().st_uid == os.getuid()


def test_what_does_not_obey_is_killed(rootless: Command, busybox_image: str) -> None:
    script = "trap : TERM; echo ready; while :; do sleep 1; done"
    rootless("run", "-d", "--name", "box", *OFFLINE, busybox_image, "sh", "-c", script)
    end = time.monotonic() + 60
    while not rootless("logs", "box").stdout and time.monotonic() < end:
        time.sleep(0.05)
    assert "resorting to SIGKILL" in rootless("stop", "-t", "1", "box").stderr
    rootless("start", "box")
    assert rootless("stop", "-t", "0", "box").stderr == ""
