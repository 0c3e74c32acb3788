"""What goes over the user's message bus, held against jeepney and against damaged messages."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies
from jeepney import DBusAddress, low_level, new_error, new_method_call, new_method_return

from rootless.cgroups import dbus
from rootless.errors import HostError

CALL = ("ssa(sv)a(sa(sv))", (
    "rootless-0123456789ab.scope", "fail",
    [
        ("Description", ("s", "ein Behälter")),
        ("PIDs", ("au", [4711])),
        ("Delegate", ("b", True)),
        ("MemoryMax", ("t", (1 << 64) - 1)),
        ("AllowedCPUs", ("ay", b"\5")),
        ("IOReadBandwidthMax", ("a(st)", [("/dev/block/8:0", 1 << 20)])),
    ],
    [],
))  # fmt: skip


def read(data: bytes) -> low_level.Message:
    parser = low_level.Parser()
    parser.add_data(data)
    found = parser.get_next_message()
    assert found is not None
    return found


def test_a_call_is_read_by_others_as_it_was_meant() -> None:
    data = dbus.method_call(
        7, "org.example", "/org/example", "org.example.I", "Go", *[CALL[0], *CALL[1]]
    )
    found = read(data)
    assert found.body == (
        CALL[1][0], "fail",
        [(name, (kind, value)) for name, (kind, value) in CALL[1][2]], [],
    )  # fmt: skip
    fields = {field.name: value for field, value in found.header.fields.items()}
    assert fields == {
        "path": "/org/example", "interface": "org.example.I", "member": "Go",
        "destination": "org.example", "signature": CALL[0],
    }  # fmt: skip
    assert found.header.serial == 7


values = strategies.recursive(
    strategies.one_of(
        strategies.tuples(
            strategies.just("s"), strategies.text(max_size=9).filter(lambda t: "\0" not in t)
        ),
        strategies.tuples(strategies.just("u"), strategies.integers(0, (1 << 32) - 1)),
        strategies.tuples(strategies.just("y"), strategies.integers(0, 255)),
        strategies.tuples(strategies.just("x"), strategies.integers(-(1 << 63), (1 << 63) - 1)),
        strategies.tuples(strategies.just("b"), strategies.booleans()),
    ),
    lambda inner: strategies.lists(inner, max_size=4).map(lambda found: ("av", found)),
    max_leaves=8,
)


def plain(value: object) -> object:
    """Variants without their signatures."""
    if isinstance(value, list):
        return [plain(one[1]) if isinstance(one, tuple) else plain(one) for one in value]
    return value


@given(strategies.lists(values, max_size=5))
def test_both_directions(found: list[tuple[str, object]]) -> None:
    kinds = "".join(kind for kind, _ in found)
    args = [value for _, value in found]
    data = dbus.method_call(1, "a.b", "/a", "a.b", "C", kinds, *args)
    assert list(read(data).body) == args
    message = new_method_call(DBusAddress("/a", "a.b", "a.b"), "C", kinds, tuple(args))
    ours = dbus.Message(message.serialise(serial=3))
    assert ours.serial == 3
    assert ours.values == [plain(value) for value in args]


def test_the_order_of_bytes_of_the_other_side() -> None:
    message = new_method_call(DBusAddress("/a", "a.b", "a.b"), "C", "su(ii)", ("x", 258, (-1, 7)))
    message.header.endianness = low_level.Endianness.big
    found = dbus.Message(message.serialise(serial=9))
    assert found.values == ["x", 258, (-1, 7)]
    assert found.serial == 9


@given(strategies.binary(min_size=16, max_size=200))
def test_damaged_messages_end(data: bytes) -> None:
    try:
        dbus.length(data)
        dbus.Message(data)
    except (ValueError, IndexError, KeyError):
        pass


class Service:
    """The other end of a bus's socket, in a thread; `answers` are sent one per call."""

    def __init__(self, path: Path, answers: list[object]) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answers = answers
        self.heard: list[low_level.Message] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        peer, _ = self.listener.accept()
        data = b""
        while b"BEGIN\r\n" not in data:
            data += peer.recv(4096)
        peer.sendall(b"DATA\r\nOK 0123456789abcdef\r\n")
        parser = low_level.Parser()
        parser.add_data(data.partition(b"BEGIN\r\n")[2])
        serial = 100
        while True:
            message = parser.get_next_message()
            if message is None:
                more = peer.recv(4096)
                if not more:
                    return
                parser.add_data(more)
                continue
            self.heard.append(message)
            if message.header.fields.get(low_level.HeaderFields.member) in ("Hello", "AddMatch"):
                continue
            if not self.answers:
                peer.close()
                self.listener.close()
                return
            answer = self.answers.pop(0)
            serial += 1
            made = answer(message)  # type: ignore[operator]
            peer.sendall(made.serialise(serial=serial))


def test_answers_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bus"
    Service(path, [
        lambda call: new_method_return(call, "o", ("/job/1",)),
        lambda call: new_error(call, "org.example.UnitExists", "s", ("it is there",)),
    ])  # fmt: skip
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={path},guid=00")
    with dbus.Bus(dbus.user_address()) as bus:
        assert bus.call("a.b", "/a", "a.b", "Start", "s", "x") == ["/job/1"]
        with pytest.raises(dbus.DBusError, match="it is there") as caught:
            bus.call("a.b", "/a", "a.b", "Start", "s", "x")
        assert caught.value.name == "org.example.UnitExists"
        with pytest.raises(HostError, match="hung up"):
            bus.call("a.b", "/a", "a.b", "Start", "s", "x")


def test_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as once:
        once.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        dbus.Bus(f"unix:path={path}")
    with pytest.raises(ValueError, match="not the address of a socket"):
        dbus.Bus("tcp:host=127.0.0.1,port=1")


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert dbus.user_address() == "unix:path=/run/user/7/bus"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert dbus.user_address() == f"unix:path=/run/user/{os.getuid()}/bus"
