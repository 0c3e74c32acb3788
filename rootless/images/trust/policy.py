"""Which images a user trusts: `policy.json`, as all programs of the containers project read it.

Scope: the document, and which of its requirements hold for an image.
Source: containers-policy.json(5).
A document that cannot be understood to the last key is refused: what is left out might be a lock.
"""

from __future__ import annotations

import base64
import binascii
import os

from rootless import documents, paths
from rootless.errors import HostError, UsageError
from rootless.images.names import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

SIGNED = ("signedBy", "sigstoreSigned")
_KEYS = {
    "insecureAcceptAnything": set(),
    "reject": set(),
    "signedBy": {"keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"},
    "sigstoreSigned": {"keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity"},
}  # fmt: skip
_IDENTITIES: dict[str, set[str]] = {
    "matchExact": set(),
    "matchRepoDigestOrExact": set(),
    "matchRepository": set(),
    "exactReference": {"dockerReference"},
    "exactRepository": {"dockerRepository"},
    "remapIdentity": {"prefix", "signedPrefix"},
}


class Requirement:
    """One requirement; all of a list must hold.

    `keys`: bytes of public keys, any of which may have signed.  `identity`: how the name in the
    signature must fit, as the document says it.
    """

    __slots__ = ("identity", "keys", "kind")

    def __init__(self, kind: str, keys: list[bytes], identity: dict[str, Json]) -> None:
        self.kind = kind
        self.keys = keys
        self.identity = identity


class Policy:
    """A whole document; `path` is where it came from, "" for the one that accepts everything."""

    def __init__(self, document: dict[str, Json], path: str = "") -> None:
        self.document = document
        self.path = path

    def requirements(self, transport: str, scopes: list[str]) -> list[Requirement]:
        """Return those of the most specific scope; `scopes` begins with the most specific.

        Raises HostError for a damaged document.
        """
        listed = self.document.get("default")
        tables = self.document.get("transports") or {}
        if not isinstance(tables, dict):
            raise self._damaged('"transports" is not an object')
        table = tables.get(transport) or {}
        if not isinstance(table, dict):
            raise self._damaged(f'"{transport}" is not an object')
        for scope in [*scopes, ""]:
            if scope in table:
                listed = table[scope]
                break
        if not isinstance(listed, list) or not listed:
            raise self._damaged("a list of requirements is missing or empty")
        return [self._requirement(one) for one in listed]

    def _damaged(self, why: str) -> HostError:
        return HostError(
            f"the signature policy {self.path} cannot be understood: {why}",
            hint="see containers-policy.json(5), or `rootless image trust set`",
        )

    def _requirement(self, value: Json) -> Requirement:
        if not isinstance(value, dict):
            raise self._damaged("a requirement is not an object")
        kind = value.get("type")
        if kind not in _KEYS:
            raise self._damaged(f"the requirement {kind!r} is not known here")
        surplus = set(value) - _KEYS[kind] - {"type"}
        if surplus:
            raise self._damaged(f"{kind} with {sorted(surplus)[0]} is not known here")
        if kind == "signedBy" and value.get("keyType") != "GPGKeys":
            raise self._damaged(f"the key type {value.get('keyType')!r} is not GPGKeys")
        keys = self._keys(value) if kind in SIGNED else []
        return Requirement(kind, keys, self._identity(value.get("signedIdentity")))

    def _keys(self, value: dict[str, Json]) -> list[bytes]:
        given = [name for name in ("keyPath", "keyPaths", "keyData", "keyDatas") if name in value]
        if len(given) != 1:
            raise self._damaged(f"{value['type']} needs one of keyPath, keyPaths and keyData")
        found = value[given[0]]
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not texts or not all(isinstance(x, str) for x in texts):
            raise self._damaged(f"{given[0]} is not a text, or list of texts")
        if given[0].startswith("keyPath"):
            return [read_key(path) for path in texts]
        try:
            return [base64.b64decode(text, validate=True) for text in texts]
        except binascii.Error:
            raise self._damaged(f"{given[0]} is not base64") from None

    def _identity(self, value: Json) -> dict[str, Json]:
        if value is None:
            return {"type": "matchRepoDigestOrExact"}
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in _IDENTITIES or set(value) != _IDENTITIES[kind] | {"type"}:
            raise self._damaged(f"the signedIdentity {value!r} is not known here")
        return dict(value)


def read_key(path: str) -> bytes:
    """Return the bytes of a public key's file.  Raises HostError."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        raise HostError(
            f"cannot read the key {path}: {error.strerror}",
            hint="the signature policy names it; see `rootless image trust show`",
        ) from None


def own_path() -> str:
    """Return the path of the user's own policy."""
    return os.path.join(paths.config_home(), "containers/policy.json")


def read(path: str = "") -> Policy:
    """Return the policy in `path`, or the user's own, or the host's, or one that accepts
    everything.

    Raises HostError.
    """
    for candidate in [path] if path else [own_path(), "/etc/containers/policy.json"]:
        try:
            with open(candidate, "rb") as file:
                document = documents.loads(file.read().decode())
        except FileNotFoundError:
            if path:
                raise HostError(f"there is no signature policy {path}") from None
            continue
        except (OSError, ValueError) as error:
            raise HostError(
                f"cannot read the signature policy {candidate}: {error}",
                hint="correct the file, or name another one with --signature-policy",
            ) from None
        if not isinstance(document, dict) or not set(document) <= {"default", "transports"}:
            raise Policy({}, candidate)._damaged("it is not an object of default and transports")
        return Policy(document, candidate)
    return Policy({"default": [{"type": "insecureAcceptAnything"}]})


def docker_scopes(name: reference.Reference) -> list[str]:
    """Return the scopes an image of a registry is in: itself, repository, namespaces, host,
    wildcards."""
    found = [name.canonical, name.name]
    parent = name.name
    while "/" in parent:
        parent = parent.rpartition("/")[0]
        found.append(parent)
    host = name.registry.partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        found.append("*." + host)
    return found


def path_scopes(path: str, tag: str = "") -> list[str]:
    """Return the scopes of a file or directory: itself with its tag, itself, directories above."""
    if not path:
        return []
    whole = os.path.realpath(path)
    found = [f"{whole}:{tag}"] if tag else []
    while whole != "/":
        found.append(whole)
        whole = os.path.dirname(whole)
    return [*found, "/"]


def fits(identity: dict[str, Json], wanted: reference.Reference, signed: str) -> bool:
    """Return whether the name in a signature is one that the requirement allows for this image."""
    try:
        claimed = reference.parse(signed)
    except UsageError:
        return False
    # a name without a tag claims none, which `parse` completes
    tagged = "@" in signed or ":" in signed.rpartition("/")[2]
    kind = identity["type"]
    if kind == "matchRepository":
        return claimed.name == wanted.name
    if kind == "exactRepository":
        return claimed.name == reference.parse(str(identity["dockerRepository"])).name
    if kind == "exactReference":
        return tagged and claimed == reference.parse(str(identity["dockerReference"]))
    if kind == "remapIdentity":
        wanted = _remapped(wanted, str(identity["prefix"]), str(identity["signedPrefix"]))
    if not tagged:
        return False
    if wanted.digest and kind != "matchExact":
        return claimed.name == wanted.name
    return claimed == wanted


def _remapped(wanted: reference.Reference, prefix: str, signed: str) -> reference.Reference:
    name = wanted.name
    if name != prefix and not name.startswith(prefix + "/"):
        return wanted
    other = reference.parse(signed + name[len(prefix) :])
    return reference.Reference(other.registry, other.repository, wanted.tag, wanted.digest)
