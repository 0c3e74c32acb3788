"""Frames of the monitor's channel, and the sentences for failures that travel on it."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import CommandNotFound, Conflict, RootlessError
from rootless.runtime import failures, frames, operations, orders


def failed(name: str, code: int = 22, text: str = "what", index: int = 3) -> frames.Failure:
    number = {**operations.NUMBERS, **orders.NUMBERS}[name]
    numbers = (index, code, number)
    return frames.Failure(b"".join(n.to_bytes(4, "little") for n in numbers) + text.encode())


@given(
    st.lists(st.tuples(st.sampled_from(b"IEWSKGMHLRFOPX"), st.binary(max_size=5000)), max_size=5)
)
def test_what_is_packed_is_read(sent: list[tuple[int, bytes]]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for kind, payload in sent:
            theirs.sendall(frames.pack(bytes([kind]), payload))
        theirs.close()
        for kind, payload in sent:
            assert frames.read(ours) == (bytes([kind]), payload)
        assert frames.read(ours) == (b"", b"")


@pytest.mark.parametrize("cut", [1, 7, 8, 11])
def test_the_other_side_goes_in_the_middle(cut: int) -> None:
    for read in (frames.read, lambda channel: frames.read_with_descriptor(channel)[:2]):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(frames.pack(frames.STDOUT, b"text")[:cut])
            theirs.close()
            assert read(ours) == (b"", b"")


def test_a_descriptor_comes_along() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(theirs, [frames.pack(frames.LISTENER)], [0])
        kind, payload, fd = frames.read_with_descriptor(ours)
        assert (kind, payload) == (frames.LISTENER, b"") and fd > 2
        os.close(fd)
        theirs.sendall(frames.pack(frames.RUNNING, (7).to_bytes(4, "little")))
        kind, payload, fd = frames.read_with_descriptor(ours)
        assert (kind, frames.number(payload), fd) == (frames.RUNNING, 7, -1)


def test_the_tables_of_failures_name_what_there_is() -> None:
    known = {*operations.NUMBERS, *orders.NUMBERS}
    assert set(failures._ENGINE) <= known
    assert set(failures._RUNTIME) <= known


@pytest.mark.parametrize("name", sorted({*operations.NUMBERS, *orders.NUMBERS}))
@pytest.mark.parametrize("code", [1, 2, 13, 17, 22, 28, 110])
def test_every_failure_has_a_sentence(name: str, code: int) -> None:
    for made in (failures.of_engine(failed(name, code)), failures.of_runtime(failed(name, code))):
        assert made.message
        if not isinstance(made, CommandNotFound) and "hook" not in name:
            text = os.strerror(code).lower()
            assert text in made.message.lower() or name in ("fifo", "directory")


def test_a_failure_of_the_network_is_explained_by_its_backend() -> None:
    def network(report: failures.Report) -> RootlessError | None:
        return Conflict("the port is taken") if report.name == "udp" else None

    assert failures.of_engine(failed("udp"), "", network).message == "the port is taken"
    other = failures.of_engine(failed("pivot"), "", network).message
    assert other == "the container could not be started: pivot what: Invalid argument"
