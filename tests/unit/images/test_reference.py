"""Names of images: docker's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.images.names.reference import Reference, parse

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("alice/tool", "docker.io/alice/tool:latest", "alice/tool:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"),
        ("quay.io/a/b/c", "quay.io/a/b/c:latest", "quay.io/a/b/c:latest"),
        ("Host/x", "Host/x:latest", "Host/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("a__b/c-d--e.f_g:T_1.x-", "docker.io/a__b/c-d--e.f_g:T_1.x-", "a__b/c-d--e.f_g:T_1.x-"),
        (
            f"debian@sha256:{HEX}",
            f"docker.io/library/debian@sha256:{HEX}",
            f"debian@sha256:{HEX}",
        ),
        (
            f"debian:1@sha256:{HEX}",
            f"docker.io/library/debian:1@sha256:{HEX}",
            f"debian:1@sha256:{HEX}",
        ),
    ],
)
def test_names(text: str, canonical: str, familiar: str) -> None:
    parsed = parse(text)
    assert parsed.canonical == canonical
    assert parsed.familiar == familiar
    assert parse(canonical) == parsed
    assert parse(familiar) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Debian",
        "debian:",
        "debian:.x",
        "debian:" + "x" * 129,
        "debian@sha256:123",
        "debian@md5:" + "0" * 32,
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a//b",
        "/a",
        "a/",
        "a b",
        "../a",
        "a/../b",
        "host:99999/a",
        "host:x/a",
        "-h.io/a",
        "ä",
        "a:ü",
        "a" * 256,
        "https://quay.io/a",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert text in caught.value.message
    assert caught.value.hint


def test_an_id_is_no_name() -> None:
    with pytest.raises(UsageError):
        parse(HEX)


def test_capitals_are_corrected() -> None:
    with pytest.raises(UsageError) as caught:
        parse("Debian:12")
    assert "'debian'" in caught.value.hint


def test_with_digest() -> None:
    digest = "sha256:" + HEX
    assert parse("debian:12").with_digest(digest).canonical == (
        f"docker.io/library/debian@{digest}"
    )


@given(st.text(alphabet="abAB019._-/:@[]%é ", max_size=40))
def test_what_is_read_reads_again(text: str) -> None:
    try:
        parsed = parse(text)
    except UsageError:
        return
    assert isinstance(parsed, Reference)
    assert parse(parsed.canonical) == parsed
    assert parse(parsed.familiar) == parsed
    assert ".." not in parsed.canonical.split("/")
