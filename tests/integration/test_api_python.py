"""Docker's Python library against our socket: its shapes, its streams, its errors."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import pytest
from integration.api import Service
from integration.api import service as service
from integration.hub import Hub


@pytest.fixture
def client(service: Service, busybox_image: str) -> Iterator[Any]:
    """The library; the image busybox:test is there."""
    made = docker.DockerClient(base_url=f"unix://{service.path}", timeout=120)
    yield made
    for one in made.containers.list(all=True, ignore_removed=True):
        one.remove(force=True, v=True)
    made.close()
    _close_sockets(service.path)


def _close_sockets(path: str) -> None:
    """Those that the library leaves open: the garbage collector would complain in other tests."""
    for one in gc.get_objects():
        if isinstance(one, socket.socket) and one.family == socket.AF_UNIX and one.fileno() >= 0:
            with contextlib.suppress(OSError):
                if one.getpeername() == path:
                    socket.socket._real_close(one)  # type: ignore[attr-defined]


IMAGE = "busybox:test"
# the library leaves sockets of attach and exec to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_run_and_its_errors(client: Any) -> None:
    assert client.containers.run(IMAGE, "echo hello world", remove=True) == b"hello world\n"
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run(IMAGE, "cat /nosuch", remove=True)
    assert caught.value.exit_status == 1
    assert b"No such file" in caught.value.stderr
    with pytest.raises(docker.errors.APIError):
        client.containers.run("no.such.example/image", "true")
    with pytest.raises(docker.errors.NotFound, match="No such container: nosuch"):
        client.containers.get("nosuch")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")
    assert list(client.containers.run(IMAGE, "echo a", stream=True)) == [b"a\n"]


def test_what_was_asked_for_is_shown_again(client: Any) -> None:
    made = client.containers.create(
        "busybox:test", ["echo", "x"], name="c", environment={"A": None, "B": "one", "C": ""},
        labels={"com.docker.compose.x": "ü=1"}, tmpfs={"/t": "size=3M"}, working_dir="/tmp",
        ports={"80/tcp": None}, stop_signal="SIGINT", user="1:1", hostname="h",
        volumes=["v:/v", "/etc/hostname:/h:ro"], isolation="default",
        healthcheck={"test": ["CMD", "true"], "interval": 10**9}, init=True, mem_swappiness=40,
        log_config=docker.types.LogConfig(type="json-file", config={"max-file": "3"}),
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3}, shm_size="65m",
    )  # fmt: skip
    attrs = client.api.inspect_container("c")
    config, host = attrs["Config"], attrs["HostConfig"]
    assert {"A", "B=one", "C="} <= set(config["Env"])
    assert not any(one.startswith(("HOME=", "HOSTNAME=", "container=")) for one in config["Env"])
    assert config["Labels"] == {"com.docker.compose.x": "ü=1"}
    assert config["Cmd"] == ["echo", "x"] and config["Entrypoint"] is None
    assert config["Image"] == "busybox:test"
    assert config["Healthcheck"]["Test"] == ["CMD", "true"]
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert host["Tmpfs"] == {"/t": "size=3M"}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3"}}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Init"] is True and host["NetworkMode"] in ("bridge", "none")
    assert host["Binds"] == ["v:/v", "/etc/hostname:/h:ro"]
    assert {one["Destination"]: one["RW"] for one in attrs["Mounts"] if one["Type"] != "tmpfs"} == {
        "/v": True, "/h": False
    }  # fmt: skip
    assert attrs["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert made.status == "created"
    listed = client.api.containers(all=True, filters={"label": ["com.docker.compose.x=ü=1"]})
    assert [one["Names"] for one in listed] == [["/c"]]
    assert listed[0]["Image"] == "busybox:test" and listed[0]["Ports"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Links", ["a:b"]), ("DeviceCgroupRules", ["c 1:3 r"]), ("KernelMemory", 1 << 20),
        ("Isolation", "hyperv"), ("CpuRealtimePeriod", 5), ("VolumeDriver", "nfs"),
        ("Cgroup", "x"), ("SomethingNew", True), ("SecurityOpt", ["seccomp={}"]),
        ("MaskedPaths", ["/x"]), ("Tmpfs", 5), ("Binds", [":/x"]), ("CapAdd", "NOSUCH"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_its_name(
    client: Any, service: Service, field: str, value: object
) -> None:
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {field: value}}
    status, told = service.ask("POST", "/containers/create", body)
    assert status == 400
    assert any(one in told["message"] for one in (field, str(value), "NOSUCH", ":/x"))
    assert client.containers.list(all=True) == []


def test_attach_before_the_start_loses_nothing(client: Any) -> None:
    made = client.containers.create(IMAGE, "echo first")
    first, second = (made.attach_socket(params={"stdout": 1, "stream": 1}) for _ in range(2))
    made.start()
    for one in (first, second):
        data = b""
        while piece := one.read(100):
            data += piece
        assert data == b"\1\0\0\0\0\0\0\6first\n"
        one.close()
    assert made.attach(logs=True, stream=False) == b"first\n"


def test_exec_in_all_its_forms(client: Any) -> None:
    made = client.containers.run(IMAGE, "sleep 1000", detach=True)
    assert made.exec_run("echo hello") == (0, b"hello\n")
    assert made.exec_run(["sh", "-c", "echo o; echo e >&2; exit 3"], demux=True) == (
        3, (b"o\n", b"e\n")
    )  # fmt: skip
    assert made.exec_run("env", environment={"A": "b"}, workdir="/tmp").output.count(b"A=b\n") == 1
    assert made.exec_run("pwd", workdir="/tmp").output == b"/tmp\n"
    assert made.exec_run("id -u", user="5").output == b"5\n"
    assert made.exec_run("nosuch").exit_code == 127
    # framed by what the start says, as docker does
    one = client.api.exec_create(made.id, "printf line", tty=True)
    assert client.api.exec_start(one) == b"line"
    assert client.api.exec_inspect(one)["Running"] is False
    with pytest.raises(docker.errors.APIError, match="has already run"):
        client.api.exec_start(one)
    detached = client.api.exec_create(made.id, ["sh", "-c", "sleep 1000"])
    assert client.api.exec_start(detached, detach=True) in ("", b"")
    assert client.api.exec_inspect(detached)["Running"] is True
    assert client.api.inspect_container(made.id)["ExecIDs"] == [detached["Id"]]
    typed = client.api.exec_create(made.id, "cat", stdin=True)
    sock = client.api.exec_start(typed, socket=True)
    sock._sock.sendall(b"typed")
    sock._sock.shutdown(1)
    assert sock.read(100) == b"\1\0\0\0\0\0\0\5typed"
    assert sock.read(100) == b""
    assert client.api.exec_inspect(typed)["ExitCode"] == 0
    with pytest.raises(docker.errors.NotFound, match="No such exec instance"):
        client.api.exec_inspect("0" * 64)


def test_detach_keys_leave_the_container(client: Any) -> None:
    made = client.containers.run(IMAGE, "cat", detach=True, tty=True, stdin_open=True)
    sock = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1, "detachKeys": "ctrl-x"})
    sock._sock.sendall(b"a\x18")
    seen = b""
    while piece := sock.read(100):
        seen += piece
    sock.close()
    made.reload()
    assert made.status == "running"


def test_life(client: Any) -> None:
    made = client.containers.run(IMAGE, "sleep 1000", detach=True, name="one")
    with pytest.raises(docker.errors.APIError, match="Conflict. The container name"):
        client.containers.create(IMAGE, name="one")
    made.rename("two")
    made.reload()
    assert made.name == "two"
    assert made.top()["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert made.top(ps_args="waux")["Titles"][-3:] == ["START", "TIME", "COMMAND"]
    began = made.attrs["State"]["StartedAt"]
    made.restart(timeout=0)
    made.reload()
    assert made.attrs["State"]["StartedAt"] != began
    found = made.stats(stream=False)
    for key in ("read", "precpu_stats", "cpu_stats", "memory_stats", "blkio_stats"):
        assert key in found
    waited: list[dict[str, int]] = []
    waiter = threading.Thread(target=lambda: waited.append(made.wait(condition="removed")))
    waiter.start()
    made.kill(signal="SIGUSR1")
    made.stop(timeout=0)
    made.stop()
    with pytest.raises(docker.errors.APIError, match="is not running"):
        made.kill()
    made.remove()
    waiter.join(60)
    assert waited and waited[0]["StatusCode"] in (137, 138)
    made = client.containers.run(IMAGE, "sh -c 'echo x > /data; exit 4'", detach=True)
    assert made.wait()["StatusCode"] == 4
    assert {"Path": "/data", "Kind": 1} in made.diff()
    pruned = client.containers.prune()
    assert pruned["ContainersDeleted"] == [made.id] and pruned["SpaceReclaimed"] > 0


def test_archives(client: Any) -> None:
    made = client.containers.create(IMAGE, "cat /tmp/there")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("there")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"text"))
    assert made.put_archive("/tmp", file.getvalue())
    made.start()
    made.wait()
    assert made.logs() == b"text"
    stream, stat = made.get_archive("/tmp/there")
    assert stat["name"] == "there" and stat["size"] == 4 and stat["mode"] == 0o644
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        assert archive.extractfile("there").read() == b"text"  # type: ignore[union-attr]
    _, stat = made.get_archive("/tmp")
    assert stat["mode"] & 1 << 31
    with pytest.raises(docker.errors.NotFound):
        made.get_archive("/nosuch")
    with pytest.raises(docker.errors.NotFound):
        made.put_archive("/nosuch", file.getvalue())


def test_images(client: Any) -> None:
    image = client.images.get(IMAGE)
    assert image.tag("other", tag="1")
    assert "other:1" in client.images.get("other:1").tags
    data = b"".join(client.images.get("other:1").save())
    client.images.remove("other:1")
    assert [one.id for one in client.images.load(data)] == [image.id]
    with pytest.raises(docker.errors.ImageLoadError):
        client.images.load(b"no archive")
    made = client.containers.create(IMAGE, "touch /x")
    made.start()
    made.wait()
    committed = made.commit("made", changes=["EXPOSE 8000", 'CMD ["a"]'],
                            conf={"Env": ["X=$y z"], "Labels": {"l": "v"}})  # fmt: skip
    config = committed.attrs["Config"]
    assert config["Cmd"] == ["a"] and "8000/tcp" in config["ExposedPorts"]
    assert "X=$y z" in config["Env"] and config["Labels"]["l"] == "v"
    assert client.images.get("made").history()[0]["Id"] == committed.id
    gone = client.api.remove_image(committed.id, force=True)
    assert {"Deleted": committed.id} in gone
    assert client.api.df()["Images"]


def test_pull_and_push(client: Any, hub: Hub, service: Service) -> None:
    name = f"{hub.host}/api/pushed"
    client.images.get(IMAGE).tag(name, "1")
    told = list(client.images.push(name, "1", stream=True, decode=True))
    assert not [one for one in told if "error" in one], told
    assert [one["aux"]["Tag"] for one in told if "aux" in one] == ["1"]
    client.images.remove(f"{name}:1")
    told = list(client.api.pull(name, "1", stream=True, decode=True))
    assert told[0]["status"].startswith("Pulling from")
    assert told[-1]["status"].startswith("Status: ")
    assert client.images.get(f"{name}:1").id
    found = client.api.inspect_distribution(f"{name}:1")
    assert {"architecture": "amd64", "os": "linux"} in found["Platforms"] or found["Platforms"]
    with pytest.raises(docker.errors.NotFound):
        client.images.pull(f"{hub.host}/api/nosuch", "1")


def test_builds(client: Any) -> None:
    script = f"FROM {IMAGE}\nARG A\nRUN echo out; echo err >&2\nLABEL a=$A\n".encode()
    image, told = client.images.build(
        fileobj=io.BytesIO(script), tag="built", buildargs={"A": "b"}, labels={"c": "d"}
    )
    assert image.labels == {"a": "b", "c": "d"}
    text = [one.get("stream", "") for one in told]
    assert "\x1b[91merr\n\x1b[0m" in text and text[-1] == "Successfully tagged built:latest\n"
    again = list(client.api.build(fileobj=io.BytesIO(script), buildargs={"A": "b"}, decode=True))
    assert any("Using cache" in one.get("stream", "") for one in again)
    with pytest.raises(docker.errors.BuildError) as caught:
        client.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN exit 5\n".encode()))
    assert "The command '/bin/sh -c exit 5' returned a non-zero code: 5" in str(caught.value)
    with pytest.raises(docker.errors.APIError):
        client.images.build(fileobj=io.BytesIO(b""))


def test_volumes_and_networks(client: Any) -> None:
    volume = client.volumes.create("v", labels={"a": "b"})
    assert client.volumes.get("v").attrs["Labels"] == {"a": "b"}
    mount = docker.types.Mount("/m", "w", labels={"x": "y"})
    client.containers.run(IMAGE, "true", mounts=[mount], remove=True)
    assert client.volumes.get("w").attrs["Labels"] == {"x": "y"}
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get("nosuch")
    with pytest.raises(docker.errors.NotFound):
        client.volumes.create("z", driver="nosuch")
    volume.remove()
    assert {"bridge", "host", "none"} <= {one.name for one in client.networks.list()}
    with pytest.raises(docker.errors.NotFound, match="network nosuch not found"):
        client.containers.create(IMAGE, "true", network="nosuch")


def test_containers_find_each_other_on_a_network(client: Any) -> None:
    pool = docker.types.IPAMPool(subnet="10.123.7.0/24", gateway="10.123.7.9")
    made = client.networks.create(
        "web", labels={"a": "b"}, ipam=docker.types.IPAMConfig(pool_configs=[pool])
    )
    with pytest.raises(docker.errors.APIError, match="already exists"):
        client.networks.create("web")
    assert made.attrs["IPAM"]["Config"] == [{"Subnet": "10.123.7.0/24", "Gateway": "10.123.7.9"}]
    assert [one.id for one in client.networks.list(filters={"label": "a=b"})] == [made.id]
    assert client.networks.get(made.id[:12]).name == "web"
    endpoints = {"web": client.api.create_endpoint_config(aliases=["other"],
                                                          ipv4_address="10.123.7.77")}  # fmt: skip
    one = client.containers.create(
        IMAGE, ["sh", "-c", "echo reached | nc -l -p 80"], name="db", network="web",
        networking_config=endpoints,
    )  # fmt: skip
    one.start()
    one.reload()
    place = one.attrs["NetworkSettings"]["Networks"]
    assert list(place) == ["web"]
    assert place["web"]["IPAddress"] == "10.123.7.77" and place["web"]["NetworkID"] == made.id
    assert one.attrs["HostConfig"]["NetworkMode"] == "web"
    made.reload()
    assert [each.name for each in made.containers] == ["db"]
    script = "for i in $(seq 300); do nc 10.123.7.77 80 && exit 0; sleep 0.1; done; exit 1"
    said = client.containers.run(IMAGE, ["sh", "-c", script], network=made.id, remove=True)
    assert said == b"reached\n"
    with pytest.raises(docker.errors.APIError, match="web"):
        made.remove()
    one.remove(force=True)
    made.remove()
    assert client.networks.prune()["NetworksDeleted"] is None
    with pytest.raises(docker.errors.APIError) as caught:
        client.networks.get("bridge").remove()
    assert caught.value.status_code == 403


def test_swarm_is_answered_as_without_one(client: Any) -> None:
    assert client.info()["Swarm"]["LocalNodeState"] == "inactive"
    for ask in (client.nodes.list, client.services.list, client.secrets.list, client.swarm.leave):
        with pytest.raises(docker.errors.APIError) as caught:
            ask()
        assert caught.value.status_code == 503
    assert client.plugins.list() == []


def test_events(client: Any) -> None:
    stream = client.events(decode=True, filters={"type": "container"})
    client.containers.run(IMAGE, "true", remove=True, name="c")
    seen = []
    for one in stream:
        seen.append(one["Action"])
        assert one["Actor"]["Attributes"]["name"] == "c"
        if one["Action"] == "destroy":
            break
    stream.close()
    assert seen[0] == "create" and "die" in seen


def test_a_bind_that_is_missing_is_made_as_docker_does(client: Any, service: Service) -> None:
    source = Path(service.rootless.place.work) / "new" / "directory"
    client.containers.run(IMAGE, "touch /m/x", volumes=[f"{source}:/m"], remove=True)
    assert os.listdir(source) == ["x"]
    with pytest.raises(docker.errors.APIError, match="does not exist"):
        mount = docker.types.Mount("/m", f"{source}/nosuch", type="bind")
        client.containers.create(IMAGE, "true", mounts=[mount])
