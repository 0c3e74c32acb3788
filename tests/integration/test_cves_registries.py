"""Passwords that went to the wrong server, and servers that do not end; as in
test_cves_process.py."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Place
from front import Front, Request
from registry import Handler, Layout, Server
from test_images_names import authority, certificate
from weaken import Change, Engine, engine  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")

PASSWORD = base64.b64encode(b"ann:secret").decode()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """A registry, and a server of somebody else's that has the same blobs."""
    layout = Layout(tmp_path / "layout")
    layout.image("one", [{"bin/true": b"x" * 100}])
    made = (Server(layout), Server(layout))
    threads = [threading.Thread(target=one.serve_forever, args=(0.02,)) for one in made]
    for thread in threads:
        thread.start()
    yield made
    for one in made:
        one.shutdown()
        one.server_close()
    for thread in threads:
        thread.join()


def keep(place: Place, **document: object) -> None:
    """The file of passwords of who pulls."""
    path = place.runtime / "containers/auth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def told(server: Server) -> list[str]:
    """Authorization headers that a server was sent, decoded."""
    sent = [headers.get("Authorization", "") for _, _, headers in server.requests]
    return [base64.b64decode(one[6:]).decode() for one in sent if one.startswith("Basic ")]


def test_cve_2020_15157_the_password_for_a_layer_elsewhere(
    engine: Engine,  # noqa: F811
    servers: tuple[Server, Server],
    place: Place,
) -> None:
    """A manifest and its registry send us for a layer to a server that asks for a password."""
    ours, other = servers
    entry = ours.layout.entries[0]
    manifest = json.loads((ours.layout.path / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    layer = manifest["layers"][0]
    layer["urls"] = [f"http://{other.host}/v2/x/blobs/{layer['digest']}"]
    layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    data = json.dumps(manifest).encode()
    ours.layout.add("urls", {"mediaType": manifest["mediaType"], **ours.layout.blob(data)})
    keep(place, auths={ours.host: {"auth": PASSWORD}})

    def asks(request: Handler) -> bool:
        if request.headers.get("Authorization"):
            return False
        request.reply(401, b"", {"WWW-Authenticate": "Basic realm=x"})
        return True

    def sends_away(request: Handler) -> bool:
        if asks(request):
            return True
        if layer["digest"] not in request.path:
            return False
        request.reply(307, b"", {"Location": f"http://{other.host}{request.path}"})
        return True

    ours.fault, other.fault = sends_away, asks
    engine()("pull", "-q", f"{ours.host}/team/app:urls", code=125)
    assert other.requests
    assert told(other) == []
    anywhere = Change("rootless/images/registry/session.py",
                      'return f"{parts.scheme}://{parts.netloc}" == self._base',
                      "return True")  # fmt: skip
    engine(anywhere)("pull", "-q", f"{ours.host}/team/app:urls", code=None)
    assert "ann:secret" in told(other)


def test_cve_2021_41092_the_program_that_keeps_passwords_is_missing(
    engine: Engine,  # noqa: F811
    servers: tuple[Server, Server],
    place: Place,
) -> None:
    """What is given for one registry must not go to the one that is asked by default."""
    ours, default = servers
    keep(place, credsStore="missing", credHelpers={ours.host: "missing"},
         auths={default.host: {"auth": base64.b64encode(b"bob:other").decode()}})  # fmt: skip
    env = {"REGISTRY_AUTH_FILE": str(place.runtime / "containers/auth.json")}

    def asks(request: Handler) -> bool:
        good = request.headers.get("Authorization")
        head = {"WWW-Authenticate": "Basic realm=x"}
        request.reply(200 if good else 401, b"{}", {} if good else head)
        return True

    ours.fault = default.fault = asks
    words = ["login", "-u", "ann", "--password-stdin", ours.host]
    engine()(*words, input="secret\n", env=env, code=None)
    assert set(told(ours)) == {"ann:secret"}
    assert told(default) == []
    # nor does the default's password go to a registry whose own cannot be had
    ours.requests.clear()
    engine()("pull", "-q", f"{ours.host}/team/app:one", env=env, code=None)
    assert ours.requests
    assert told(ours) == []
    by_default = Change("rootless/images/registry/login.py",
                        "    registry, namespace = split(text)\n    try_out(",
                        f'    registry, namespace = split("{default.host}")\n    try_out('
                        )  # fmt: skip
    engine(by_default)(*words, input="secret\n", env=env, code=None)
    assert "ann:secret" in told(default)


def test_cve_2019_10214_the_token_server_without_tls(
    engine: Engine,  # noqa: F811
    servers: tuple[Server, Server],
    place: Place,
    tmp_path: Path,
) -> None:
    """A registry that speaks TLS names one that does not: the password would be read on the way."""
    ca = authority(tmp_path, "ca")
    made = certificate(tmp_path, "server", ca)
    both = tmp_path / "both.pem"
    both.write_text(made.read_text() + made.with_suffix(".key").read_text())
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/ca.crt").write_text(ca.read_text())
    tmp_path.chmod(0o755)
    _, other = servers

    def asks(request: Request) -> bool:
        realm = f'Bearer realm="http://{other.host}/token",service="s"'
        return request.answer(401, b"", {"WWW-Authenticate": realm})

    def gives(request: Handler) -> bool:
        request.reply(200, b'{"token":"abc"}')
        return True

    other.fault = gives
    with Front(None, certificate=str(both)) as front:
        front.fault = asks
        keep(place, auths={front.host: {"auth": PASSWORD}})
        words = ["pull", "-q", "--tls-verify=true", "--cert-dir", tmp_path / "certs",
                 f"{front.host}/team/app:one"]  # fmt: skip
        assert "which is not HTTPS" in engine()(*words, code=125).stderr
        assert other.requests == []
        plain = Change("rootless/images/registry/session.py", "        self._allow(realm)\n", "")
        engine(plain)(*words, code=125)
        assert "ann:secret" in told(other)


@pytest.mark.parametrize("what", ["manifest", "token"])
def test_cve_2020_1702_an_answer_without_an_end(
    engine: Engine,  # noqa: F811
    servers: tuple[Server, Server],
    what: str,
) -> None:
    """It is kept in memory while it is read."""
    ours, _ = servers
    sent = 0

    def endless(request: Handler) -> bool:
        nonlocal sent
        if what == "token" and request.path.startswith("/v2"):
            realm = f'Bearer realm="http://{ours.host}/token",service="s"'
            request.reply(401, b"", {"WWW-Authenticate": realm})
            return True
        if what == "manifest" and "manifests" not in request.path:
            return False
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        request.reply(200, b"", kind, promised=1 << 40)
        try:
            while request.command == "GET" and sent < 64 << 20:
                sent += request.wfile.write(b" " * 65536)
        except OSError:
            pass
        request.close_connection = True
        return True

    ours.fault = endless
    engine()("pull", "-q", f"{ours.host}/team/app:one", code=125)
    assert sent < 32 << 20
    sent = 0
    unbounded = Change("rootless/images/registry/http.py", "if have > limit:",
                       "if have > limit << 20:")  # fmt: skip
    engine(unbounded)("pull", "-q", f"{ours.host}/team/app:one", code=125)
    assert sent >= 64 << 20
