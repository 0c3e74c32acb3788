"""`build` and registries: where base images come from, and where what was built goes."""

from __future__ import annotations

import json
import secrets
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


class Elsewhere:
    """Another machine: another data directory, with the same base image and nothing else."""

    def __init__(self, rootless: Command, place: Place, busybox_tar: Path) -> None:
        self.rootless = rootless
        self.place = place
        self.count = 0
        self.tar = busybox_tar

    def __call__(self, *words: str | Path) -> str:
        """Build there; what is told."""
        self.count += 1
        there = ("--root", self.place.base / f"elsewhere{self.count}")
        self.rootless(*there, "load", "-i", self.tar)
        told = self.rootless(*there, "build", *words, self.place.work / "context").stderr
        self.rootless(*there, "run", "--rm", "--network", "none", "made", "cat", "/all")
        return told


@pytest.fixture
def elsewhere(build: Build, rootless: Command, place: Place) -> Elsewhere:
    path = place.work / "busybox.tar"
    rootless("save", "-o", path, "busybox:test")
    return Elsewhere(rootless, place, path)


STAGES = """FROM busybox:test AS one
RUN date +%N >/when && chown 5:6 /when
FROM busybox:test
COPY --from=one /when /when
COPY f /f
RUN --mount=from=one,target=/m cat /m/when /f >/all && mkdir -m 700 /d && chown 7:8 /d
LABEL a=1
"""


@pytest.mark.parametrize("kind", ["registry", "local"])
def test_a_cache_of_another_machine(
    build: Build, elsewhere: Elsewhere, registry: Registry, place: Place, kind: str
) -> None:
    build.write("f")
    name = f"{registry.host}/cache/of:{secrets.token_hex(4)}"
    to = f"ref={name}" if kind == "registry" else f"dest={place.work}/cache"
    given = f"type={kind},{to}"
    first = build(STAGES, "-q", "-t", "made", "--cache-to", f"{given},mode=max")
    taken = given.replace("dest=", "src=")
    told = elsewhere("-t", "made", "--cache-from", taken, "--iidfile", place.work / "id")
    assert told.count("CACHED") == 5, told
    assert (place.work / "id").read_text() == first
    # of a smaller one the stage that is not in the result is done again
    build(STAGES, "-q", "--cache-to", f"{given},tag=small" if kind == "local" else given)
    taken += ",tag=small" if kind == "local" else ""
    told = elsewhere("-t", "made", "--cache-from", taken)
    assert 0 < told.count("CACHED") < 5


def test_a_cache_beside_the_image(
    build: Build, elsewhere: Elsewhere, registry: Registry, place: Place
) -> None:
    text = "FROM busybox:test\nRUN date +%N >/all\nRUN mkdir /x && chown 9:9 /x\nENV a=1\n"
    name = f"{registry.host}/inline:1"
    first = build(text, "-q", "-t", name, "--push", "--cache-to=type=inline")
    words = ("-q", "-t", "made", "--cache-from", name, "--cache-to=type=inline")
    told = elsewhere(*words[1:], "--iidfile", place.work / "id")
    assert told.count("CACHED") == 3
    assert (place.work / "id").read_text() == first


def test_a_cache_that_cannot_be_had(build: Build, registry: Registry, place: Place) -> None:
    text = "FROM busybox:test\nRUN echo x >/x\n"
    absent = f"{registry.host}/absent:1"
    told = build(text, "--cache-from", absent, "--cache-from", f"type=local,src={place.work}/no")
    assert told.count("is not used") == 2
    wrong = "127.0.0.1:1/x:1"
    words = ("--retry=0", "--cache-to")
    build(text, *words, f"type=registry,ref={wrong}", code=125)
    assert "was not written" in build(text, *words, f"type=registry,ref={wrong},ignore-error=true")
    for mistake in ("type=s3", "type=local", "type=registry,ref=UPPER CASE", "type=inline,mode=max",
                    "type=registry,ref=x,mode=some"):  # fmt: skip
        assert "error:" in build(text, "--cache-to", mistake, code=125)
    # a cache that was damaged is not believed
    cache = place.work / "cache"
    build(text, "--cache-to", f"type=local,dest={cache}")
    blobs = sorted((cache / "blobs/sha256").iterdir(), key=lambda one: one.stat().st_size)
    for one in blobs:
        data = bytearray(one.read_bytes())
        data[len(data) // 2] ^= 1
        one.write_bytes(data)
    build.rootless("builder", "prune", "-af")
    assert "is not used" in build(text, "--cache-from", f"type=local,src={cache}")


def test_steps_that_are_too_old(build: Build) -> None:
    text = "FROM busybox:test\nRUN echo x >/x\n"
    build(text)
    assert build(text, "--cache-ttl", "1h").count("CACHED") == 2
    assert build(text, "--cache-ttl", "0").count("CACHED") == 1
    assert "--cache-ttl" in build(text, "--cache-ttl", "soon", code=125)


CROSS = """FROM --platform=$BUILDPLATFORM busybox:test AS tool
ARG TARGETARCH
RUN echo "for $TARGETARCH" >/made
FROM scratch
COPY --from=tool /made /made
LABEL a=1
"""


def test_an_image_for_each_platform(
    build: Build, registry: Registry, rootless: Command, place: Place
) -> None:
    name = f"{registry.host}/cross/{secrets.token_hex(4)}:1"
    words = ("--platform", "linux/amd64,linux/arm64", "--annotation", "index:of=both")
    metadata = place.work / "m.json"
    told = build(CROSS, *words, "-t", name, "--push", "--metadata-file", str(metadata))
    assert "[linux/arm64 " in told
    found = manifest(name)
    listed = found["manifests"]
    assert [one["platform"]["architecture"] for one in listed] == ["amd64", "arm64"]  # type: ignore
    assert found["annotations"] == {"of": "both"}
    raw = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}"],
        capture_output=True, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    assert json.loads(metadata.read_text())["containerimage.digest"] == raw
    out = place.work / "out"
    build(CROSS, *words[:2], "-o", str(out))
    assert (out / "linux_arm64/made").read_text() == "for arm64\n"
    assert (out / "linux_amd64/made").read_text() == "for amd64\n"
    # the name is the list's and that of the image that runs here
    assert len(rootless("manifest", "inspect", name).json()["manifests"]) == 2
    assert rootless("image", "inspect", name).json()[0]["Architecture"] == "amd64"
    # built again for one, it is no list any more
    build(CROSS, "-t", name)
    rootless("manifest", "exists", name, code=1)


def test_a_list_that_grows(build: Build, rootless: Command, place: Place) -> None:
    for platform in ("linux/arm64", "linux/amd64"):
        build(CROSS, "--platform", platform, "--manifest", "grown:1")
    listed = rootless("manifest", "inspect", "grown:1").json()["manifests"]
    assert [one["platform"]["architecture"] for one in listed] == ["arm64", "amd64"]
    archive = place.work / "both.tar"
    build(CROSS, "--platform", "linux/arm64", "--platform=linux/amd64", "-o",
          f"type=oci,dest={archive}")  # fmt: skip
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci-archive:{archive}"], capture_output=True, check=True
    )
    assert len(json.loads(done.stdout)["manifests"]) == 2


def test_what_cannot_be_of_several_platforms(build: Build) -> None:
    both = ("--platform", "linux/amd64,linux/s390x")
    assert "needs a name" in build(CROSS, *both, code=125)
    for output in ("type=tar,dest=x", "type=docker,dest=x"):
        assert "no room" in build(CROSS, *both, "-o", output, code=125)
    told = build("FROM busybox:test\nRUN true\n", *both, "-t", "x", code=125)
    if "RUN for linux/s390x cannot be done here" not in told:
        # a host with an emulator: then the image is not to be had
        assert "busybox" in told
    assert "--platform" in build(CROSS, "--platform=linux/amd64", "--arch=arm64", code=125)


def test_provenance(build: Build, registry: Registry, rootless: Command, place: Place) -> None:
    text = "FROM busybox:test\nARG word\nRUN --mount=type=secret,id=s echo $word >/made\n"
    (place.work / "s").write_text("hidden-in-the-step")
    name = f"{registry.host}/attested/{secrets.token_hex(4)}:1"
    words = ("-t", name, "--push", "--build-arg", "word=said", "--secret",
             f"id=s,src={place.work}/s")  # fmt: skip
    build(text, *words, "--provenance=mode=max")
    index = manifest(name)
    image, note = index["manifests"]  # type: ignore[misc]
    assert note["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert note["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    carried = manifest(f"{name.rpartition(':')[0]}@{note['digest']}")
    layer = carried["layers"][0]  # type: ignore[index]
    assert layer["annotations"] == {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
    blob = place.data / "content/blobs" / layer["digest"].replace(":", "/")
    told = json.loads(blob.read_text())
    assert told["subject"][0]["digest"]["sha256"] == image["digest"][7:]
    definition = told["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["request"]["args"] == {"build-arg:word": "said"}
    assert definition["resolvedDependencies"][0]["uri"].startswith("pkg:docker/")
    assert "hidden-in-the-step" not in blob.read_text()
    rootless("run", "--rm", "--network", "none", name, "cat", "/made")
    build(text, *words, "--attest", "type=provenance", "--timestamp", "1000000000")
    index = manifest(name)
    build(text, *words, "--provenance", "--timestamp", "1000000000")
    assert manifest(name) == index
    note = index["manifests"][1]  # type: ignore[index]
    assert "said" not in json.dumps(manifest(f"{name.rpartition(':')[0]}@{note['digest']}"))
    for mistake in (("--sbom=true",), ("--provenance=mode=some",), ("--attest", "type=sbom"),
                    ("--provenance", "--format=docker")):  # fmt: skip
        assert "error:" in build(text, "-t", "x", *mistake, code=125)
    build(text, "-t", "x", "--sbom=false", "--provenance=false")
    rootless("manifest", "exists", "x", code=1)
