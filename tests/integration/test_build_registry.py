"""`build` and registries: where base images come from, and where what was built goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from registry import Layout, Registry, registry
from test_build import Build, build
from test_images_names import authority, certificate

__all__ = ["build", "registry"]

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    """A registry that speaks TLS and wants a password, and the directory of its certificates."""
    base = tmp_path_factory.mktemp("guarded")
    ca = authority(base, "ca")
    certificates = base / "certs"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(ca.read_bytes())
    made = certificate(base, "server", ca)
    layout = Layout(base / "layout")
    layout.image("one", [{"greeting": b"of the registry"}])
    with Registry(base / "r", user="me", password="secret", certificate=made) as running:
        running.push(f"oci:{layout.path}:one", "base:1")
        yield running, certificates


def manifest(name: str, *words: str) -> dict[str, object]:
    """What skopeo finds there."""
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", *words, f"docker://{name}"],
        capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_base_image_behind_tls_and_a_password(
    build: Build, guarded: tuple[Registry, Path], place: Place, rootless: Command
) -> None:
    there, certificates = guarded
    text = f"FROM {there.host}/base:1\nCOPY Dockerfile /d\n"
    words = ("--retry", "0", "--tls-verify=true", "--cert-dir", str(certificates))
    told = build(text, *words, "--creds", "me:wrong", code=125)
    assert told.count("error:") == 1 and "secret" not in told
    told = build(text, "--retry", "0", "--tls-verify=true", "--creds", "me:secret", code=125)
    assert "certificate" in told
    image = build.image(text, *words, "--creds", "me:secret")
    assert image.files["/greeting"].content == b"of the registry"
    # a file of passwords instead
    rootless("rmi", "-f", f"{there.host}/base:1")
    auth = place.work / "auth.json"
    auth.write_text(json.dumps({"auths": {there.host: {"auth": "bWU6c2VjcmV0"}}}))
    auth.chmod(0o600)
    again = build.image(text, *words, "--authfile", str(auth))
    assert again.files["/greeting"].content == b"of the registry"


def test_pushing_what_was_built(
    build: Build, guarded: tuple[Registry, Path], registry: Registry, place: Place
) -> None:
    text = "FROM busybox:test\nRUN echo x >/x\n"
    metadata = place.work / "m.json"
    name = f"{registry.host}/pushed/first:1"
    build(text, "-t", name, "--push", "--metadata-file", str(metadata))
    found = manifest(name)
    assert len(found["layers"]) == 2  # type: ignore[arg-type]
    told = json.loads(metadata.read_text())
    assert told["containerimage.config.digest"] == found["config"]["digest"]  # type: ignore[index]
    # two names, one of them of an output
    other = f"{registry.host}/pushed/second:1"
    build(text, "-t", name, "-o", f"type=image,name={other},push=true")
    assert manifest(other) == found
    third = f"{registry.host}/pushed/third:1"
    build(text, "-o", f"type=registry,name={third}")
    assert manifest(third) == found
    there, certificates = guarded
    guarded_name = f"{there.host}/mine:1"
    build(
        text, "-t", guarded_name, "--push", "--creds", "me:secret",
        "--cert-dir", str(certificates), "--tls-verify=true",
    )  # fmt: skip
    assert manifest(guarded_name, "--creds", "me:secret") == found


def test_what_cannot_be_pushed(build: Build, registry: Registry) -> None:
    text = "FROM busybox:test\nLABEL a=1\n"
    assert "without a name" in build(text, "--push", code=125)
    told = build(text, "-t", "127.0.0.1:1/x:1", "--push", "--retry=0", code=125)
    assert told.count("error:") == 1
    assert "--retry" in build(text, "--retry=-1", code=125)
    assert "--retry-delay" in build(text, "--retry-delay=soon", code=125)
