"""Signatures by GPG keys: simple signing, kept in a lookaside place beside the registry.

Scope: `registries.d`, finding signatures, and running `gpg`.
Sources: containers-registries.d(5), containers-signature(5), GnuPG's doc/DETAILS for status lines.
"""

from __future__ import annotations

import os
import subprocess
import tempfile

from rootless import documents, paths
from rootless.errors import HostError
from rootless.images.names import reference
from rootless.images.trust import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.images.registry.http import Settings

KIND = "atomic container signature"
_LARGEST = 1 << 20
_MOST = 64  # signatures of one image that are looked at
_BAD = ("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")


class Opened:
    """A signature that gpg vouches for: what was signed, and the fingerprint of the primary key."""

    def __init__(self, data: bytes, fingerprint: str) -> None:
        self.data = data
        self.fingerprint = fingerprint


def verify(keys: list[bytes], signature: bytes) -> Opened | None:
    """Open a signature with these public keys and no others; None if none of them made it.

    Raises HostError without gpg, or when no key can be imported.
    """
    with tempfile.TemporaryDirectory(prefix="rootless-gpg-") as home:
        for key in keys:
            done = _gpg(home, ["--import"], key)
            if done.returncode:
                raise HostError(
                    "this is not a public key of GPG's kind",
                    hint="gpg --export --armor NAME writes one",
                )
        done = _gpg(home, ["--status-fd", "2", "--decrypt"], signature)
    lines = [
        line.split()[1:]
        for line in done.stderr.decode(errors="replace").splitlines()
        if line.startswith("[GNUPG:] ")
    ]
    valid = [line for line in lines if line[:1] == ["VALIDSIG"]]
    # one signature and nothing beside it: a second one could vouch for another text
    if done.returncode or len(valid) != 1 or any(line[0] in _BAD for line in lines if line):
        return None
    if sum(line[:1] == ["PLAINTEXT"] for line in lines) != 1:
        return None
    return Opened(done.stdout, valid[0][-1])


def sign(identity: str, data: bytes, home: str = "") -> bytes:
    """Return a signature by the user's own key `identity` (fingerprint, mail address).
    HostError."""
    done = _gpg(home, ["--local-user", identity, "--sign"], data)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HostError(
            f"gpg does not sign as {identity}: {said[-1] if said else 'no reason given'}",
            hint="gpg --list-secret-keys shows the keys there are",
        )
    return done.stdout


def _gpg(home: str, words: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["gpg", "--batch", "--no-tty", "--quiet", "--trust-model", "always"]
    if home:
        command += ["--homedir", home]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run([*command, *words], input=data, capture_output=True, env=environment)
    except FileNotFoundError:
        raise HostError(
            "signatures of this kind need the program gpg, which is not installed",
            hint="install gnupg",
        ) from None


# where signatures are


def places(name: reference.Reference) -> dict[str, str]:
    """Return what registries.d says of a repository: `lookaside`, `lookaside-staging` and so on."""
    best: dict[str, str] = {}
    tables: dict[str, dict[str, str]] = {}
    for path in _files():
        with open(path, encoding="utf-8", errors="replace") as file:
            document = parse(file.read(), path)
        best = document.get("default-docker", {}).get("", {}) or best
        tables.update(document.get("docker", {}))
    for scope in policy.docker_scopes(name):
        if scope in tables:
            return tables[scope]
    return best


def base(name: reference.Reference, *, staging: bool = False) -> str:
    """Return the URL below which a repository's signatures are; the user's own place by
    default."""
    told = places(name)
    keys = ["lookaside", "sigstore"]
    if staging:
        keys = ["lookaside-staging", "sigstore-staging", *keys]
    for key in keys:
        if told.get(key):
            return told[key].rstrip("/")
    return "file://" + os.path.join(paths.data_home(), "containers/sigstore")


def url(name: reference.Reference, digest: str, number: int, *, staging: bool = False) -> str:
    """Return where the signature with this number, from 1, is."""
    place = f"{name.repository}@{digest.replace(':', '=')}/signature-{number}"
    return f"{base(name, staging=staging)}/{place}"


def stored(
    name: reference.Reference, digest: str, settings: Settings | None = None
) -> Iterator[bytes]:
    """Yield the signatures of a manifest, one after the other.  Raises HostError, RegistryError."""
    for number in range(1, _MOST + 1):
        found = _fetch(url(name, digest, number), settings)
        if found is None:
            return
        yield found


def _fetch(where: str, settings: Settings | None) -> bytes | None:
    if where.startswith("file://"):
        try:
            with open(where[7:], "rb") as file:
                return file.read(_LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"cannot read {where[7:]}: {error.strerror}") from None
    if not where.startswith(("http://", "https://")):
        raise HostError(
            f"the place of signatures {where} is neither file:// nor http(s)://",
            hint="correct it in containers' registries.d",
        )
    from rootless.errors import RegistryError
    from rootless.images.registry import http

    carrier = http.Transport(settings or http.Settings(), verify=True)
    try:
        reply = carrier.send("GET", where, {})
        data = reply.read_all(_LARGEST)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise RegistryError(f"{where} answers {reply.status}", hint="try again later")
        return data
    except OSError as error:
        raise http.failed(where, error) from None
    finally:
        carrier.close()


def _files() -> list[str]:
    own = os.path.join(paths.config_home(), "containers/registries.d")
    directory = own if os.path.isdir(own) else "/etc/containers/registries.d"
    return [
        os.path.join(directory, name)
        for name in documents.names_in(directory)
        if name.endswith(".yaml")
    ]


def parse(text: str, path: str) -> dict[str, dict[str, dict[str, str]]]:
    """Parse into {"docker": {scope: {key: value}}, "default-docker": {"": {key: value}}}.

    Of YAML only what such files are made of: mappings by indentation, plain or quoted texts,
    comments.  Raises HostError for anything else.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    stack: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#") or bare == "---":
            continue
        key, colon, value = _entry(bare)
        indent = len(line) - len(line.lstrip(" "))
        while stack and stack[-1][0] >= indent:
            stack.pop()
        if not colon or "\t" in line[:indent] or bare[0] in "-[{&*!|>" or len(stack) > 2:
            raise HostError(
                f"{path}, line {number}: this is not `key: value`: {bare}",
                hint="see containers-registries.d(5)",
            )
        names = [name for _, name in stack]
        if value:
            if names and names[0] == "default-docker":
                found.setdefault(names[0], {}).setdefault("", {})[key] = value
            elif len(names) == 2:
                found.setdefault(names[0], {}).setdefault(names[1], {})[key] = value
        else:
            stack.append((indent, key))
    return found


def _entry(bare: str) -> tuple[str, str, str]:
    """(key, colon, value); a scope may hold a colon and then has no blank behind it."""
    if bare[0] in "\"'":
        key, _, rest = bare[1:].partition(bare[0])
        colon, value = rest.strip()[:1], rest.strip()[1:]
    elif bare.endswith(":") and ": " not in bare:
        key, colon, value = bare[:-1], ":", ""
    else:
        key, colon, value = bare.partition(": ")
    value = value.partition(" #")[0].strip()
    if value[:1] in ('"', "'") and value[-1:] == value[0]:
        value = value[1:-1]
    return key.strip(), colon.strip(), value
