"""Options as data: defaults, the words of docker's Python client, refusals."""

from __future__ import annotations

import pytest

from rootless.engine.spec.option_values import ExecOptions
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError


def test_nothing_is_set_by_default() -> None:
    options = ContainerOptions("debian")
    assert options.image == "debian"
    assert options.env == []
    assert options.tty is False
    assert options.memory is None


def test_lists_are_not_shared() -> None:
    ContainerOptions("a").env.append("A=1")
    assert ContainerOptions("b").env == []


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(UsageError, match='unknown option "colour"'):
        ContainerOptions("debian", colour="red")
    with pytest.raises(UsageError):
        ExecOptions(command=["true"], memory="1g")


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ({"environment": {"A": 1, "B": None}}, "env", ["A=1", "B"]),
        ({"env": "A=1"}, "env", ["A=1"]),
        ({"labels": {"a": "b"}}, "label", ["a=b"]),
        ({"volumes": {"/h": {"bind": "/c", "mode": "ro"}}}, "volume", ["/h:/c:ro"]),
        ({"volumes": ["/h:/c"]}, "volume", ["/h:/c"]),
        ({"ports": {"80/tcp": 8080}}, "publish", ["8080:80/tcp"]),
        ({"ports": {"80/tcp": ("127.0.0.1", 8080)}}, "publish", ["127.0.0.1:8080:80/tcp"]),
        ({"ports": {"80/tcp": None}}, "publish", ["80/tcp"]),
        ({"mem_limit": "64m"}, "memory", "64m"),
        ({"network_mode": "none"}, "network", ["none"]),
        ({"working_dir": "/srv"}, "workdir", "/srv"),
        ({"remove": True}, "rm", True),
        ({"cpus": 1.5}, "cpus", "1.5"),
        ({"user": 1000}, "user", "1000"),
        ({"stop_timeout": "3"}, "stop_timeout", 3),
        ({"entrypoint": ["sh", "-c"]}, "entrypoint", ["sh", "-c"]),
        ({"extra_hosts": {"db": "10.0.0.1"}}, "add_host", ["db:10.0.0.1"]),
        ({"cap_add": "NET_RAW"}, "cap_add", ["NET_RAW"]),
        ({"command": "echo 'two words' x"}, "command", ["echo", "two words", "x"]),
        ({"command": ("echo", "a b")}, "command", ["echo", "a b"]),
        ({"tmpfs": {"/mnt": "size=3m", "/run": ""}}, "tmpfs", ["/mnt:size=3m", "/run"]),
        ({"ports": {"80/tcp": [1, 2]}}, "publish", ["1:80/tcp", "2:80/tcp"]),
        ({"ports": {"80/tcp": ("127.0.0.1",)}}, "publish", ["127.0.0.1::80/tcp"]),
        ({"ports": [80, 81]}, "publish", ["80", "81"]),
        ({"ulimits": [{"Name": "nofile", "Soft": 5}]}, "ulimit", ["nofile=5:5"]),
        (
            {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 5}},
            "restart",
            "on-failure:5",
        ),
    ],
)
def test_words_of_dockers_client(words: dict[str, object], name: str, value: object) -> None:
    assert getattr(ContainerOptions("debian", **words), name) == value


@pytest.mark.parametrize(
    "words",
    [
        {"pids_limit": "few"},
        {"env": 7},
        {"env": [["A=1"]]},
        {"cap_add": b"NET_RAW"},
        {"command": "echo 'open"},
        {"command": {"echo": "hi"}},
        {"name": ["a", "b"]},
        {"detach": "false"},
        {"volumes": {"/h": {"target": "/c"}}},
        {"volumes": {"/h": ["/c"]}},
        {"restart_policy": {"Times": 5}},
    ],
)
def test_a_value_of_the_wrong_kind(words: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ContainerOptions("debian", **words)


def test_exec_understands_the_words_of_dockers_client() -> None:
    options = ExecOptions(command="true", environment={"A": 1}, working_dir="/srv")
    assert (options.command, options.env, options.workdir) == (["true"], ["A=1"], "/srv")
