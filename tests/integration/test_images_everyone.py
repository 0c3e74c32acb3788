"""An image's whole way, by a user with subordinate ids and by one without, through a plain registry
and through one with TLS and a password."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from integration.registry import Registry

pytestmark = [pytest.mark.usefixtures("everyone"), pytest.mark.slow]

USER, PASSWORD = "ann", "s3cret:x"
RUN = ("run", "--rm", "--network", "none")


@pytest.fixture(params=["plain", "locked"])
def registry(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[Registry]:
    """A registry that this test's person may use: the locked one after a login."""
    if request.param == "plain":
        with Registry(tmp_path / "registry") as running:
            yield running
        return
    certificate = tmp_path / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", certificate.with_suffix(".key"),
         "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with Registry(
        tmp_path / "registry", user=USER, password=PASSWORD, certificate=certificate
    ) as running:
        trusted = place.home / ".config/containers/certs.d" / running.host
        trusted.mkdir(parents=True)
        (trusted / "ca.crt").write_bytes(certificate.read_bytes())
        yield running


@pytest.fixture
def image(rootless: Command, registry: Registry, busybox_image: str) -> str:
    """An image of two layers, committed here, with a name in the registry."""
    if registry.user:
        refused = rootless("push", busybox_image, f"{registry.host}/team/app:1", code=125)
        assert f"rootless login {registry.host}" in refused.stderr
        rootless("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
    script = "echo made >/etc/made; rm /etc/group; for i in 1 2 3; do seq 9999 >/tmp/$i; done"
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c", script)
    name = f"{registry.host}/team/app:1"
    rootless("commit", "-q", "-c", 'CMD ["cat", "/etc/made"]', "c", name)
    rootless("rm", "c")
    return name


def works(rootless: Command, name: str) -> None:
    """It runs with its own command, and what was removed is gone."""
    assert rootless(*RUN, name).stdout == "made\n"
    assert rootless(*RUN, name, "sh", "-c", "test -e /etc/group || echo gone").stdout == "gone\n"


def identity(rootless: Command, name: str) -> str:
    return str(rootless("image", "inspect", name).json()[0]["Id"])


def test_push_pull_copy_and_lists(
    rootless: Command, place: Place, registry: Registry, image: str
) -> None:
    first = identity(rootless, image)
    rootless("push", "-q", image)
    rootless("rmi", image)
    rootless("pull", "-q", image)
    assert identity(rootless, image) == first
    works(rootless, image)
    # from place to place, without the store
    other = image.replace("team", "mirror")
    for target in (other, "oci:layout:1", "oci-archive:a.tar:1", f"docker-archive:d.tar:{image}",
                   "dir:plain"):  # fmt: skip
        rootless("copy", "-q", image, target)
        back = f"{registry.host}/back/{target.partition(':')[0]}:1"
        if target != other:
            rootless("copy", "-q", target, back)
            rootless("pull", "-q", back)
            assert identity(rootless, back) == first, target
    rootless("copy", "-q", "--format", "v2s2", image, f"{other}-docker")
    rootless("rmi", image)
    rootless("pull", "-q", f"{other}-docker")
    assert identity(rootless, f"{other}-docker") == first
    # one name for several
    rootless("manifest", "create", "list", f"{other}-docker", f"docker://{other}")
    rootless("manifest", "push", "-q", "--rm", "list", f"{registry.host}/team/list:1")
    rootless("pull", "-q", f"{registry.host}/team/list:1")
    works(rootless, f"{registry.host}/team/list:1")
    assert rootless("image", "tags", image).stdout == "1\n"
    assert "team/list" in rootless("search", f"{registry.host}/list").stdout


def test_forms_of_files(rootless: Command, place: Place, image: str) -> None:
    first = identity(rootless, image)
    forms = {"docker-archive": "d.tar", "oci-archive": "o.tar", "oci-dir": "layout",
             "docker-dir": "plain"}  # fmt: skip
    for form, path in forms.items():
        rootless("save", "-q", "--format", form, "-o", path, image)
    rootless("save", "-q", "--compress", "--format", "oci-archive", "-o", "small.tar", image)
    rootless("save", "--format", "squashfs", "-o", "one.sqfs", image)
    rootless("export", "-o", "root.tar", rootless("create", "--network", "none", image).stdout[:12])
    rootless("rm", *rootless("ps", "-aq").stdout.split())
    rootless("rmi", image)
    assert rootless(*RUN, "./one.sqfs").stdout == "made\n"
    for path in ("d.tar", "o.tar", "layout", "small.tar"):
        rootless("load", "-q", "-i", path)
        assert identity(rootless, image) == first, path
        works(rootless, image)
        rootless("rmi", image)
    rootless("pull", "-q", "dir:plain")
    assert identity(rootless, "localhost/plain:latest") == first
    works(rootless, "localhost/plain")
    rootless("import", "-c", 'CMD ["cat", "/etc/made"]', "root.tar", "flat")
    works(rootless, "flat")
    checked = rootless("system", "check", "--format", "json").json()
    assert checked["Images"] == 3


def test_parts_and_signatures(
    rootless: Command, place: Place, registry: Registry, image: str
) -> None:
    chunked = image.replace(":1", ":chunked")
    rootless("push", "-q", "--compression-format", "zstd:chunked", image, chunked)
    first = identity(rootless, image)
    private, public = place.work / "key.pem", place.work / "key.pub"
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run([*make, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    rootless("pull", "--verify-key", public, chunked, code=125)
    rootless("image", "sign", private, chunked)
    rootless("image", "verify", "--key", public, chunked)
    policy = place.home / ".config/containers/policy.json"
    policy.parent.mkdir(parents=True, exist_ok=True)
    rule = {"type": "sigstoreSigned", "keyPath": str(public)}
    policy.write_text(json.dumps({"default": [{"type": "reject"}],
                                  "transports": {"docker": {registry.host: [rule]}}}))  # fmt: skip
    rootless("rmi", "-f", image, "busybox:test")
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        assert rootless("run", "--lazy", "--rm", "--network", "none", chunked).stdout == "made\n"
    rootless("pull", "-q", chunked)
    assert identity(rootless, chunked) == first
    works(rootless, chunked)
