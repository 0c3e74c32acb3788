"""Heads and bodies of requests: read strictly, with h11 as the oracle."""

from __future__ import annotations

import json
import string

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integration.api import Service, until
from integration.api import service as service

from rootless.api import head as http


def read(data: bytes) -> http.Head | None:
    """What our parser makes of a whole head; None where it refuses."""
    try:
        at = http.end(data)
        return None if at < 0 else http.parse(data[:at])
    except http.BadHead:
        return None


def oracle(data: bytes) -> h11.Request | None:
    """What h11 makes of it."""
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(data)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


_NAMES = st.sampled_from(
    ["Host", "Content-Length", "Transfer-Encoding", "Connection", "X", "Content-Length ", "", " A"]
)
_VALUES = st.sampled_from(
    ["a", "5", "05", "-1", "+5", "5, 5", "chunked", "gzip, chunked", "close", "", "\t", "a\tb",
     "a\x00b", "a\x0bb", "1" * 20]
)  # fmt: skip
_ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "])
_LINES = st.lists(st.tuples(_NAMES, st.sampled_from([": ", ":", " :", ""]), _VALUES, _ENDS))
_FIRST = st.sampled_from(
    ["GET / HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.0", "GET /a b HTTP/1.1", "GET /",
     "G@T / HTTP/1.1", "POST /x?y=%7B HTTP/1.1", "GET / HTTP/2.0", "GET /\x7f HTTP/1.1"]
)  # fmt: skip


@given(_FIRST, _ENDS, _LINES)
def test_what_we_take_h11_takes_and_means_the_same(
    first: str, end: str, lines: list[tuple[str, str, str, str]]
) -> None:
    text = first + end + "".join("".join(one) for one in lines) + "\r\n"
    data = text.encode("latin-1")
    ours = read(data)
    if ours is None:
        return
    theirs = oracle(data)
    assert theirs is not None, data
    assert ours.method.encode() == theirs.method
    assert ours.target.encode() == theirs.target
    for name, value in theirs.headers:
        assert value.decode("latin-1") in ours.headers[name.decode()]


@given(st.text(string.ascii_letters, min_size=1), st.text(string.printable, max_size=30))
def test_plain_heads_are_taken(name: str, value: str) -> None:
    if name.lower() in ("host", "connection", "expect", "content-length", "transfer-encoding"):
        return
    value = "".join(one for one in value if one.isprintable()).strip()
    data = f"GET /v1.41/info HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n".encode()
    found = read(data)
    assert found is not None and oracle(data) is not None
    assert found.headers[name.lower()] == value


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 300 + b"\r\n", 431),
    ],
)  # fmt: skip
def test_bad_heads_are_answered_and_the_connection_ends(
    service: Service, head: bytes, status: int
) -> None:
    with service.connect() as connection:
        connection.sendall(head)
        data = b""
        while piece := connection.recv(65536):
            data += piece
    begin, _, body = data.partition(b"\r\n\r\n")
    assert begin.startswith(b"HTTP/1.1 %d " % status), begin
    assert json.loads(body)["message"]


def test_requests_follow_each_other_in_all_forms(service: Service) -> None:
    volume = b'{"Name":"v"}'
    chunks = b"3;x=y\r\n" + volume[:3] + b"\r\n" + b"%x\r\n" % (len(volume) - 3) + volume[3:]
    requests = [
        b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /_ping HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /volumes/create HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(volume)
        + volume,
        b"POST /volumes/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunks + b"\r\n0\r\nTrailer: x\r\n\r\n",
        b"GET /nosuch HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1.99/info HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /_ping HTTP/1.0\r\n\r\n",
    ]  # fmt: skip
    reader = h11.Connection(h11.CLIENT)
    statuses = []
    with service.connect() as connection:
        connection.sendall(b"".join(requests))
        for method in ("GET", "HEAD", "POST", "POST", "GET", "GET", "GET"):
            reader.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
            reader.send(h11.EndOfMessage())
            while True:
                event = reader.next_event()
                if event is h11.NEED_DATA:
                    reader.receive_data(connection.recv(65536))
                elif isinstance(event, h11.Response):
                    statuses.append(event.status_code)
                elif isinstance(event, h11.EndOfMessage):
                    break
            if method != "GET" or len(statuses) < 7:
                reader.start_next_cycle()
        # HTTP/1.0 ends
        assert connection.recv(1) == b""
    assert statuses == [200, 200, 201, 201, 404, 400, 200]


def test_a_body_that_waits_to_be_asked_for(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(
            b"POST /volumes/create HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            b"Content-Length: 12\r\n\r\n"
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"Name":"w"}')
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 100000, b'{"HostConfig": 5, "Image": "a"}']
)
def test_bodies_that_are_no_objects(service: Service, body: bytes) -> None:
    status, told = service.ask("POST", "/containers/create", body)
    assert status == 400
    assert told["message"]


def test_two_hundred_idle_connections_cost_no_thread(service: Service) -> None:
    idle = []
    try:
        for _ in range(200):
            one = service.connect()
            one.sendall(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
            idle.append(one)
        until(lambda: service.threads() < 20, "idle connections hold threads")
        for one in idle:
            one.sendall(b"HEAD /_ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
    finally:
        for one in idle:
            one.close()


def test_clients_that_vanish_leave_nothing(service: Service, busybox_image: str) -> None:
    service.docker("run", "-d", "--name", "c", busybox_image, "sleep", "1000")
    body = b"HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    gone = []
    for target in ("GET /containers/c/logs?stdout=1&follow=1 ", "GET /events ",
                   "GET /containers/c/stats ", "POST /containers/c/wait ",
                   "POST /containers/c/attach?stream=1&stdout=1&stdin=1 "):  # fmt: skip
        for _ in range(3):
            one = service.connect()
            one.sendall(target.encode() + body)
            assert one.recv(12).startswith(b"HTTP/1.1 "), target
            gone.append(one)
    for one in gone:
        one.close()
    until(lambda: service.threads() < 12, "threads of clients that have gone stay")
    service.docker("rm", "-f", "c")


def test_pages_of_a_browser_are_not_answered(service: Service) -> None:
    assert service.ask("GET", "/info", Origin="http://evil.example")[0] == 403
