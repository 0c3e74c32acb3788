"""Platforms, compression, Dockerfile changes, challenges, credentials, manifests."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import subprocess

import pytest

from rootless.errors import RegistryError, StorageError, UsageError
from rootless.images.formats import compression, dockerfile_changes, manifests, platforms
from rootless.images.names import registries
from rootless.images.names.reference import parse
from rootless.images.registry import credentials, www_authenticate

DATA = os.urandom(300_000) + b"\0" * 2_000_000


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    ("kind", "pack"),
    [("gzip", gzip.compress), ("xz", lzma.compress), ("bzip2", bz2.compress), ("zstd", _zstd)],
)
def test_compression(kind: str, pack) -> None:  # type: ignore[no-untyped-def]
    packed = pack(DATA)
    assert compression.detect(packed) == kind
    assert compression.reader(io.BytesIO(packed)).read() == DATA
    two = io.BytesIO(packed + pack(b"second"))
    assert compression.reader(two).read() == DATA + b"second"
    for size in (1, 1000):
        pieces = [packed[i : i + size] for i in range(0, min(len(packed), 5000), size)]
        with pytest.raises(StorageError) as caught:
            list(compression.plain_chunks(pieces, kind))
        assert "truncated" in caught.value.message
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    with pytest.raises(StorageError):
        list(compression.plain_chunks([bytes(damaged)], kind))


def test_bomb_stays_small() -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert all(
        len(chunk) <= compression.CHUNK for chunk in compression.plain_chunks([bomb], "gzip")
    )


def test_plain_is_plain() -> None:
    assert compression.detect(b"usr/") == ""
    assert compression.reader(io.BytesIO(b"plain")).read() == b"plain"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("Linux/aarch64", "linux/arm64"),
    ],
)
def test_platform(text: str, shown: str) -> None:
    assert str(platforms.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "linux", "a/b/c/d", "linux/", "li nux/amd64"])
def test_no_platform(text: str) -> None:
    with pytest.raises(UsageError):
        platforms.parse(text)


def test_choice() -> None:
    def entry(text: str) -> dict[str, object]:
        system, architecture, *variant = text.split("/")
        platform = {"os": system, "architecture": architecture}
        if variant:
            platform["variant"] = variant[0]
        return {"platform": platform, "name": text}

    listed = [
        entry(text)
        for text in (
            "unknown/unknown",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm64",
            "linux/amd64",
            "linux/amd64/v3",
            "windows/amd64",
        )
    ]

    def choose(text: str) -> object:
        return platforms.choose(listed, platforms.parse(text), "it")["name"]

    assert choose("linux/arm/v7") == "linux/arm/v6"
    assert choose("linux/arm/v5") == "linux/arm/v5"
    assert choose("linux/arm64/v8") == "linux/arm64"
    assert choose("linux/amd64") == "linux/amd64"
    assert choose("linux/amd64/v4") == "linux/amd64/v3"
    with pytest.raises(RegistryError) as caught:
        choose("linux/ppc64le")
    assert "linux/arm/v5" in caught.value.hint
    assert "unknown" not in caught.value.hint


def test_changes() -> None:
    config: dict[str, object] = {"Env": ["A=1", "PATH=/bin"]}
    dockerfile_changes.apply(
        config,
        [
            'CMD ["/bin/sh", "-l"]',
            "entrypoint exec x",
            "ENV A=2 'B=x y'",
            "ENV C d e",
            "EXPOSE 80 53/udp 8000-8001",
            "LABEL a=b",
            'VOLUME ["/data"]',
            "VOLUME /x /y",
            "USER 1000:1000",
            "WORKDIR /srv",
            "WORKDIR app",
            "STOPSIGNAL SIGINT",
        ],
    )
    assert config == {
        "Env": ["PATH=/bin", "A=2", "B=x y", "C=d e"],
        "Cmd": ["/bin/sh", "-l"],
        "Entrypoint": ["/bin/sh", "-c", "exec x"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}},
        "Labels": {"a": "b"},
        "Volumes": {"/data": {}, "/x": {}, "/y": {}},
        "User": "1000:1000",
        "WorkingDir": "/srv/app",
        "StopSignal": "SIGINT",
    }


@pytest.mark.parametrize(
    "change", ["RUN x", "CMD", "EXPOSE 0", "EXPOSE 80/xyz", "ENV A=1 B", "LABEL 'a=b", "EXPOSE 9-8"]
)
def test_bad_changes(change: str) -> None:
    with pytest.raises(UsageError):
        dockerfile_changes.apply({}, [change])


def test_challenges() -> None:
    found = www_authenticate.challenges(
        ['Bearer realm="https://a/t?x=1,2", service="s \\"q\\"",scope=a:b, Basic realm=x', "Digest"]
    )
    assert [challenge.scheme for challenge in found] == ["bearer", "basic", "digest"]
    assert found[0].parameters == {
        "realm": "https://a/t?x=1,2",
        "service": 's "q"',
        "scope": "a:b",
    }
    assert www_authenticate.challenges(["", '"""', "=="]) == []


def test_credentials(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "auth.json"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    assert credentials.find("quay.io", "a/b") is None

    def entry(pair: str) -> dict[str, str]:
        return {"auth": base64.b64encode(pair.encode()).decode()}

    auths = {
        "quay.io": entry("u:all"),
        "quay.io/a": entry("u:a:colon"),
        "https://index.docker.io/v1/": entry("d:hub"),
        "empty.example": {},
    }
    path.write_text(json.dumps({"auths": auths, "credsStore": "desktop"}))
    monkeypatch.setenv("PATH", str(tmp_path))  # a home that came from another host
    for registry, repository, password in (
        ("quay.io", "a/b", "a:colon"),
        ("quay.io", "b", "all"),
        ("docker.io", "library/debian", "hub"),
    ):
        found = credentials.find(registry, repository)
        assert found is not None
        assert found.password == password
    assert credentials.find("empty.example", "x") is None
    path.write_text('{"auths": {"quay.io": {"auth": "§"}}}')
    with pytest.raises(UsageError) as caught:
        credentials.find("quay.io", "x")
    assert str(path) in caught.value.message


def test_endpoints(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "registries.conf"
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(path))

    def hosts(name: str, verify: bool | None = None) -> list[tuple[str, str, bool]]:
        return [
            (one.host, one.repository, one.insecure)
            for one in registries.endpoints(parse(name), tls_verify=verify)
        ]

    assert hosts("debian") == [("registry-1.docker.io", "library/debian", False)]
    assert hosts("localhost:5000/x") == [("localhost:5000", "x", True)]
    assert hosts("127.0.0.1/x", True) == [("127.0.0.1", "x", False)]
    assert hosts("localhost.example/x") == [("localhost.example", "x", False)]
    assert hosts("quay.io/x", False) == [("quay.io", "x", True)]
    path.write_text(
        """
        unqualified-search-registries = ["quay.io"]
        [[registry]]
        prefix = "docker.io"
        location = "cache.example:5000/hub"
        [[registry.mirror]]
        location = "mirror.example"
        insecure = true
        [[registry]]
        location = "bad.example"
        blocked = true
        [[registry]]
        prefix = "*.lab.example"
        insecure = true
        """
    )
    assert hosts("debian") == [
        ("mirror.example", "library/debian", True),
        ("cache.example:5000", "hub/library/debian", False),
    ]
    assert hosts("a.lab.example/x") == [("a.lab.example", "x", True)]
    with pytest.raises(RegistryError):
        hosts("bad.example/x")


GOOD = {"digest": "sha256:" + "1" * 64, "size": 5, "mediaType": manifests.OCI_CONFIG}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"config": GOOD},
        {"config": GOOD, "layers": [{}]},
        {"config": {**GOOD, "digest": "sha256:../x"}, "layers": []},
        {"config": {**GOOD, "size": -1}, "layers": []},
        {"config": {**GOOD, "size": True}, "layers": []},
        {"config": {**GOOD, "mediaType": "application/vnd.cncf.helm.config.v1+json"}, "layers": []},
        {"config": {**GOOD, "size": 1 << 40}, "layers": []},
        {"config": GOOD, "layers": [GOOD] * 1001},
    ],
)
def test_bad_manifests(document: dict[str, object]) -> None:
    with pytest.raises(RegistryError):
        manifests.read_manifest(document)


@pytest.mark.parametrize(
    "text", ["", "[]", "nonsense", '{"a":' * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_no_document(text: str | bytes) -> None:
    with pytest.raises(RegistryError):
        manifests.parse(text if isinstance(text, bytes) else text.encode())


def test_wrong_types_in_a_configuration() -> None:
    with pytest.raises(RegistryError) as caught:
        manifests.record("sha256:" + "1" * 64, "sha256:" + "2" * 64, [], {"config": {"Env": "A=1"}})
    assert "Env" in caught.value.message
