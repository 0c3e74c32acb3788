"""Which server answers for a name, and how: registries.conf, certificates, proxies."""

from __future__ import annotations

import base64
import json
import pathlib
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from conftest import Command, Place
from front import Front
from registry import Layout, Registry, free_port, registry

__all__ = ["registry"]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.image("one", [{"bin/true": b"x" * 100}])
    made.image("two", [{"bin/true": b"y" * 100}])
    return made


def configure(place: Place, text: str, name: str = "registries.conf") -> None:
    path = place.home / ".config/containers" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(rootless: Command) -> list[str]:
    return rootless("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()


def test_short_names(rootless: Command, registry: Registry, layout: Layout, place: Place) -> None:
    registry.push(f"oci:{layout.path}:one", "aliased/tool:1")
    registry.push(f"oci:{layout.path}:two", "searched:1")
    closed = f"127.0.0.1:{free_port()}"
    configure(
        place,
        f'unqualified-search-registries = ["{closed}", "{registry.host}"]\n'
        f'[aliases]\ntool = "{registry.host}/aliased/tool"\n',
    )
    told = rootless("pull", "tool:1")
    assert names(rootless) == [f"{registry.host}/aliased/tool:1"]
    # each of the registries is asked, and the person hears of those that had nothing
    told = rootless("pull", "searched:1")
    assert f"{closed}/searched:1 cannot be pulled" in told.stderr
    assert f"{registry.host}/searched:1" in names(rootless)
    # the short name means the same image here afterwards
    rootless("inspect", "tool:1")
    rootless("create", "--pull", "never", "tool:1", "/bin/true")
    told = rootless("pull", "nowhere:1", code=125)
    assert f"{registry.host} has no image" in told.stderr
    # drop-in files come later, and win
    configure(place, 'short-name-mode = "enforcing"\n', "registries.conf.d/50-mine.conf")
    told = rootless("pull", "searched:1", code=125)
    assert f"may be {closed}/searched or {registry.host}/searched" in told.stderr
    configure(place, f'[aliases]\nsearched = "{registry.host}/searched"\n',
              "registries.conf.d/60-more.conf")  # fmt: skip
    rootless("pull", "-q", "searched:1")


def test_blocked(rootless: Command, place: Place) -> None:
    configure(
        place,
        '[[registry]]\nprefix = "quay.example/bad"\nblocked = true\n'
        '[[registry]]\nprefix = "*.evil.example"\nblocked = true\n',
    )
    for name in ("quay.example/bad/tool", "a.evil.example/x", "a.b.evil.example/x:1"):
        told = rootless("pull", name, code=125)
        assert f"{name}" in told.stderr
        assert "is blocked by registries.conf" in told.stderr
    told = rootless("push", "x", "quay.example/bad/tool", code=125)


def test_a_file_that_is_damaged(rootless: Command, place: Place) -> None:
    configure(place, "[[registry]\n")
    told = rootless("pull", "quay.example/x", code=125)
    assert "cannot read" in told.stderr
    assert "registries.conf" in told.stderr


def test_locations_are_written_anew(
    rootless: Command, registry: Registry, layout: Layout, place: Place
) -> None:
    registry.push(f"oci:{layout.path}:one", "moved/here/app:1")
    configure(
        place,
        f'[[registry]]\nprefix = "old.example/team"\nlocation = "{registry.host}/moved/here"\n'
        f'[[registry]]\nprefix = "*.lab.example"\nlocation = "{registry.host}"\n',
    )
    rootless("pull", "-q", "old.example/team/app:1")
    rootless("pull", "-q", "x.lab.example/moved/here/app:1")
    assert sorted(names(rootless)) == ["old.example/team/app:1", "x.lab.example/moved/here/app:1"]
    rootless("push", "-q", "old.example/team/app:1", "old.example/team/pushed:1")
    rootless("copy", "-q", "old.example/team/pushed:1", "oci:copied:1")


def test_mirrors(rootless: Command, registry: Registry, layout: Layout, place: Place) -> None:
    """The mirror is asked first; it gets neither the registry's password nor the last word."""
    registry.push(f"oci:{layout.path}:one", "mirror/app:1")
    registry.push(f"oci:{layout.path}:two", "origin/app:1")
    with Front(registry) as mirror, Front(registry) as origin:
        text = (
            f'[[registry]]\nprefix = "hub.example"\nlocation = "{origin.host}/origin"\n'
            f'[[registry.mirror]]\nlocation = "{mirror.host}/mirror"\n'
        )
        configure(place, text)
        auth = place.runtime / "containers/auth.json"
        auth.parent.mkdir()
        secret = {"auth": base64.b64encode(b"ann:pw").decode()}
        auth.write_text(json.dumps({"auths": {"hub.example": secret, origin.host: secret}}))
        mirror.fault = lambda request: (
            "Authorization" not in request.headers
            and request.answer(401, b"", {"WWW-Authenticate": "Basic realm=m"})
        )
        given = ["--creds", "bob:for-the-hub", "hub.example/app:1"]
        rootless("pull", "-q", *given)
        rootless("rmi", "hub.example/app:1")
        told = rootless("pull", "-q", "hub.example/app:1")
        assert not [one for one in mirror.requests if "Authorization" in one[2]]
        assert origin.asked("GET", "/v2/origin/app/manifests/1")
        mirror.fault = None
        origin.requests.clear()
        rootless("rmi", "hub.example/app:1")
        told = rootless("pull", "hub.example/app:1")
        assert "does not help" not in told.stderr
        assert not origin.requests
        mirror.requests.clear()
        # what only a digest can be trusted to
        configure(place, text + 'pull-from-mirror = "digest-only"\n')
        rootless("pull", "-q", "hub.example/app:1")
        assert not mirror.requests
        digest = layout.entries[0]["digest"]
        rootless("image", "prune", "-f")
        rootless("pull", "-q", f"hub.example/app@{digest}")
        assert mirror.requests
        # pushing is never done to a mirror
        mirror.requests.clear()
        rootless("push", "-q", "hub.example/app:1", "hub.example/new:1")
        assert not mirror.requests


# certificates


def authority(directory: pathlib.Path, name: str) -> pathlib.Path:
    """A certificate authority; the path of its certificate."""
    path = directory / f"{name}.pem"
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", path.with_suffix(".key"), "-out", path)  # fmt: skip
    return path


def certificate(directory: pathlib.Path, name: str, ca: pathlib.Path) -> pathlib.Path:
    """A certificate of this authority for 127.0.0.1."""
    path = directory / f"{name}.pem"
    request = directory / f"{name}.csr"
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
             "-keyout", path.with_suffix(".key"), "-out", request)  # fmt: skip
    extra = directory / f"{name}.ext"
    extra.write_text("subjectAltName=IP:127.0.0.1,DNS:registry.test\n")
    _openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"),
             "-CAcreateserial", "-days", "2", "-extfile", extra, "-out", path)  # fmt: skip
    return path


def _openssl(*words: str | pathlib.Path) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    directory = tmp_path_factory.mktemp("keys")
    ca = authority(directory, "ca")
    return {
        "ca": ca,
        "server": certificate(directory, "server", ca),
        "client": certificate(directory, "client", ca),
    }


def certs_d(place: Place, host: str) -> pathlib.Path:
    path = place.home / ".config/containers/certs.d" / host
    path.mkdir(parents=True)
    return path


def test_an_authority_of_ones_own(
    rootless: Command, keys: dict[str, pathlib.Path], place: Place, layout: Layout,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    with Registry(tmp_path / "tls", certificate=keys["server"]) as secure:
        name = f"{secure.host}/tls/app:1"
        source = f"oci:{layout.path}:one"
        # on the loopback nobody checks unless asked to
        rootless("copy", "-q", source, name)
        told = rootless("pull", "--tls-verify", name, "true", code=125)
        told = rootless("pull", "--tls-verify=true", name, code=125)
        assert f"the certificate of {secure.host} cannot be trusted" in told.stderr
        directory = certs_d(place, secure.host)
        (directory / "own.crt").write_bytes(keys["ca"].read_bytes())
        rootless("pull", "-q", "--tls-verify=true", name)
        (directory / "own.crt").write_text("no certificate")
        told = rootless("pull", "-q", "--tls-verify=true", name, code=125)
        assert f"cannot load the certificates in {directory}" in told.stderr
        mine = place.work / "mine"
        mine.mkdir()
        (mine / "ca.crt").write_bytes(keys["ca"].read_bytes())
        rootless("pull", "-q", "--tls-verify=true", "--cert-dir", mine, name)


def test_a_certificate_of_the_person(
    rootless: Command, keys: dict[str, pathlib.Path], place: Place, layout: Layout,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    with Registry(tmp_path / "mtls", certificate=keys["server"], client_ca=keys["ca"]) as secure:
        name = f"{secure.host}/mtls/app:1"
        source = f"oci:{layout.path}:one"
        told = rootless("copy", "-q", source, name, code=125)
        assert f"{secure.host} wants a certificate of yours" in told.stderr
        directory = certs_d(place, secure.host)
        (directory / "ca.crt").write_bytes(keys["ca"].read_bytes())
        (directory / "me.cert").write_bytes(keys["client"].read_bytes())
        told = rootless("copy", "-q", source, name, code=125)
        assert "NAME.cert with NAME.key" in told.stderr
        (directory / "me.key").write_bytes(keys["client"].with_suffix(".key").read_bytes())
        rootless("copy", "-q", "--dest-tls-verify=true", source, name)
        rootless("pull", "-q", "--tls-verify=true", name)


def test_nobody_is_led_from_tls_to_plain_http(
    rootless: Command, registry: Registry, keys: dict[str, pathlib.Path], place: Place,
    layout: Layout,
) -> None:  # fmt: skip
    """Neither for blobs nor for a token, and the other server hears nothing."""
    registry.push(f"oci:{layout.path}:one", "led/app:1")
    both = place.work / "both.pem"
    both.write_bytes(keys["server"].read_bytes() + keys["server"].with_suffix(".key").read_bytes())
    mine = place.work / "certificates"
    mine.mkdir()
    (mine / "ca.crt").write_bytes(keys["ca"].read_bytes())
    with Front(registry, certificate=str(both)) as secure, Front(registry) as plain:
        secure.fault = lambda request: (
            "/blobs/" in request.path
            and request.answer(307, b"", {"Location": f"http://{plain.host}{request.path}"})
        )
        words = ("pull", "--tls-verify=true", "--cert-dir", str(mine), f"{secure.host}/led/app:1")
        told = rootless(*words, code=125)
        assert f"{secure.host} sends us to http://{plain.host}/" in told.stderr
        secure.fault = lambda request: request.answer(
            401, b"", {"WWW-Authenticate": f'Bearer realm="http://{plain.host}/token"'}
        )
        told = rootless(*words, code=125)
        assert "which is not HTTPS" in told.stderr
        assert not plain.requests
        secure.fault = None
        rootless(*words)


# proxies


class Proxy:
    """An HTTP proxy that leads everything to one port, and remembers what it was asked for."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.asked: list[str] = []
        self.authorization: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                connection.close()
                return
            head += piece
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.split(b" ")
        self.asked.append(f"{method.decode()} {target.decode()}")
        for one in rest.split(b"\r\n"):
            if one.lower().startswith(b"proxy-authorization:"):
                self.authorization.append(one.split(b" ")[-1].decode())
        there = socket.create_connection(("127.0.0.1", self.behind))
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            path = urlsplit(target.decode()).path.encode()
            there.sendall(b" ".join((method, path, version)) + b"\r\nConnection: close\r\n" + rest)
        while True:
            ready, _, _ = select.select([connection, there], [], [], 20)
            for end, other in ((connection, there), (there, connection)):
                if end in ready:
                    data = end.recv(1 << 16)
                    if not data:
                        connection.close()
                        there.close()
                        return
                    other.sendall(data)
            if not ready:
                return

    def close(self) -> None:
        # closing alone does not wake a thread that waits in accept(2)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    running = Proxy(registry.port)
    yield running
    running.close()


def test_a_proxy(rootless: Command, registry: Registry, layout: Layout, proxy: Proxy) -> None:
    registry.push(f"oci:{layout.path}:one", "proxied/app:1")
    name = "registry.test/proxied/app:1"
    env = {"http_proxy": f"http://us%40er:pw@{proxy.address}"}
    rootless("pull", "-q", "--tls-verify=false", name, env={**env, "https_proxy": proxy.address})
    assert "GET http://registry.test/v2/proxied/app/manifests/1" in proxy.asked
    assert base64.b64encode(b"us@er:pw").decode() in proxy.authorization
    # this host's own services are nothing for a proxy, and NO_PROXY is heeded
    proxy.asked.clear()
    rootless("pull", "-q", f"{registry.host}/proxied/app:1", env=env)
    assert not proxy.asked
    told = rootless("pull", "-q", "--tls-verify=false", "192.0.2.1/proxied/app:1", code=125,
                    env={**env, "no_proxy": "192.0.2.0/24", "ROOTLESS_STALL_SECONDS": "0.1",
                         "ROOTLESS_RETRY_SECONDS": "0.01"})  # fmt: skip
    assert not proxy.asked
    assert "192.0.2.1" in told.stderr


def test_a_tunnel(
    rootless: Command, keys: dict[str, pathlib.Path], place: Place, layout: Layout,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    with Registry(tmp_path / "tls", certificate=keys["server"]) as secure:
        rootless("copy", "-q", f"oci:{layout.path}:one", f"{secure.host}/tunnel/app:1")
        proxy = Proxy(secure.port)
        directory = certs_d(place, "registry.test")
        (directory / "ca.crt").write_bytes(keys["ca"].read_bytes())
        env = {"HTTPS_PROXY": f"http://{proxy.address}"}
        rootless("pull", "-q", "registry.test/tunnel/app:1", env=env)
        assert set(proxy.asked) == {"CONNECT registry.test:443"}
        proxy.close()
        told = rootless("pull", "-q", "registry.test/tunnel/app:1", code=125,
                        env={**env, "ROOTLESS_RETRY_SECONDS": "0.01"})  # fmt: skip
        assert "HTTPS_PROXY" in told.stderr
        told = rootless("pull", "-q", "registry.test/tunnel/app:1", code=125,
                        env={"HTTPS_PROXY": "socks5://127.0.0.1:1"})  # fmt: skip
        assert "the proxy socks5://127.0.0.1 is of a kind that is not supported" in told.stderr
