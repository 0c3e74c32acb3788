"""Unit files by the command line, and plain units: what needs no systemd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command


@pytest.fixture
def own(rootless: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the person's unit files."""
    return Path(rootless.place.env["HOME"]) / ".config/rootless/units"


def put(rootless: Command, name: str, text: str) -> Path:
    """A file in the work directory."""
    path = rootless.place.work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


INSTALL = ("quadlet", "install", "--reload-systemd=false")
REMOVE = ("quadlet", "rm", "--reload-systemd=false")
GOOD = "[Container]\nImage=i\n"


def test_install_list_print_rm(rootless: Command, own: Path) -> None:
    put(rootless, "web.container", GOOD)
    put(rootless, "data.volume", "[Volume]\n")
    found = rootless(*INSTALL, "web.container", "data.volume")
    assert found.stdout.split() == [f"{own}/web.container", f"{own}/data.volume"]
    put(rootless, "web.container", GOOD + "Exec=new\n")
    found = rootless(*INSTALL, "web.container", code=125)
    assert f"{own}/web.container exists" in found.stderr
    assert "--replace" in found.stderr
    rootless(*INSTALL, "--replace", "web.container")
    (own / "web.container.d").mkdir()
    (own / "web.container.d/10-more.conf").write_text("[Container]\nMemory=1g\n")
    shown = rootless("quadlet", "print", "web.container").stdout
    assert shown.startswith(GOOD + "Exec=new\n")
    assert f"# {own}/web.container.d/10-more.conf\n[Container]\nMemory=1g\n" in shown
    assert rootless("quadlet", "print", "web.service").stdout == shown
    rows = [json.loads(one) for one in
            rootless("quadlet", "list", "--format", "json").stdout.splitlines()]  # fmt: skip
    assert [(row["Name"], row["UnitName"], row["Status"], row["App"]) for row in rows] == [
        ("data.volume", "data-volume.service", "Not loaded", ""),
        ("web.container", "web.service", "Not loaded", ""),
    ]
    assert rootless("quadlet", "ls", "--format", "{{.Name}}", "-f", "name=w*").stdout == (
        "web.container\n"
    )
    table = rootless("quadlet", "list").stdout.splitlines()
    assert table[0].split("   ")[0] == "NAME"
    assert "PATH ON DISK" in table[0]
    assert rootless(*REMOVE, "web.container").stdout == "web.container\n"
    found = rootless(*REMOVE, "web.container", code=125)
    assert 'no such unit file: "web.container"' in found.stderr
    rootless(*REMOVE, "--ignore", "web.container")
    assert rootless(*REMOVE, "--all").stdout == "data.volume\n"
    assert rootless("quadlet", "list", "--noheading").stdout == ""


def test_an_application_comes_and_goes_as_a_whole(rootless: Command, own: Path) -> None:
    put(rootless, "app/web.container", GOOD + "Volume=./conf/site:/site\n")
    put(rootless, "app/conf/site", "settings\n")
    put(rootless, "one.container", GOOD)
    put(rootless, "one.env", "A=1\n")
    rootless(*INSTALL, "app")
    assert (own / "app/conf/site").read_text() == "settings\n"
    rootless(*INSTALL, "one.container", "one.env")
    assert (own / "one/one.env").exists()
    rows = rootless("quadlet", "list", "--format", "{{.Name}} {{.App}}").stdout
    assert rows == "web.container app\none.container one\n"
    assert rootless(*REMOVE, "app").stdout == "web.container\n"
    assert not (own / "app").exists()
    assert rootless(*REMOVE, "one.container").stdout == "one.container\n"
    assert not (own / "one").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bad.container"], "bad.container:2: unknown key Imag="),
        (["x.pod"], "x.pod:1: .pod units cannot be had"),
        (["needs.container"], "needs.container:3: Volume=other.volume:/x: there is no unit file"),
        (["missing.container"], "there is no file missing.container"),
        (["notes.txt"], "notes.txt holds no unit file"),
        (["https://example.com/a.container"], "https://example.com/a.container is not a file"),
        (["app", "bad.container"], "app is a directory"),
        (["good.container", "bad.container"], "bad.container:2: unknown key Imag="),
    ],
)
def test_what_is_wrong_is_not_installed(
    rootless: Command, own: Path, words: list[str], sentence: str
) -> None:
    put(rootless, "bad.container", "[Container]\nImag=i\n")
    put(rootless, "good.container", GOOD)
    put(rootless, "needs.container", GOOD + "Volume=other.volume:/x\n")
    put(rootless, "x.pod", "[Pod]\n")
    put(rootless, "notes.txt", "")
    put(rootless, "app/x.container", GOOD)
    found = rootless(*INSTALL, *words, code=125)
    assert sentence in found.stderr
    assert not own.exists() or list(own.iterdir()) == []


def test_a_file_with_a_mistake_is_listed_as_such(rootless: Command, own: Path) -> None:
    own.mkdir(parents=True)
    (own / "bad.container").write_text("[Container]\nImag=i\n")
    found = rootless("quadlet", "list")
    assert "invalid" in found.stdout
    assert f"{own}/bad.container:2: unknown key Imag=" in found.stderr
    row = rootless("quadlet", "list", "--format", "json").json()
    assert row["Error"].endswith("unknown key Imag= in [Container]")
    rootless(*REMOVE, "bad.container")


def test_without_systemd_it_says_so(rootless: Command) -> None:
    put(rootless, "web.container", GOOD)
    for words in (
        ["quadlet", "install", "web.container"], ["quadlet", "reload"],
        ["service", "enable", "restart"],
    ):  # fmt: skip
        found = rootless(*words, code=125)
        assert "services need the user's systemd" in found.stderr
        assert "loginctl enable-linger" in found.stderr
    assert "auto-update" in rootless("service", "list").stdout
    found = rootless("service", "enable", "everything", code=125)
    assert 'unknown service "everything"' in found.stderr


def test_plain_units(rootless: Command, busybox_image: str) -> None:
    rootless(
        "create", "--name", "job", "-e", "A=100% of $HOME", "-v", "data:/data", "--rm", "-t",
        "--stop-timeout", "7", busybox_image, "sh", "-c", "echo $A; sleep 1000",
    )  # fmt: skip
    identifier = rootless("inspect", "--format", "{{.Id}}", "job").stdout.strip()
    text = rootless("generate", "systemd", "--name", "job").stdout
    assert text.startswith("# container-job.service, made by rootless generate systemd\n")
    assert "\nRestart=on-failure\n" in text
    assert " start --attach --sig-proxy=false job\n" in text
    assert " stop --ignore --time 7 job\n" in text
    text = rootless(
        "generate", "systemd", "--new", "job", "--restart-policy", "always", "--restart-sec", "5",
        "--start-timeout", "60", "-t", "20", "--no-header", "--wants", "a.service",
        "--after", "b.service", "--requires", "c.service", "--env", "X=a b",
    ).stdout  # fmt: skip
    for line in (
        "Restart=always", "RestartSec=5", "TimeoutStartSec=60", "TimeoutStopSec=80",
        "Wants=a.service", "After=b.service", "Requires=c.service", 'Environment="X=a b"',
        "Type=notify", "Delegate=yes",
    ):  # fmt: skip
        assert f"\n{line}\n" in text, line
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert start.endswith(
        " run --name job --replace --rm --detach --cgroups split --sdnotify conmon "
        '--label PODMAN_SYSTEMD_UNIT=%n --env "A=100%% of $$HOME" --stop-timeout 7 '
        f'--volume data:/data {busybox_image} sh -c "echo $$A; sleep 1000"'
    )
    found = rootless("generate", "systemd", "--files", "--format", "json", "job").json()
    path = rootless.place.work / f"container-{identifier}.service"
    assert found == {f"container-{identifier}": str(path)}
    assert path.exists()
    found = rootless("generate", "systemd", "--restart-policy", "daily", "job", code=125)
    assert 'unknown --restart-policy "daily"' in found.stderr
    rootless("generate", "systemd", "nobody", code=125)
    rootless("rm", "job")
    rootless("volume", "rm", "data")


def test_start_by_restart_policy(rootless: Command, busybox_image: str) -> None:
    for name, policy in (("a", "always"), ("u", "unless-stopped"), ("s", "unless-stopped"),
                         ("n", "no")):  # fmt: skip
        rootless("create", "--name", name, "--restart", policy, busybox_image, "sleep", "1000")
    rootless("start", "s")
    rootless("stop", "-t", "0", "s")
    boot = ["--filter", "should-start-on-boot=true"]
    assert rootless("ps", "-a", *boot, "--format", "{{.Names}}").stdout.split() == ["u", "a"]
    assert len(rootless("start", "--all", *boot).stdout.split()) == 2
    assert sorted(rootless("ps", "--format", "{{.Names}}").stdout.split()) == ["a", "u"]
    named = rootless("ps", "-a", "--filter", "restart-policy=no", "--format", "{{.Names}}")
    assert named.stdout == "n\n"
    assert rootless("start", "--all", *boot).stdout == ""
    found = rootless("start", "--all", "n", code=125)
    assert "--all takes no names" in found.stderr
    rootless("start", code=125)
    rootless("rm", "-f", "-a")
