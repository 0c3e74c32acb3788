"""Showing and changing a policy.json: `image trust show` and `set`.

Scope: the document.  Source: podman-image-trust(1), containers-policy.json(5).
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import StorageError, UsageError
from rootless.images.names import reference
from rootless.images.trust import policy, simple_signing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

TYPES = {
    "accept": "insecureAcceptAnything",
    "insecureAcceptAnything": "insecureAcceptAnything",
    "reject": "reject",
    "signedBy": "signedBy",
    "sigstoreSigned": "sigstoreSigned",
}
_SHOWN = {"insecureAcceptAnything": "accept", "reject": "reject"}


def show(path: str = "") -> list[Json]:
    """Return a row for each scope: transport, name, type, id (keys), store.  Raises HostError."""
    found = policy.read(path)
    rows = _rows("all", "default", found.document.get("default") or [])
    tables = found.document.get("transports") or {}
    for transport, table in tables.items():
        for scope, listed in table.items():
            shown = "repository" if transport == "docker" else transport
            rows += _rows(shown, scope or "(all)", listed)
    return rows


def _rows(transport: str, name: str, listed: list[Json]) -> list[Json]:
    made = []
    for one in listed:
        kind = str(one.get("type", ""))
        row: Json = {
            "transport": transport,
            "name": name,
            "type": _SHOWN.get(kind, kind),
            "id": "N/A",
            "store": "",
        }
        if kind in policy.SIGNED:
            keys = one.get("keyPaths") or [one.get("keyPath") or "key data"]
            row["id"] = ",".join(os.path.basename(str(key)) for key in keys)
        if transport == "repository" and kind == "signedBy" and name != "(all)":
            row["store"] = _store(name)
        made.append(row)
    return made


def _store(scope: str) -> str:
    try:
        wanted = reference.parse(scope if "/" in scope else scope + "/x")
    except UsageError:
        return ""
    return simple_signing.base(wanted)


def change(scope: str, kind: str, keys: list[str], path: str = "") -> str:
    """Set what a scope of registries (or `default`) demands; the path of the file.

    Raises UsageError, HostError, StorageError.
    """
    if kind not in TYPES:
        raise UsageError(
            f'unknown type "{kind}"', hint="accept, reject, signedBy or sigstoreSigned"
        )
    requirement: dict[str, Json] = {"type": TYPES[kind]}
    if kind in policy.SIGNED:
        if not keys:
            raise UsageError(f"{kind} needs a key", hint="name its file with --pubkeysfile")
        for key in keys:
            policy.read_key(key)
        whole = [os.path.abspath(key) for key in keys]
        if kind == "signedBy":
            requirement["keyType"] = "GPGKeys"
        # podman 4.3 knows keyPaths for GPG alone, and keyPath for both
        requirement.update({"keyPath": whole[0]} if len(whole) == 1 else {"keyPaths": whole})
    elif keys:
        raise UsageError(f"{kind} takes no key", hint="leave --pubkeysfile out")
    target = path or policy.own_path()
    # a user's first own policy begins as the one that held until now
    document = policy.read(path if path and os.path.exists(path) else "").document
    if scope == "default":
        document["default"] = [requirement]
    else:
        _check_scope(scope)
        tables = document.setdefault("transports", {})
        tables.setdefault("docker", {})[scope] = [requirement]
    try:
        os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        documents.write_bytes(target, (documents.dumps(document, indent=True) + "\n").encode())
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror}") from None
    return target


def _check_scope(scope: str) -> None:
    bare = scope.removeprefix("*.")
    reference.parse(bare if "/" in bare else bare + "/x")
