"""Signatures and the policy: who is trusted for what, with keys made here and a real registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import Command, Place
from integration.registry import Layout, Registry

from rootless.errors import HostError
from rootless.images.names import reference
from rootless.images.trust import policy, sigstore, simple_signing

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with Registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def image(registry: Registry, tmp_path: Path) -> str:
    """Two images and a tag that names both, in a registry; the name of the first."""
    layout = Layout(tmp_path / "layout")
    for tag in ("one", "two"):
        layout.image(tag, [{tag: os.urandom(1000)}])
        registry.push(f"oci:{layout.path}:{tag}", f"team/app:{tag}")
    return f"{registry.host}/team/app:one"


@pytest.fixture
def keys(place: Place) -> tuple[str, str]:
    """A private key and its public one, by openssl, as files of the test."""
    return make_keys(place.work, "key")


def make_keys(directory: Path, name: str) -> tuple[str, str]:
    private, public = directory / f"{name}.pem", directory / f"{name}.pub"
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run([*make, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return str(private), str(public)


def write_policy(place: Place, document: Any) -> None:
    path = place.home / ".config/containers"
    path.mkdir(parents=True, exist_ok=True)
    (path / "policy.json").write_text(json.dumps(document))


def only(requirement: Any, scope: str = "") -> Any:
    """Reject everything but what fulfils this, in this scope of registries."""
    return {"default": [{"type": "reject"}], "transports": {"docker": {scope: [requirement]}}}


def refused(rootless: Command, place: Place, said: str, *words: str) -> None:
    """A pull that is refused with these words, and keeps nothing."""
    done = rootless("pull", *words, code=125)
    assert "is not trusted" in done.stderr and said in done.stderr, done
    assert "Traceback" not in done.stderr and "hint: " in done.stderr
    assert rootless("images", "-qa").stdout == ""
    store = place.data / "content"
    assert not os.listdir(store / "blobs/sha256") and not os.listdir(store / "ingest")


def digest_of(name: str) -> str:
    command = ["skopeo", "inspect", "--tls-verify=false", "-f", "{{.Digest}}", f"docker://{name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_signed_and_verified(
    rootless: Command, place: Place, image: str, keys: tuple[str, str]
) -> None:
    private, public = keys
    other, stranger = make_keys(place.work, "other")
    refused(rootless, place, "it has no signature", "--verify-key", public, image)
    signed = rootless("image", "sign", private, image).stdout
    assert signed == f"{image.rpartition(':')[0]}@{digest_of(image)}\n"
    assert rootless("image", "verify", "--key", public, image).stdout == signed
    bad = rootless("image", "verify", "--key", stranger, image, code=125).stderr
    assert "signed by another key" in bad
    assert (
        "no signature"
        in rootless("image", "verify", "-k", public, image.replace(":one", ":two"), code=125).stderr
    )
    refused(rootless, place, "another key", "--verify-key", stranger, image)
    # of several keys one is enough; and a second signature does not spoil the first
    rootless("image", "verify", "-k", stranger, "-k", public, image)
    rootless("image", "sign", other, image)
    rootless("image", "verify", "-k", stranger, image)
    rootless("pull", "-q", "--verify-key", public, image)
    assert "not a private key" in rootless("image", "sign", public, image, code=125).stderr
    assert "none.pem" in rootless("image", "sign", "none.pem", image, code=125).stderr


def test_policy_of_keys(
    rootless: Command, place: Place, image: str, registry: Registry, keys: tuple[str, str]
) -> None:
    """The most specific scope decides; an image that is signed elsewhere is another name."""
    private, public = keys
    rootless("image", "sign", private, image)
    demand = {"type": "sigstoreSigned", "keyPath": public}
    write_policy(place, only(demand, registry.host))
    rootless("pull", "-q", image)
    rootless("pull", "-q", image)
    assert "no signature" in rootless("pull", image.replace("one", "two"), code=125).stderr
    rootless("rmi", image)
    data = base64.b64encode(Path(public).read_bytes()).decode()
    for scope in (image, image.rpartition(":")[0], f"{registry.host}/team", ""):
        write_policy(place, only({"type": "sigstoreSigned", "keyData": data}, scope))
        rootless("pull", "-q", image)
        rootless("rmi", image)
        write_policy(place, {"default": [demand],
                             "transports": {"docker": {scope: [{"type": "reject"}]}}})  # fmt: skip
        refused(rootless, place, "the signature policy rejects it", image)
    write_policy(place, {"default": [{"type": "reject"}]})
    # another policy for once
    (place.work / "open.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    rootless("pull", "-q", "--signature-policy", "open.json", image)


@pytest.mark.slow
def test_identities(
    rootless: Command, place: Place, image: str, registry: Registry, keys: tuple[str, str]
) -> None:
    """A good signature for one name does not serve another."""
    private, public = keys
    rootless("image", "sign", private, image)
    copies = [f"{registry.host}/team/app:renamed", f"{registry.host}/mirror/app:one"]
    for copy in copies:
        source = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
                  "--dest-tls-verify=false"]  # fmt: skip
        for tag in ("", sigstore.tag_of(digest_of(image))):
            names = [one.rpartition(":")[0] + ":" + tag if tag else one for one in (image, copy)]
            subprocess.run([*source, *[f"docker://{name}" for name in names]], check=True)
    renamed, mirrored = copies

    def demand(**identity: str) -> None:
        rule: dict[str, Any] = {"type": "sigstoreSigned", "keyPath": public}
        if identity:
            rule["signedIdentity"] = identity
        write_policy(place, only(rule))

    for identity, good, bad in (
        ({}, [image], [renamed, mirrored]),
        ({"type": "matchExact"}, [image], [renamed, mirrored]),
        ({"type": "matchRepository"}, [image, renamed], [mirrored]),
        ({"type": "exactReference", "dockerReference": image}, [image, renamed, mirrored], []),
        ({"type": "exactReference", "dockerReference": renamed}, [], [image, renamed]),
        ({"type": "exactRepository", "dockerRepository": f"{registry.host}/team/app"},
         [image, renamed, mirrored], []),
        ({"type": "remapIdentity", "prefix": f"{registry.host}/mirror",
          "signedPrefix": f"{registry.host}/team"}, [image, mirrored], [renamed]),
    ):  # fmt: skip
        demand(**identity)
        for name in bad:
            refused(rootless, place, "which is another name", name)
        for name in good:
            rootless("pull", "-q", name)
            rootless("rmi", name)
    demand()
    rootless("pull", "-q", f"{image.rpartition(':')[0]}@{digest_of(image)}")


def spoil(registry: Registry, image: str, change: Callable[[Any, Path], None]) -> None:
    """Change the manifest of an image's signatures as a hostile registry could."""
    tag = sigstore.tag_of(digest_of(image))
    repository = image.partition("/")[2].rpartition(":")[0]
    directory = registry.directory / "spoiled"
    copy = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
            "--dest-tls-verify=false"]  # fmt: skip
    name = f"docker://{registry.host}/{repository}:{tag}"
    subprocess.run([*copy, name, f"dir:{directory}"], check=True)
    document = json.loads((directory / "manifest.json").read_bytes())
    change(document, directory)
    (directory / "manifest.json").write_text(json.dumps(document))
    subprocess.run([*copy, f"dir:{directory}", name], check=True)


@pytest.mark.slow
def test_forgeries(
    rootless: Command, place: Place, image: str, registry: Registry, keys: tuple[str, str]
) -> None:
    private, public = keys
    rootless("image", "sign", private, image)
    two = image.replace(":one", ":two")
    write_policy(place, only({"type": "sigstoreSigned", "keyPath": public}))

    # the signature of another image, under this image's tag
    name = image.rpartition(":")[0]
    copy = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false",
            "--dest-tls-verify=false"]  # fmt: skip
    subprocess.run(
        [*copy, f"docker://{name}:{sigstore.tag_of(digest_of(image))}",
         f"docker://{name}:{sigstore.tag_of(digest_of(two))}"], check=True,
    )  # fmt: skip
    refused(rootless, place, "is for another image", two)

    def another_text(document: Any, directory: Path) -> None:
        text = sigstore.payload(two, digest_of(two))
        digest = sigstore.digest(text)
        (directory / digest[7:]).write_bytes(text)
        document["layers"][0].update(digest=digest, size=len(text))

    def no_base64(document: Any, directory: Path) -> None:
        document["layers"][0]["annotations"][sigstore.NOTE] = "!!"

    def no_signature(document: Any, directory: Path) -> None:
        del document["layers"][0]["annotations"]

    for change, said in (
        (another_text, "what was signed was changed"),
        (no_base64, "what was signed was changed"),
        (no_signature, "no signature"),
    ):
        spoil(registry, image, change)
        refused(rootless, place, said, image)


def test_one_line_of_configuration(
    rootless: Command, place: Place, image: str, keys: tuple[str, str]
) -> None:
    config = place.home / ".config/rootless"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("trust.require-signatures = true\n")
    refused(rootless, place, "no key is known whose signature it should have", image)
    rootless("save", "-o", "x.tar", "rootless/hello", code=125)
    rootless(
        "image", "trust", "set", "-t", "sigstoreSigned", "-f", keys[1], image.partition("/")[0]
    )
    refused(rootless, place, "it has no signature", image)
    rootless("image", "sign", keys[0], image)
    rootless("pull", "-q", image)
    (config / "config.toml").write_text("trust.require-signature = true\n")
    assert "unknown key" in rootless("pull", image, code=125).stderr


def test_pull_verify(rootless: Command, place: Place, image: str, keys: tuple[str, str]) -> None:
    rootless("image", "sign", keys[0], image)
    refused(rootless, place, "no key is known", "--verify", image)
    write_policy(place, only({"type": "sigstoreSigned", "keyPath": keys[1]}))
    rootless("image", "verify", image)
    rootless("pull", "-q", "--verify", image)


def test_archives(rootless: Command, place: Place, image: str, tmp_path: Path) -> None:
    """Every transport has its own scopes."""
    rootless("pull", "-q", image)
    rootless("save", "--format", "oci-archive", "-o", "o.tar", image)
    rootless("save", "-o", "d.tar", image)
    rootless("save", "--format", "oci-dir", "-o", "dir", image)
    rootless("rmi", image)
    accept, reject = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
    for transport, file in (("oci-archive", "o.tar"), ("docker-archive", "d.tar"), ("oci", "dir")):
        write_policy(place, {"default": accept, "transports": {transport: {"": reject}}})
        done = rootless("load", "-i", file, code=125)
        assert "policy rejects it" in done.stderr and transport in done.stderr
        assert not os.listdir(place.data / "content/blobs/sha256")
        rootless("pull", f"{transport}:{file}", code=125)
        assert not os.listdir(place.data / "content/blobs/sha256")
        allowed = str(place.work.resolve())
        write_policy(place, {"default": reject, "transports": {transport: {allowed: accept}}})
        rootless("load", "-i", file)
        rootless("rmi", image)
    write_policy(place, {"default": [{"type": "signedBy", "keyType": "GPGKeys",
                                      "keyData": base64.b64encode(b"x").decode()}]})  # fmt: skip
    done = rootless("load", input=(place.work / "d.tar").read_bytes(), code=125)
    assert "no place for signatures" in done.stderr


def test_trust_verbs(rootless: Command, place: Place, keys: tuple[str, str]) -> None:
    assert "default" in rootless("image", "trust", "show").stdout
    rootless("image", "trust", "set", "-t", "reject", "default")
    rootless("image", "trust", "set", "-t", "accept", "quay.io/team")
    rootless("image", "trust", "set", "-t", "sigstoreSigned", "-f", keys[1], "*.example.com")
    shown = rootless("image", "trust", "show").stdout.splitlines()
    assert shown[0].split() == ["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]
    assert [line.split()[:4] for line in shown[1:]] == [
        ["all", "default", "reject", "N/A"],
        ["repository", "quay.io/team", "accept", "N/A"],
        ["repository", "*.example.com", "sigstoreSigned", "key.pub"],
    ]
    raw = json.loads((place.home / ".config/containers/policy.json").read_text())
    assert rootless("image", "trust", "show", "--raw").json() == raw
    assert (
        rootless("image", "trust", "show", "--json", "quay.io/team").json()[0]["type"] == "accept"
    )
    for words, said in (
        (["-t", "maybe", "default"], "maybe"),
        (["quay.io"], "needs a key"),
        (["-f", "none.gpg", "quay.io"], "none.gpg"),
        (["-t", "reject", "-f", keys[1], "quay.io"], "takes no key"),
        (["-t", "reject", "Not A Scope"], "Not A Scope"),
    ):
        assert said in rootless("image", "trust", "set", *words, code=125).stderr
    assert json.loads((place.home / ".config/containers/policy.json").read_text()) == raw


# peers


def test_the_form_is_cosigns(
    rootless: Command, place: Place, image: str, keys: tuple[str, str]
) -> None:
    """Where the specification says that signatures are, in its form, and good to openssl."""
    rootless("image", "sign", keys[0], image)
    rootless("image", "sign", keys[0], image)  # once more adds nothing
    tag = "sha256-" + digest_of(image)[7:] + ".sig"
    copy = ["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false"]
    name = f"docker://{image.rpartition(':')[0]}:{tag}"
    subprocess.run([*copy, name, "dir:sig"], cwd=place.work, check=True)
    document = json.loads((place.work / "sig/manifest.json").read_bytes())
    (layer,) = document["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = place.work / "sig" / layer["digest"][7:]
    critical = json.loads(payload.read_bytes())["critical"]
    assert critical == {
        "type": "cosign container image signature",
        "image": {"docker-manifest-digest": digest_of(image)},
        "identity": {"docker-reference": image},
    }
    signature = place.work / "signature"
    note = layer["annotations"]["dev.cosignproject.cosign/signature"]
    signature.write_bytes(base64.b64decode(note))
    check = ["openssl", "dgst", "-sha256", "-verify", keys[1], "-signature", signature, payload]
    assert subprocess.run(check, check=True, capture_output=True).stdout == b"Verified OK\n"


@pytest.mark.slow
def test_encrypted_keys(rootless: Command, place: Place, image: str, keys: tuple[str, str]) -> None:
    """PKCS #8 by openssl, and the box that cosign and skopeo put keys into."""
    pem = place.work / "encrypted.pem"
    encrypt = ["openssl", "pkcs8", "-topk8", "-in", keys[0], "-out", pem, "-passout", "pass:secret"]
    subprocess.run(encrypt, check=True)
    box = place.work / "cosign.key"
    box.write_bytes(sigstore_box(Path(keys[0]).read_bytes(), b"secret"))
    (place.work / "word").write_text("secret\n")
    for key in (pem, box):
        assert "passphrase" in rootless("image", "sign", key, image, code=125).stderr
        wrong = {"COSIGN_PASSWORD": "wrong"}
        assert "passphrase" in rootless("image", "sign", key, image, env=wrong, code=125).stderr
        rootless("image", "sign", key, image, env={"COSIGN_PASSWORD": "secret"})
        rootless("image", "verify", "-k", keys[1], image)
        rootless("image", "sign", "--passphrase-file", "word", key, image)


def sigstore_box(pem: bytes, passphrase: bytes) -> bytes:
    """A private key as go-securesystemslib encrypts it."""
    # not above: the machine with systemd, which collects all files, has no such module
    from nacl.secret import SecretBox

    der = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER"],
        input=pem, check=True, capture_output=True,
    ).stdout  # fmt: skip
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(passphrase, salt=salt, n=32768, r=8, p=1, maxmem=1 << 27, dklen=32)
    text = {
        "kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1},
                "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(SecretBox(secret).encrypt(der, nonce).ciphertext).decode(),
    }  # fmt: skip
    body = base64.encodebytes(json.dumps(text).encode())
    kind = b"ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    return b"-----BEGIN " + kind + body + b"-----END " + kind


# GPG


@pytest.fixture
def gpg(rootless: Command, place: Place) -> Iterator[str]:
    """A GPG key of this test's person; its public half is in `key.gpg`."""
    home = place.runtime / "gpg"  # short, because the agent has sockets there
    home.mkdir(mode=0o700)
    place.env["GNUPGHOME"] = str(home)
    who = "signer@example.com"
    base = ["gpg", "--homedir", home, "--batch", "--quiet"]
    # one agent, ready before anybody asks: two that start at once end each other
    start = ["gpg-connect-agent", "--homedir", home, "/bye"]
    subprocess.run(start, check=True, capture_output=True)
    make = [*base, "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign"]
    subprocess.run(make, check=True, capture_output=True)
    exported = subprocess.run([*base, "--export", who], check=True, capture_output=True)
    (place.work / "key.gpg").write_bytes(exported.stdout)
    yield who
    for agent in agents(place):
        os.kill(agent, signal.SIGTERM)
    while agents(place):
        time.sleep(0.05)


def agents(place: Place) -> list[int]:
    """The agents that gpg has started for this test."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"gpg-agent") and any(str(place.runtime).encode() in x for x in words):
            found.append(int(path.parent.name))
    return found


def test_simple_signing(
    rootless: Command, place: Place, image: str, registry: Registry, gpg: str
) -> None:
    write_policy(place, only({"type": "signedBy", "keyType": "GPGKeys",
                              "keyPath": str(place.work / "key.gpg")}))  # fmt: skip
    refused(rootless, place, "it has no signature", image)
    written = rootless("image", "sign", "--sign-by", gpg, image).stdout.strip()
    repository = image.partition("/")[2].rpartition(":")[0]
    digest = digest_of(image)
    assert written.endswith(f"{repository}@{digest.replace(':', '=')}/signature-1")
    rootless("pull", "-q", "--verify", image)
    rootless("rmi", image)

    # skopeo agrees
    done = subprocess.run(
        ["skopeo", "standalone-verify", "manifest.json", image, fingerprint(place, gpg), written],
        cwd=manifest(place, image), env=place.env, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    good = Path(written).read_bytes()
    Path(written).write_bytes(good[:-20] + bytes(20))
    refused(rootless, place, "or the signature was changed", image)
    Path(written).write_bytes(sigstore.payload(image, digest))
    refused(rootless, place, "or the signature was changed", image)
    # somebody else's key
    Path(written).write_bytes(good)
    (place.work / "key.gpg").write_bytes(stranger(place))
    refused(rootless, place, "another key", image)
    assert (
        "gpg does not sign"
        in rootless("image", "sign", "--sign-by", "nobody@example.com", image, code=125).stderr
    )


def fingerprint(place: Place, who: str) -> str:
    listed = subprocess.run(
        ["gpg", "--batch", "--with-colons", "--list-keys", who],
        env=place.env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return next(one.split(":")[9] for one in listed.stdout.splitlines() if one[:4] == "fpr:")


def manifest(place: Place, image: str) -> Path:
    raw = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}"]
    found = subprocess.run(raw, check=True, capture_output=True).stdout
    (place.work / "manifest.json").write_bytes(found)
    return place.work


def stranger(place: Place) -> bytes:
    home = place.runtime / "gpg2"
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*base, "--quick-generate-key", "x@example.com", "ed25519", "sign"],
                   check=True, capture_output=True)  # fmt: skip
    return subprocess.run([*base, "--export"], check=True, capture_output=True).stdout


def test_lookaside_over_http(
    rootless: Command, place: Place, image: str, registry: Registry, gpg: str
) -> None:
    served = place.work / "served"
    served.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words, directory=str(served))

        def log_message(self, format: str, *words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            config = place.home / ".config/containers/registries.d"
            config.mkdir(parents=True)
            (config / "here.yaml").write_text(
                f"# signatures\ndocker:\n  {registry.host}/team:\n"
                f"    lookaside: http://127.0.0.1:{server.server_port}/sigs\n"
                f"    lookaside-staging: file://{served}/sigs\n"
            )
            write_policy(place, only({"type": "signedBy", "keyType": "GPGKeys",
                                      "keyPath": str(place.work / "key.gpg")}))  # fmt: skip
            refused(rootless, place, "it has no signature", image)
            written = rootless("image", "sign", "--sign-by", gpg, image).stdout.strip()
            assert written.startswith(str(served))
            rootless("pull", "-q", image)
        finally:
            server.shutdown()
            thread.join()


# the document


@pytest.mark.parametrize(
    "document",
    [
        "[]", "{", '{"transports": {}}', '{"default": []}', '{"default": [{"type": "maybe"}]}',
        '{"default": [{"type": "reject", "more": 1}]}', '{"default": [{"type": "reject"}], "x": 1}',
        '{"default": [{"type": "signedBy", "keyType": "X509"}]}',
        '{"default": [{"type": "sigstoreSigned"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyData": "?"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyData": "", "keyPath": "x"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyPath": "/none"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyData": "", "signedIdentity": {"type": "x"}}]}',
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(tmp_path: Path, document: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(document)
    with pytest.raises(HostError) as caught:
        policy.read(str(path)).requirements("docker", ["a"])
    assert str(path) in caught.value.message or "/none" in caught.value.message


def test_scopes() -> None:
    name = reference.parse("reg.example.com:5000/a/b/c:1")
    assert policy.docker_scopes(name) == [
        "reg.example.com:5000/a/b/c:1", "reg.example.com:5000/a/b/c", "reg.example.com:5000/a/b",
        "reg.example.com:5000/a", "reg.example.com:5000", "*.example.com", "*.com",
    ]  # fmt: skip


def test_registries_d() -> None:
    text = (
        "default-docker:\n  # here\n  lookaside: file:///var/sigs # all\n"
        "docker:\n  reg.example.com:5000/a:\n    sigstore: 'https://x/y'\n"
    )
    assert simple_signing.parse(text, "x") == {
        "default-docker": {"": {"lookaside": "file:///var/sigs"}},
        "docker": {"reg.example.com:5000/a": {"sigstore": "https://x/y"}},
    }
    with pytest.raises(HostError):
        simple_signing.parse("docker:\n  - list\n", "x")
