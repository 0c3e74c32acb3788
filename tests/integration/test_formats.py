"""What scripts read: `--format json` and templates of the lists, as podman and docker have them."""

from __future__ import annotations

import json

import pytest
from conftest import Command, Place
from registry import Registry, registry

__all__ = ["registry"]

SLEEP = ("sleep", "1000")


@pytest.fixture
def docker(entry: list[str], place: Place) -> Command:
    """The same command, by the name `docker`."""
    path = place.base / "docker"
    path.symlink_to(entry[-1])
    return Command([*entry[:-1], str(path)], place)


@pytest.fixture
def two(rootless: Command, busybox_image: str) -> str:
    """A container that runs and one that does not; the image's name."""
    rootless("run", "-d", "--name", "one", "--network", "none", "-l", "team=a", "--rm",
             busybox_image, *SLEEP)  # fmt: skip
    rootless("create", "--name", "two", "-v", "data:/data", "-v", f"{rootless.place.work}:/w",
             busybox_image, "echo", "x" * 40)  # fmt: skip
    return busybox_image


def test_ps_for_podmans_scripts(rootless: Command, two: str) -> None:
    newest, oldest = rootless("ps", "-a", "--format", "json").json()
    assert newest["Names"] == ["two"] and oldest["Names"] == ["one"]
    assert oldest["Command"] == list(SLEEP)
    assert oldest["Labels"] == {"team": "a"} and newest["Labels"] is None
    assert newest["Mounts"] == ["/data", "/w"]
    assert (oldest["State"], oldest["AutoRemove"], oldest["Exited"]) == ("running", True, False)
    assert oldest["Image"] == f"localhost/{two}"
    assert oldest["Id"] == rootless("inspect", "-f", "{{.Id}}", "one").stdout.strip()
    assert 0 <= oldest["StartedAt"] - oldest["Created"] < 600
    assert newest["StartedAt"] == newest["ExitedAt"] == -62135596800
    assert oldest["Size"] is None and oldest["Namespaces"] == {}
    (row,) = rootless("ps", "--format", "json", "--size", "--ns").json()
    assert row["Size"]["rootFsSize"] > row["Size"]["rwSize"]
    assert set(row["Namespaces"]) == {"Mnt", "Cgroup", "Ipc", "Net", "Pidns", "Uts", "User"}
    assert rootless("ps", "-a", "--filter", "name=nobody", "--format", "json").json() == []


def test_ps_for_dockers_scripts(docker: Command, two: str) -> None:
    rows = [json.loads(line) for line in docker("ps", "-a", "--format", "json").stdout.splitlines()]
    assert [row["Names"] for row in rows] == ["two", "one"]
    assert rows[1]["Labels"] == "team=a" and rows[1]["Command"] == '"sleep 1000"'
    assert rows[0]["LocalVolumes"] == "1"
    assert set(rows[0]) == {
        "Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names",
        "Networks", "Ports", "RunningFor", "Size", "State", "Status",
    }  # fmt: skip
    assert docker("images", "--format", "json").stdout.startswith('{"Containers":"N/A"')
    assert docker("volume", "ls", "--format", "json").stdout.startswith('{"Availability":"N/A"')


def test_fields_of_ps(rootless: Command, two: str) -> None:
    every = "{{.AutoRemove}}|{{.Exited}}|{{.ExitCode}}|{{.Pod}}|{{.Restarts}}|{{.IsInfra}}"
    told = rootless("ps", "--format", every).stdout
    assert told == "true|false|0||0|false\n"
    pid, space = rootless("ps", "--format", "{{.Pid}} {{.PIDNS}}").stdout.split()
    assert int(pid) > 1 and int(space) > 1
    whole = rootless("ps", "--no-trunc", "--format", "{{.ImageID}}").stdout.strip()
    assert len(whole) == 64
    assert rootless("ps", "--format", "{{.ImageID}}").stdout.strip() == whole[:12]
    assert rootless("ps", "-a", "--format", '{{.Label "team"}}').stdout == "\na\n"
    assert "(virtual " in rootless("ps", "--format", "{{json .Command}}|{{.Size}}").stdout
    table = rootless("ps", "-a", "--ns").stdout.splitlines()
    assert table[0].split()[-1] == "UTS" and table[1].split()[1:] == ["two", "0"]
    assert rootless("ps", "--pod").stdout.splitlines()[0].endswith("POD ID   PODNAME")
    assert rootless("ps", "--external", "--sync", "-q").stdout.count("\n") == 1


@pytest.mark.parametrize("verb", ["ps", "images", "volume ls", "history busybox:test"])
def test_a_field_that_does_not_exist(rootless: Command, busybox_image: str, verb: str) -> None:
    """Also where the list is empty, and in a branch that is not taken."""
    told = rootless(*verb.split(), "--format", "{{.Nmae}}", code=125)
    assert 'there is no field "Nmae"' in told.stderr
    told = rootless(*verb.split(), "--format", "{{if false}}{{.Labesl}}{{end}}", code=125)
    assert 'there is no field "Labesl"' in told.stderr


def test_sorted_containers(rootless: Command, busybox_image: str) -> None:
    for name, words in (("b", ["true"]), ("c", ["echo", "1"]), ("a", ["cat"])):
        rootless("create", "--name", name, busybox_image, *words)

    def by(key: str) -> list[str]:
        return rootless("ps", "-a", "--sort", key, "--format", "{{.Names}}").stdout.split()

    assert by("names") == ["a", "b", "c"]
    assert by("created") == by("runningfor") == ["b", "c", "a"]
    assert by("command") == ["a", "c", "b"]
    assert len(by("size")) == len(by("status")) == len(by("image")) == 3
    short = rootless("ps", "-aq", "--sort", "id").stdout.split()
    assert short == sorted(short) and len(short) == 3
    told = rootless("ps", "--sort", "colour", code=125)
    assert "cannot be sorted" in told.stderr and "runningfor" in told.stderr


def test_the_image_as_it_was_typed(rootless: Command, busybox_image: str) -> None:
    rootless("tag", busybox_image, "latestbox")
    names = ["latestbox", "latestbox:latest", "localhost/latestbox"]
    for name in names:
        rootless("create", name, "true")
    told = rootless("ps", "-a", "--sort", "created", "--format", "{{.Image}}").stdout
    # A short name is shown by the name under localhost/ that it found; a long one as typed.
    assert told.split() == ["localhost/latestbox:latest"] * 2 + ["localhost/latestbox"]
    found = rootless("ps", "-a", "--filter", "ancestor=latestbox", "-q").stdout
    assert found.count("\n") == 3
    assert {row["Image"] for row in rootless("ps", "-a", "--format", "json").json()} == {
        "localhost/latestbox:latest"
    }


def test_images_for_podmans_scripts(rootless: Command, busybox_image: str) -> None:
    rootless("tag", busybox_image, "another:1")
    rootless("create", "--name", "c", busybox_image, "true")
    rows = rootless("images", "--format", "json").json()
    assert len(rows) == 2  # one for each name, as podman
    (row, other) = rows
    assert row == other
    assert set(row["Names"]) == {f"localhost/{busybox_image}", "localhost/another:1"}
    assert row["Containers"] == 1 and row["Size"] > 500_000
    assert len(row["Id"]) == 64 and row["Digest"].startswith("sha256:")
    assert isinstance(row["Created"], int) and row["CreatedAt"].endswith("Z")

    def by(key: str) -> str:
        return rootless("images", "--sort", key, "--format", "{{.Repository}}").stdout

    assert by("repository") == "localhost/another\nlocalhost/busybox\n"
    assert by("tag").split()[0] == "localhost/another"
    assert by("size").count("\n") == by("id").count("\n") == by("created").count("\n") == 2
    assert "cannot be sorted" in rootless("images", "--sort", "x", code=125).stderr
    head = rootless("images", "--history").stdout.splitlines()[0]
    assert head.endswith("HISTORY")
    told = rootless("images", "--format", "{{.Id}} {{.ReadOnly}} {{.Dangling}} {{.Labels}}").stdout
    assert told.split()[1:4] == ["false", "false", "map[]"]


def test_other_lists(rootless: Command, busybox_image: str, registry: Registry) -> None:
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             "head -c 5000 /dev/zero >/two")  # fmt: skip
    stack = "step:2"
    rootless("commit", "-m", "step 2", "c", stack)
    rootless("volume", "create", "-l", "color=red", "v")
    (volume,) = rootless("volume", "ls", "--format", "json").json()
    assert volume["Name"] == "v" and volume["Labels"] == {"color": "red"}
    assert (volume["MountCount"], volume["NeedsCopyUp"]) == (0, True)
    assert rootless("volume", "ls", "--format", "{{.Labels}} {{.UID}}").stdout == "color=red 0\n"
    steps = rootless("history", "--format", "json", stack).json()
    assert len(steps) == 2 and steps[1]["id"] == "<missing>"
    assert steps[0]["size"] == 5000 and steps[0]["comment"] == "step 2"
    assert len(steps[0]["id"]) == 64
    rootless("push", "-q", stack, f"{registry.host}/team/tool:2", "--tls-verify=false")
    found = rootless("search", "--tls-verify=false", "--format", "json", f"{registry.host}/tool")
    assert [row["Name"] for row in found.json()] == [f"{registry.host}/team/tool"]
    found = rootless("search", "--tls-verify=false", "--list-tags", "--format", "json",
                     f"{registry.host}/team/tool")  # fmt: skip
    assert found.json() == [{"Name": f"{registry.host}/team/tool", "Tags": ["2"]}]


PODMANS = (
    "ImageDigest Rootfs Pod StaticDir OCIRuntime ConmonPidFile PidFile MountLabel ProcessLabel "
    "AppArmorProfile ExecIDs Dependencies Namespace IsInfra IsService EffectiveCaps BoundingCaps "
    "State.OciVersion State.ConmonPid State.CheckpointedAt State.RestoredAt State.StoppedByUser "
    "HostConfig.LogConfig.Path HostConfig.LogConfig.Size HostConfig.LogConfig.Tag "
    "HostConfig.CgroupManager HostConfig.CgroupMode HostConfig.Cgroups HostConfig.IDMappings "
    "HostConfig.CgroupConf HostConfig.DiskQuota Config.Umask Config.Passwd Config.sdNotifyMode "
    "Config.CreateCommand NetworkSettings.SandboxID ID Id ImageID"
).split()
DOCKERS = (
    "HostConfig.Dns HostConfig.DnsOptions HostConfig.DnsSearch HostConfig.ExtraHosts "
    "HostConfig.GroupAdd HostConfig.Devices HostConfig.NanoCpus HostConfig.ShmSize "
    "HostConfig.OomScoreAdj HostConfig.UsernsMode HostConfig.VolumesFrom HostConfig.ConsoleSize "
    "HostConfig.ContainerIDFile HostConfig.PublishAllPorts HostConfig.CpusetMems "
    "HostConfig.MemoryReservation HostConfig.MemorySwappiness HostConfig.OomKillDisable "
    "HostConfig.BlkioDeviceReadBps HostConfig.DeviceRequests HostConfig.VolumeDriver "
    "Config.Domainname Config.AttachStdout Config.StdinOnce Config.OnBuild Config.Volumes "
    "NetworkSettings.MacAddress NetworkSettings.GlobalIPv6Address NetworkSettings.Networks.none"
).split()


def test_inspect_has_the_fields_of_both(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "c", "--network", "none", "--dns-search", "example.org",
             "--add-host", "one:192.0.2.1", "--group-add", "5", "--cidfile", "id", "-v", "v:/v:ro",
             busybox_image, *SLEEP)  # fmt: skip
    (found,) = rootless("inspect", "c").json()

    def at(path: str) -> object:
        value: object = found
        for part in path.split("."):
            assert isinstance(value, dict) and part in value, path
            value = value[part]
        return value

    for path in (*PODMANS, *DOCKERS):
        if path not in ("ID", "ImageID"):
            at(path)
    # each can be named in a template as well
    template = "|".join(f"{{{{.{path}}}}}" for path in (*PODMANS, *DOCKERS))
    assert rootless("inspect", "-f", template, "c").stdout.count("|") == template.count("|")
    assert at("HostConfig.ExtraHosts") == ["one:192.0.2.1"]
    assert at("HostConfig.GroupAdd") == ["5"] and at("HostConfig.DnsSearch") == ["example.org"]
    assert at("HostConfig.ContainerIDFile") == "id"
    assert at("HostConfig.ShmSize") == 64 << 20
    assert at("HostConfig.LogConfig.Path") == at("LogPath") != ""
    assert at("Config.Umask") == "0022"
    (image,) = rootless("image", "inspect", busybox_image).json()
    assert at("ImageDigest") == image["Digest"]
    (mount,) = found["Mounts"]
    assert "ro" in mount["Options"]
    told = rootless("inspect", "-f", "{{.ID}} {{.ImageID}} {{(index .Mounts 0).Dst}}", "c").stdout
    assert told.split() == [found["Id"], found["Image"], "/v"]
    told = rootless("inspect", "-f", "{{.State.Pdi}}", "c", code=125)
    assert "did you mean Pid?" in told.stderr
    told = rootless("inspect", "-f", "{{.Sttae}}", "c", code=125)
    assert "did you mean State?" in told.stderr
    told = rootless("inspect", "--type", "nothing", "c", code=125)
    assert told.stdout == ""


def test_who_stopped_it(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, *SLEEP)
    shown = "{{.State.StoppedByUser}} {{.State.ConmonPid}}"
    stopped, monitor = rootless("inspect", "-f", shown, "c").stdout.split()
    assert stopped == "false" and int(monitor) > 1
    rootless("stop", "-t", "0", "c")
    assert rootless("inspect", "-f", shown, "c").stdout == "true 0\n"


def test_info_and_version_of_both(rootless: Command) -> None:
    found = rootless("info", "--format", "json").json()
    assert found["host"]["security"]["rootless"] is True
    assert found["store"]["graphRoot"] == found["DockerRootDir"] == str(rootless.place.data)
    assert found["plugins"]["volume"] == found["Plugins"]["Volume"] == ["local"]
    template = (
        "{{.Host.Arch}}|{{.Host.CgroupsVersion}}|{{.Host.CPUs}}|{{.Host.OCIRuntime.Name}}|"
        "{{.Host.IDMappings.UIDMap}}|{{.Host.Security.Rootless}}|{{.Host.RemoteSocket.Path}}|"
        "{{.Host.Slirp4NetNS.Executable}}|{{.Host.MemTotal}}|{{.Host.Distribution.Distribution}}|"
        "{{.Store.GraphDriverName}}|{{.Store.ContainerStore.Number}}|{{.Store.ImageStore.Number}}|"
        "{{.Store.RunRoot}}|{{.Store.VolumePath}}|{{.Plugins.Network}}|{{.Registries}}|"
        "{{.Version.Version}}|{{.Driver}}|{{.Swarm.LocalNodeState}}|{{.LoggingDriver}}"
    )
    told = rootless("info", "-f", template).stdout.strip().split("|")
    assert told[5] == "true" and told[10] == found["Driver"] == told[18]
    assert told[11:13] == ["0", "0"] and int(told[8]) > 1 << 20
    assert told[19] == "inactive"
    assert 'no field "Hots"' in rootless("info", "-f", "{{.Hots.Arch}}", code=125).stderr
    client = rootless("version", "--format", "json").json()["Client"]
    assert client["APIVersion"] and client["OsArch"].startswith("linux/")
    assert rootless("version", "-f", "{{.Client.Built}}").stdout.strip().isdigit()


def test_top_as_the_container_sees_it(rootless: Command, docker: Command, two: str) -> None:
    """podman's columns, with users and pids of the container; ps(1)'s options show the host's."""
    rootless("exec", "-d", "one", "sh", "-c", "sleep 999 & exec sleep 998")
    pid = rootless("inspect", "-f", "{{.State.Pid}}", "one").stdout.strip()
    head, *rows = [line.split() for line in rootless("top", "one").stdout.splitlines()]
    assert head == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    assert [row[0] for row in rows] == ["root"] * len(rows)
    assert rows[0][1:3] == ["1", "0"] and rows[0][-2:] == ["sleep", "1000"]
    table = rootless("top", "one", "pid", "hpid", "seccomp,user,capeff", "%p").stdout.splitlines()
    assert table[0].split()[:4] == ["PID", "HPID", "SECCOMP", "USER"]
    assert table[1].split()[:4] == ["1", pid, "filter", "root"]
    assert "CHOWN" in table[1]
    assert docker("top", "one").stdout.split()[:3] == ["UID", "PID", "PPID"]
    assert pid in rootless("top", "one", "-ef").stdout
    assert 'no column "colour"' in rootless("top", "one", "colour", code=125).stderr


def test_fields_of_stats_and_df(rootless: Command, docker: Command, two: str) -> None:
    template = "{{.Name}}|{{.ContainerID}}|{{.PIDs}}|{{.NetInput}}|{{.CPUNano}}|{{.AvgCPU}}"
    told = rootless("stats", "--no-stream", "--format", template, "one").stdout.strip().split("|")
    assert told[0] == "one" and len(told[1]) == 64 and told[2:4] == ["1", "0"]
    assert int(told[4]) >= 0 and told[5].endswith("%")
    wrong = rootless("stats", "--no-stream", "--format", "{{.Nmae}}", code=125)
    assert "did you mean Name?" in wrong.stderr
    row = json.loads(docker("stats", "--no-stream", "--format", "json", "one").stdout)
    assert row["Name"] == "one"
    shown = rootless("system", "df", "--format", "{{.Type}}|{{.Total}}|{{.RawSize}}").stdout
    assert shown.startswith("Images|1|")
    assert rootless("image", "prune", "-f", "--external").stdout.startswith("Total reclaimed")
