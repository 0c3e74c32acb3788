"""Whatever the bytes of a Dockerfile are, it is read or refused with a sentence."""

from __future__ import annotations

import time

import dockerfile_tables as tables
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.build.dockerfile.lint import check
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.source import DockerfileError
from rootless.build.dockerfile.stages import stages
from rootless.build.ignore import Patterns
from rootless.errors import RootlessError

WORDS = (
    "FROM ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL "
    "STOPSIGNAL USER VOLUME WORKDIR AS --from= --mount=type= --chown= --platform= --link -- cache "
    'bind target= id= a b 0 1 80 $a ${a ${a:- } : = " \' \\ ` [ ] ["a", , <<E <<-E E # % / * ? '
    "https://x .. NONE --interval=1s é \x1c \x00 \u2028 \udce9"
).split(" ")
FILES = st.lists(
    st.lists(st.sampled_from(WORDS), max_size=7).flatmap(
        lambda words: st.sampled_from([" ".join(words), "".join(words)])
    ),
    max_size=6,
).map("\n".join)


def read(data: bytes) -> None:
    """Read a file as a build would; errors have a place or are no errors of the file."""
    try:
        dockerfile = parse(data, "f")
        found = stages(dockerfile)
        check(dockerfile, found)
        tables.Image(found)
    except DockerfileError as error:
        assert 1 <= error.place.first <= data.count(b"\n") + 1
        assert error.place.first <= error.place.last
        assert error.message.count("\n") == 0 and error.report()
        if error.place.column and error.text:
            assert error.place.column <= len(error.text) + 1


@settings(max_examples=600, deadline=None)
@given(FILES)
def test_words_in_any_order(text: str) -> None:
    read(("FROM a\n" + text).encode("utf-8", "surrogateescape"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    read(data)
    read(b"FROM a\nRUN " + data)
    try:
        Patterns.parse(data).excludes("a/b")
    except RootlessError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"# a" * 400_000,
        b"# check = " + b" " * 1_000_000 + b"x",
        b"# c\n" * 100_000,
        b"FROM a\n" + b"RUN a \\\n" * 50_000,
        b"FROM a\nRUN " + b"x" * 1_000_000,
        b"FROM a\nENV a=" + b"$a" * 100_000,
        b"FROM a\nENV a=" + b"'x'" * 100_000,
        b"FROM a\nENV " + b"a=b " * 20_000,
        b"FROM a\nCMD " + b"[" * 200_000,
        b"FROM a\nRUN <<E\n" + b"x\n" * 200_000 + b"E\n",
        b"FROM a\nRUN " + b"<<E " * 20_000 + b"\nE\n" * 20_000,
        b"FROM a\nLABEL a=" + b"${a:-" * 100_000,
        b"FROM a\nEXPOSE " + b"1-65535 " * 10,
        b"FROM a\n" * 3000,
        b"FROM a" + b"\\\n" * 100_000,
        b"FROM " + b"a" * 500_000,
        b"FROM $x" + b"a/" * 300_000,
    ],
    ids=range(17),
)
def test_large_files_take_no_longer_than_their_size(data: bytes) -> None:
    began = time.monotonic()
    read(data)
    assert time.monotonic() - began < 10
