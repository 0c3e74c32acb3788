"""Units from files: the syntax, the keys, what is refused, and where files are looked for."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rootless.cli.verbs import run as run_verb
from rootless.errors import UsageError
from rootless.quadlet import container as quadlet_container
from rootless.quadlet import (
    flag_keys,
    generate,
    generator,
    keys,
    search_paths,
    syntax,
    volume_image,
)
from rootless.quadlet.generate import Made

TREE = Path(__file__).resolve().parents[3]


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory that is read."""
    path = tmp_path / "units"
    path.mkdir()
    monkeypatch.setenv("QUADLET_UNIT_DIRS", str(path))
    return path


def put(path: Path, text: str) -> Path:
    """Write a file, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def made() -> dict[str, Made]:
    """What all files become, by their names."""
    return {one.name: one for one in generate.all_units(["/usr/bin/rootless"])}


def line(one: Made, key: str) -> str:
    """The value of a line of a unit; fails unless there is exactly one."""
    assert one.error is None, one.error
    found = [text for text in one.text.splitlines() if text.startswith(key + "=")]
    assert len(found) == 1, (key, found)
    return found[0].partition("=")[2]


def words(one: Made, key: str = "ExecStart") -> list[str]:
    """A command line as systemd splits it."""
    return syntax.split(line(one, key))


def flags(one: Made) -> list[str]:
    """The options that a container's own keys add."""
    found = words(one)
    assert found[:7] == [
        "/usr/bin/rootless", "run", "--name", f"systemd-{one.name[:-10]}", "--replace", "--rm",
        "--cgroups",
    ]  # fmt: skip
    end = found.index("PODMAN_SYSTEMD_UNIT=%n") - 1
    middle = found[8:end]
    at = middle.index("--log-driver")
    return middle[:at] + middle[at + 2 :]


def test_a_container_and_what_it_needs(units: Path) -> None:
    put(
        units / "web.container",
        """# a comment
[Unit]
Description=A web \\
# inside a continued line
  server
After=data.volume

[Container]
Image=web.image
Exec=httpd -f "two words" %i $HOME
Volume=data.volume:/www:ro
Volume=/srv/%u:/srv

[Service]
Restart=always
TimeoutStartSec=900

[Install]
WantedBy=default.target
Alias=www.service
""",
    )
    put(units / "data.volume", "[Volume]\nLabel=a=b\n")
    put(units / "web.image", "[Image]\nImage=registry.example/web:1\n")
    found = made()
    assert (
        found["web.container"].text
        == f"""\
# Made by rootless from {units}/web.container; changes here are lost.

[Unit]
Description=A web  server
After=data-volume.service
SourcePath={units}/web.container
Requires=data-volume.service
After=data-volume.service
RequiresMountsFor=/srv/%u
Requires=web-image.service
After=web-image.service
Wants=rootless-network-online.service
After=rootless-network-online.service

[X-Container]
Image=web.image
Exec=httpd -f "two words" %i $HOME
Volume=data.volume:/www:ro
Volume=/srv/%u:/srv

[Install]
WantedBy=default.target
Alias=www.service

[Service]
Restart=always
TimeoutStartSec=900
Type=notify
NotifyAccess=all
KillMode=mixed
Delegate=yes
SyslogIdentifier=%N
ExecStart=/usr/bin/rootless run --name systemd-web --replace --rm --cgroups split \
--log-driver journald --volume systemd-data:/www:ro --volume /srv/%u:/srv \
--label PODMAN_SYSTEMD_UNIT=%n --detach --sdnotify conmon registry.example/web:1 \
httpd -f "two words" %i $HOME
ExecStop=/usr/bin/rootless stop --ignore systemd-web
ExecStopPost=-/usr/bin/rootless rm --force --ignore --volumes systemd-web
"""
    )
    assert found["web.container"].links == [
        ("www.service", "web.service"),
        ("default.target.wants/web.service", "../web.service"),
    ]
    assert words(found["data.volume"]) == [
        "/usr/bin/rootless", "volume", "create", "--ignore", "--label", "a=b", "systemd-data",
    ]  # fmt: skip
    assert line(found["data.volume"], "RemainAfterExit") == "yes"
    assert words(found["web.image"])[1:] == ["pull", "--quiet", "registry.example/web:1"]


KEYS = [
    ("AddCapability=CAP_CHOWN NET_RAW", ["--cap-add", "CAP_CHOWN", "--cap-add", "NET_RAW"]),
    ("AddDevice=/dev/null:/dev/zero", ["--device", "/dev/null:/dev/zero"]),
    ("AddDevice=-/dev/null", ["--device", "/dev/null"]),
    ("AddDevice=-/dev/that-is-not-there", []),
    ("AddHost=db:10.0.0.1", ["--add-host", "db:10.0.0.1"]),
    ('Annotation="a=b c" d=e', ["--annotation", "a=b c", "--annotation", "d=e"]),
    ("AutoUpdate=registry", ["--label", "io.containers.autoupdate=registry"]),
    ("DNS=1.1.1.1\nDNS=9.9.9.9", ["--dns", "1.1.1.1", "--dns", "9.9.9.9"]),
    ("DNS=1.1.1.1\nDNS=\nDNS=9.9.9.9", ["--dns", "9.9.9.9"]),
    ("DNSOption=ndots:1", ["--dns-option", "ndots:1"]),
    ("DNSSearch=example.com", ["--dns-search", "example.com"]),
    ("DropCapability=all", ["--cap-drop", "all"]),
    ('Entrypoint=["a","b"]', ["--entrypoint", '["a","b"]']),
    ("Environment=A=1 \"B=x y\" 'C=\"'", ["--env", "A=1", "--env", "B=x y", "--env", 'C="']),
    ("Environment=A=\\x41\\ttab", ["--env", "A=A\ttab"]),
    ("EnvironmentFile=/etc/env", ["--env-file", "/etc/env"]),
    ("EnvironmentFile=%h/env", ["--env-file", "%h/env"]),
    ("ExposeHostPort=50-59\nExposeHostPort=80/udp", ["--expose", "50-59", "--expose", "80/udp"]),
    ("EnvironmentHost=yes", ["--env-host"]),
    ("EnvironmentHost=no", []),
    ("GIDMap=0:1:2", ["--gidmap", "0:1:2"]),
    ("User=5\nGroup=6", ["--user", "5:6"]),
    ("User=5", ["--user", "5"]),
    ("GroupAdd=audio", ["--group-add", "audio"]),
    ("HealthCmd=test -e /ok", ["--health-cmd", "test -e /ok"]),
    ("HealthOnFailure=kill", ["--health-on-failure", "kill"]),
    ("HealthStartPeriod=1m", ["--health-start-period", "1m"]),
    ("HealthStartupCmd=true", ["--health-startup-cmd", "true"]),
    ("HostName=box", ["--hostname", "box"]),
    ("Label=a=b\nLabel=c=d", ["--label", "a=b", "--label", "c=d"]),
    ("LogOpt=max-size=1m", ["--log-opt", "max-size=1m"]),
    ("Mask=/proc/a:/proc/b", ["--security-opt", "mask=/proc/a:/proc/b"]),
    ("Memory=20g", ["--memory", "20g"]),
    ("Mount=type=tmpfs,destination=/t", ["--mount", "type=tmpfs,destination=/t"]),
    ("Network=none", ["--network", "none"]),
    ("Network=a:ip=10.1.1.1\nNetwork=b", ["--network", "a:ip=10.1.1.1", "--network", "b"]),
    ("IP=10.0.0.1", ["--ip", "10.0.0.1"]),
    ("NetworkAlias=db", ["--network-alias", "db"]),
    ("NoNewPrivileges=true", ["--security-opt", "no-new-privileges"]),
    ("PidsLimit=100", ["--pids-limit", "100"]),
    ("PublishPort=80:80\nPublishPort=[::]:1:2", ["--publish", "80:80", "--publish", "[::]:1:2"]),
    ("Pull=never", ["--pull", "never"]),
    ("ReadOnly=true",
     ["--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]),
    ("ReadOnly=true\nTmpfs=/run:size=1m",
     ["--tmpfs", "/run:size=1m", "--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]),
    ("ReadOnly=true\nReadOnlyTmpfs=false", ["--read-only"]),
    ("RunInit=1", ["--init"]),
    ("SeccompProfile=unconfined", ["--security-opt", "seccomp=unconfined"]),
    ("SecurityLabelDisable=true", ["--security-opt", "label=disable"]),
    ("ShmSize=100m", ["--shm-size", "100m"]),
    ("StopSignal=SIGINT", ["--stop-signal", "SIGINT"]),
    ("StopTimeout=20", ["--stop-timeout", "20"]),
    ("Sysctl=net.a=1 net.b=2", ["--sysctl", "net.a=1", "--sysctl", "net.b=2"]),
    ("Timezone=local", ["--tz", "local"]),
    ("UIDMap=0:1:2", ["--uidmap", "0:1:2"]),
    ("Ulimit=nofile=1:2", ["--ulimit", "nofile=1:2"]),
    ("Unmask=ALL", ["--security-opt", "unmask=ALL"]),
    ("UserNS=keep-id:uid=200", ["--userns", "keep-id:uid=200"]),
    ("VolatileTmp=yes", ["--tmpfs", "/tmp:rw,size=512M,mode=1777"]),
    ("Volume=/dest", ["--volume", "/dest"]),
    ("WorkingDir=/w", ["--workdir", "/w"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), KEYS, ids=[text for text, _ in KEYS])
def test_keys(units: Path, text: str, expected: list[str]) -> None:
    put(units / "c.container", f"[Container]\nImage=i\n{text}\n")
    assert flags(made()["c.container"]) == expected


def test_every_flag_of_the_tables_is_one_of_run() -> None:
    known = {name for option in run_verb.VERB.options for name in option.names}
    tables = (
        flag_keys.LAST,
        flag_keys.EACH,
        flag_keys.WORDS,
        flag_keys.FLAGS,
    )
    wanted = {flag for table in tables for flag in table.values()}
    wanted |= {"--rootfs", "--sdnotify", "--device", "--env-file", "--volume", "--mount", "--user"}
    assert wanted - known == set()


def test_the_list_of_keys_is_that_of_the_translation() -> None:
    supported = {one["Key"] for one in keys.rows("container") if one["Supported"] == "yes"}
    assert supported == quadlet_container.KEYS
    refused = {one["Key"] for one in keys.rows(".container") if one["Supported"] == "no"}
    assert refused == set(quadlet_container.LACKING)
    assert not supported & refused
    for section, known, lacking in (
        ("Volume", volume_image.VOLUME, volume_image.VOLUME_LACKING),
        ("Image", volume_image.IMAGE, volume_image.IMAGE_LACKING),
    ):
        rows = keys.rows(section)
        assert {one["Key"] for one in rows if one["Supported"] == "yes"} == known
        assert {one["Key"] for one in rows if one["Supported"] == "no"} == set(lacking)
    assert keys.rows("nonsense") == []
    assert len(keys.rows()) > 100


def test_paths_are_relative_to_the_file(units: Path) -> None:
    put(
        units / "below/c.container",
        "[Container]\nRootfs=./root\nEnvironmentFile=env\nVolume=./data:/data\n"
        "Mount=type=bind,source=./more,destination=/more\nSeccompProfile=profile.json\n",
    )
    found = words(made()["c.container"])
    assert found[found.index("--env-file") + 1] == f"{units}/below/env"
    assert found[found.index("--volume") + 1] == f"{units}/below/data:/data"
    assert f"type=bind,source={units}/below/more,destination=/more" in found
    assert f"seccomp={units}/below/profile.json" in found
    assert found[-2:] == ["--rootfs", f"{units}/below/root"]


def test_other_keys(units: Path) -> None:
    put(
        units / "c.container",
        "[Container]\nImage=i\nContainerName=own\nGlobalArgs=--debug\n"
        'PodmanArgs=--privileged "a b"\n'
        "CgroupsMode=enabled\nLogDriver=none\nNotify=yes\nReloadCmd=nginx -s reload\n"
        "ServiceName=other\nStopTimeout=120\n[Quadlet]\nDefaultDependencies=false\n",
    )
    one = made()["c.container"]
    assert one.service == "other.service"
    found = words(one)
    assert found[:5] == ["/usr/bin/rootless", "--debug", "run", "--name", "own"]
    assert found[-6:] == ["--detach", "--sdnotify", "container", "--privileged", "a b", "i"]
    assert [found[found.index(flag) + 1] for flag in ("--cgroups", "--log-driver")] == [
        "enabled", "none",
    ]  # fmt: skip
    assert words(one, "ExecReload")[1:] == ["exec", "own", "nginx", "-s", "reload"]
    assert line(one, "TimeoutStopSec") == "150"
    assert "network-online" not in one.text
    put(units / "c.container", "[Container]\nImage=i\nReloadSignal=HUP\nNotify=healthy\n")
    one = made()["c.container"]
    assert words(one, "ExecReload")[1:] == ["kill", "--signal", "HUP", "systemd-c"]
    assert "--sdnotify healthy" in one.text
    # a job: it ends by itself, and nobody is told that it is ready
    put(
        units / "c.container",
        "[Container]\nImage=i\n[Service]\nType=oneshot\nRemainAfterExit=yes\n",
    )
    one = made()["c.container"]
    assert "--detach" not in words(one)
    assert "ExecStop=" not in one.text
    assert line(one, "Type") == "oneshot"


def test_paths_with_signs_that_systemd_reads(units: Path) -> None:
    """Spaces, percent signs and dollars of a directory's name stay what they are."""
    directory = units / "50% of $my data"
    directory.mkdir()
    put(
        directory / "c.container",
        "[Container]\nImage=i\nVolume=./a b:/x\nVolume=/srv/%u c:/y\nEnvironmentFile=env\n",
    )
    one = made()["c.container"]
    base = str(directory).replace("%", "%%")
    lines = one.text.splitlines()
    assert f"SourcePath={base}/c.container" in lines
    assert f'RequiresMountsFor="{base}/a b"' in lines
    assert 'RequiresMountsFor="/srv/%u c"' in lines
    base = base.replace("$", "$$")
    found = words(one)
    assert f"{base}/a b:/x" in found
    assert "/srv/%u c:/y" in found
    assert f"{base}/env" in found


REFUSED = [
    ("[Container]\nImage=i\nImgae=j\n", "3: unknown key Imgae= in [Container]", "is Image= meant?"),
    ("[Container]\nImage=i\nSecret=s\n", "3: Secret= cannot be had", ""),
    ("[Container]\nImage=i\nPod=p.pod\n", "3: Pod= cannot be had", ""),
    ("[Container]\nImage=i\nContainersConfModule=/x\n", "3: ContainersConfModule=", ""),
    ("[Container]\nImage=i\nNetwork=n.network\n", "3: Network=n.network", ""),
    ("[Container]\nImage=i\nNetwork=pasta\n", "3: Network=pasta cannot be had", "network by name"),
    ("[Container]\nImage=x.build\n", "2: Image=x.build", ""),
    ("[Container]\nImage=x.image\n", "2: Image=x.image: there is no unit file x.image", ""),
    ("[Container]\nImage=i\nVolume=v.volume:/v\n", "3: Volume=v.volume:/v: there is no", ""),
    ("[Container]\nImage=i\nMount=type=image,source=x,target=/y\n", "3: Mount= of type=image", ""),
    ("[Container]\nExec=x\n", ": neither Image= nor Rootfs=", ""),
    ("[Container]\nImage=i\nRootfs=/r\n", "3: Image= and Rootfs= exclude", ""),
    ("[Container]\nImage=i\nGroup=5\n", "3: Group= without User=", ""),
    ("[Container]\nImage=i\nReadOnly=maybe\n", "3: ReadOnly=maybe is neither yes nor no", ""),
    ("[Container]\nImage=i\nNotify=perhaps\n", "3: Notify=perhaps", ""),
    ("[Container]\nImage=i\nAutoUpdate=daily\n", "3: AutoUpdate=daily", "registry or local"),
    ('[Container]\nImage=i\nExec="open\n', '3: Exec="open: a quote is not closed', ""),
    ("[Container]\nImage=i\nReloadCmd=a\nReloadSignal=HUP\n", "4: ReloadCmd= and", ""),
    (
        "[Container]\nImage=i\n[Service]\nType=forking\n",
        "4: Type=forking is not possible",
        "notify",
    ),
    ("[Container]\nImage=i\n[Service]\nKillMode=none\n", "4: KillMode=none", ""),
    ("[Container]\nImage=i\n[Service]\nExecStart=/x\n", "4: ExecStart= is made of", "Exec="),
    ("[Container]\nImage=i\n[Unit]\nAfter=x.container\n", "4: After=x.container: there is no", ""),
    (
        "[Container]\nImage=i\n[Install]\nWantedBy=../x\n",
        "4: WantedBy=../x: ../x is not the name",
        "",
    ),
    ("[Container]\nImage=i\n[Quadlet]\nX=y\n", "4: unknown key X= in [Quadlet]", ""),
    ("[Unit]\nDescription=x\n", ": there is no section [Container]", ""),
    ("Image=i\n", ":1: Image= stands before the first section", ""),
    ("[Container]\nImage\n", ':2: "Image" is not an assignment', ""),
    ("[Container\nImage=i\n", ":1: the section [Container is not closed", ""),
]


@pytest.mark.parametrize(("text", "sentence", "hint"), REFUSED, ids=[one[1] for one in REFUSED])
def test_what_is_refused_by_name_with_file_and_line(
    units: Path, text: str, sentence: str, hint: str
) -> None:
    put(units / "c.container", text)
    put(units / "good.volume", "[Volume]\n")
    found = made()
    error = found["c.container"].error
    assert isinstance(error, UsageError)
    assert f"{units}/c.container" in error.message
    assert sentence in error.message
    assert hint in error.hint
    assert found["c.container"].text == ""
    # one bad file keeps no other from its unit
    assert found["good.volume"].error is None


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("x.pod", "[Pod]\nPodName=x\n", "x.pod:1: .pod units cannot be had: there are no pods"),
        ("x.network", "\n[Network]\nSubnet=10.0.0.0/8\n", "x.network:2: .network units"),
        ("x.kube", "[Kube]\nYaml=a\n", "x.kube:1: .kube units"),
        ("x.build", "[Build]\nFile=a\n", "x.build:1: .build units"),
        ("x.volume", "[Volume]\nDevice=/dev/sda\n", "x.volume:2: Device= cannot be had"),
        ("x.volume", "[Volume]\nDriver=image\n", "x.volume:2: Driver=image cannot be had"),
        ("x.volume", "[Volume]\nCopy=no\n", "x.volume:2: Copy=no cannot be had"),
        ("x.image", "[Image]\nCreds=a:b\nImage=i\n", "x.image:2: Creds= cannot be had"),
        ("x.image", "[Image]\nVariant=v7\nImage=i\n", "x.image:2: Variant= needs Arch="),
        ("x.image", "[Image]\nArch=arm\n", "x.image: Image= does not say"),
    ],
)
def test_other_kinds_refuse_by_name_as_well(
    units: Path, name: str, text: str, sentence: str
) -> None:
    put(units / name, text)
    error = made()[name].error
    assert error is not None
    assert sentence in error.message


def test_images_and_volumes(units: Path) -> None:
    put(
        units / "i.image",
        "[Image]\nImage=localhost:5000/a\nImageTag=b\nArch=arm\nVariant=v7\nTLSVerify=no\n"
        "AuthFile=auth.json\n",
    )
    put(units / "v.volume", "[Volume]\nVolumeName=mine\n")
    put(
        units / "c.container",
        "[Container]\nImage=i.image\nMount=type=volume,source=v.volume,target=/v\n",
    )
    found = made()
    assert words(found["i.image"])[1:] == [
        "pull", "--quiet", "--platform", "linux/arm/v7", "--tls-verify", "false",
        "localhost:5000/a",
    ]  # fmt: skip
    assert line(found["i.image"], "Environment") == f"REGISTRY_AUTH_FILE={units}/auth.json"
    assert words(found["c.container"])[-1] == "b"
    assert "type=volume,source=mine,target=/v" in words(found["c.container"])
    assert words(found["v.volume"])[-1] == "mine"


def test_drop_ins(units: Path) -> None:
    put(units / "foo-bar.container", "[Container]\nImage=i\nEnvironment=A=1\nMemory=1g\n")
    put(units / "container.d/10-all.conf", "[Service]\nRestart=always\n")
    put(units / "foo-.container.d/20-x.conf", "[Container]\nEnvironment=B=2\n")
    put(units / "foo-bar.container.d/20-x.conf", "[Container]\nEnvironment=C=3\nMemory=2g\n")
    put(units / "foo-bar.container.d/readme.txt", "not read")
    one = made()["foo-bar.container"]
    assert flags(one) == ["--memory", "2g", "--env", "A=1", "--env", "C=3"]
    assert line(one, "Restart") == "always"
    put(units / "foo-bar.container.d/30-y.conf", "[Container]\n\nMemroy=2g\n")
    error = made()["foo-bar.container"].error
    assert error is not None
    assert "foo-bar.container.d/30-y.conf:3: unknown key Memroy=" in error.message


def test_templates(units: Path) -> None:
    put(
        units / "sleep@.container",
        "[Container]\nImage=i\nExec=sleep %i\n[Install]\nWantedBy=a.target\nDefaultInstance=100\n",
    )
    (units / "sleep@10.container").symlink_to("sleep@.container")
    put(units / "sleep@10.container.d/x.conf", "[Container]\nImage=j\n")
    found = made()
    one, ten = found["sleep@.container"], found["sleep@10.container"]
    assert (one.service, ten.service) == ("sleep@.service", "sleep@10.service")
    assert words(one)[3] == "systemd-sleep_%i"
    assert words(ten)[3] == "systemd-sleep_10"
    assert (words(one)[-3], words(ten)[-3]) == ("i", "j")
    assert one.links == [("a.target.wants/sleep@100.service", "../sleep@.service")]
    assert ten.links == [("a.target.wants/sleep@10.service", "../sleep@10.service")]


def test_where_files_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUADLET_UNIT_DIRS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(search_paths, "GENERATORS", (str(tmp_path / "generators"),))
    uid = os.getuid()
    assert search_paths.directories() == [
        f"{tmp_path}/run/rootless/units",
        f"{tmp_path}/config/rootless/units",
        "/etc/rootless/units",
        f"{tmp_path}/run/containers/systemd",
        f"{tmp_path}/config/containers/systemd",
        f"/etc/containers/systemd/users/{uid}",
        "/etc/containers/systemd/users",
        f"/usr/share/containers/systemd/users/{uid}",
        "/usr/share/containers/systemd/users",
    ]
    put(tmp_path / "config/containers/systemd/a.volume", "[Volume]\nVolumeName=podmans\n")
    put(tmp_path / "config/containers/systemd/deep/b.volume", "[Volume]\n")
    put(tmp_path / "config/containers/systemd/x.socket", "[Socket]\nListenStream=1\n")
    put(tmp_path / "config/rootless/units/a.volume", "[Volume]\nVolumeName=ours\n")
    put(tmp_path / "config/rootless/units/y.socket", "[Socket]\nListenStream=1\n"
        "[Install]\nWantedBy=sockets.target\n")  # fmt: skip
    found = made()
    assert set(found) == {"a.volume", "b.volume", "y.socket"}
    assert words(found["a.volume"])[-1] == "ours"
    assert found["y.socket"].links == [("sockets.target.wants/y.socket", "../y.socket")]
    assert "ListenStream=1" in found["y.socket"].text
    # where podman's own generator runs, its files are left to it
    put(tmp_path / "generators/podman-user-generator", "")
    assert set(made()) == {"a.volume", "y.socket"}


def test_the_generator(units: Path, tmp_path: Path) -> None:
    put(units / "web.container", "[Container]\nImage=i\n[Install]\nWantedBy=default.target\n")
    put(units / "bad.container", "[Container]\nImage=i\nOops=1\n")
    program = put(tmp_path / "bin/rootless", "#!/bin/sh\n")
    program.chmod(stat.S_IRWXU)
    link = tmp_path / "lib/user-generators/rootless-generator"
    put(
        tmp_path / "bin/rootless-generator",
        f"import sys\nsys.path.insert(0, {str(TREE)!r})\n"
        "from rootless.quadlet.generator import main\nsys.exit(main())\n",
    )
    link.parent.mkdir(parents=True)
    link.symlink_to("../../bin/rootless-generator")
    normal = tmp_path / "normal"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-B", str(link), *arguments],
            text=True, capture_output=True, timeout=60,
            env={"QUADLET_UNIT_DIRS": str(units), "HOME": str(tmp_path)},
        )  # fmt: skip

    done = call(str(normal), str(tmp_path / "early"), str(tmp_path / "late"))
    assert done.returncode == 1
    assert f"{units}/bad.container:3: unknown key Oops=" in done.stderr
    text = (normal / "web.service").read_text()
    # the program beside the generator, wherever systemd found that
    assert f"ExecStart={program} run " in text
    assert (normal / "default.target.wants/web.service").resolve() == normal / "web.service"
    assert not (normal / "bad.service").exists()
    assert (normal / generate.ONLINE).exists()
    assert call(str(normal), "e", "l").stderr == done.stderr  # again, over what is there
    shown = call("-dryrun", "-user", "-v")
    assert "---web.service---" in shown.stdout
    assert f"reading {units}" in shown.stderr
    assert call("-frobnicate").returncode == 1
    assert "usage:" in call("--help").stdout


@pytest.mark.parametrize(
    "text",
    [
        "[Container]\nImage=i\nServiceName=x/y\n",
        "[Container]\nImage=i\nServiceName=../x\n",
        "[Container]\nImage=i\nStopTimeout=\u00b2\n",
        '[Container]\nImage=i\nExec=echo "\\ud800"\n',
    ],
)
def test_a_wrong_file_does_not_take_the_others_away(units: Path, tmp_path: Path, text: str) -> None:
    put(units / "aa.container", text)
    put(units / "good.container", "[Container]\nImage=i\n")
    found = made()
    generate.write(list(found.values()), str(tmp_path))
    assert (tmp_path / "good.service").exists()
    assert found["aa.container"].error is not None
    assert not [one for one in tmp_path.rglob("*") if one.name.startswith(("aa", "x", "y"))
                and units not in one.parents]  # fmt: skip


def test_the_generator_is_light() -> None:
    # it runs whenever systemd loads its units, for every person who logs in
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import rootless.quadlet.generator as g;"
        "g.main(['/nonexistent/never']); print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code, str(TREE)], text=True, capture_output=True, timeout=60,
        env={"QUADLET_UNIT_DIRS": "/nonexistent"},
    )  # fmt: skip
    for heavy in ("json", "re", "typing", "click", "subprocess", "rootless.engine", "difflib"):
        assert f"'{heavy}'" not in done.stdout, heavy


@pytest.mark.parametrize("word", ["", "a b", 'say "x"', "back\\slash", "tab\t", "new\nline", ";",
                                  "\x01", "it's", "ümlaut", "%n", "$HOME"])  # fmt: skip
def test_words_survive_quoting(word: str) -> None:
    assert syntax.split(syntax.command([word, "end"])) == [word, "end"]


def test_program_beside_or_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert generator.program("/nowhere/x") == [sys.executable, "-m", "rootless"]
    put(tmp_path / "rootless", "").chmod(stat.S_IRWXU)
    assert generator.program("/nowhere/x") == [f"{tmp_path}/rootless"]
