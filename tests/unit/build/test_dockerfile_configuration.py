"""What instructions without a command of their own make of the configuration of an image."""

from __future__ import annotations

import json

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.stages import Scratch, stages

ROWS = tables.rows("configuration")


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_the_configuration_is_as_expected(row: tables.Row) -> None:
    image = tables.Image(tables.read(row.text, row.build_args, row.target))
    assert image.config == json.loads(row.expected[0])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"FROM scratch\r\nLABEL a=1 \\\r\n b=2\r\nENV c=d\r\n",
            {"Env": ["c=d"], "Labels": {"a": "1", "b": "2"}},
        ),
        (b"\xef\xbb\xbfFROM scratch\nLABEL a=1", {"Labels": {"a": "1"}}),
        (b"# \xe9t\xe9\nFROM scratch\nLABEL a=1", {"Labels": {"a": "1"}}),
        # a configuration is UTF-8, whatever the file was
        (b"FROM scratch\nLABEL a=\xe9", {"Labels": {"a": "\ufffd"}}),
        (b'FROM scratch\nCMD ["\\ud800x"]', {"Cmd": ["\ufffdx"]}),
        (b"FROM scratch\nLABEL a=1 \\", {"Labels": {"a": "1"}}),
        (b"FROM scratch\n\n\n  \n\\\nLABEL a=1\n", {"Labels": {"a": "1"}}),
    ],
    ids=["crlf", "mark", "latin-comment", "latin-value", "half-pair", "end", "empty-lines"],
)
def test_bytes_of_a_file(data: bytes, expected: dict[str, object]) -> None:
    assert tables.Image(stages(parse(data))).config == expected


def test_scratch_has_no_variables() -> None:
    found = tables.read("FROM scratch\nLABEL a=$PATH\n")
    assert found.target.origin == Scratch()
    assert tables.Image(found).variables.environment == {}
