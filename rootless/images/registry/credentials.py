"""Credentials for registries: the passwords that users have stored.

Scope: `auths` in auth.json and docker's config.json, programs that keep passwords (`credsStore`,
`credHelpers`), and writing and removing what `login` and `logout` say.  A file with passwords is
of mode 0600, and is replaced in one step under a lock; what else is in it stays.
Source: containers-auth.json(5); docker's credential helper protocol.
"""

from __future__ import annotations

import base64
import os

from rootless import documents, paths
from rootless.errors import StorageError, UsageError
from rootless.images.names import registries
from rootless.images.registry import credential_helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.documents import Json

_DOCKER_KEY = "https://index.docker.io/v1/"
_DOCKER_KEYS = ("docker.io", _DOCKER_KEY, "index.docker.io")


class Credentials:
    """A user's name and password, or an identity token that stands for both."""

    __slots__ = ("password", "token", "user")

    def __init__(self, user: str, password: str, token: str = "") -> None:
        self.user = user
        self.password = password
        self.token = token

    def basic(self) -> str:
        """Return the value of an Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def files() -> list[str]:
    """Return where passwords may be, the first to be asked first."""
    chosen = os.environ.get("REGISTRY_AUTH_FILE", "")
    if chosen:
        return [chosen]
    found = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime:
        found.append(os.path.join(runtime, "containers/auth.json"))
    found.append(os.path.join(paths.config_home(), "containers/auth.json"))
    docker = os.environ.get("DOCKER_CONFIG", "") or os.path.join(paths.home(), ".docker")
    found.append(os.path.join(docker, "config.json"))
    # docker's before 2015: the table without `auths` around it
    found.append(os.path.join(paths.home(), ".dockercfg"))
    return found


def own_file(authfile: str = "") -> str:
    """Return where `login` writes."""
    if authfile or os.environ.get("REGISTRY_AUTH_FILE", ""):
        return authfile or os.environ["REGISTRY_AUTH_FILE"]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        return os.path.join(runtime, "containers/auth.json")
    # Without a runtime directory podman writes below /run, which only its own service has; this
    # one is read by all of them.
    return os.path.join(paths.config_home(), "containers/auth.json")


def find(registry: str, repository: str, authfile: str = "") -> Credentials | None:
    """Return what is stored for `registry/repository`, its namespaces, or the registry.

    `authfile` is asked instead of the usual files.  Raises UsageError for a file that cannot be
    understood, HostError for a program that keeps passwords and fails.
    """
    for _, found in _everything(registry, repository, authfile):
        return found
    return None


def registries_known() -> list[str]:
    """Return the registries of which the files have a password, as they are written there."""
    found: dict[str, None] = {}
    for path in files():
        document = _read(path) or {}
        for table in (document.get("auths"), document.get("credHelpers")):
            found.update(dict.fromkeys(table if isinstance(table, dict) else ()))
    return list(found)


def where(registry: str, repository: str = "", authfile: str = "") -> list[str]:
    """Return the files and programs that have something for this name."""
    return [place for place, _ in _everything(registry, repository, authfile)]


def _everything(registry: str, repository: str, authfile: str) -> Iterator[tuple[str, Credentials]]:
    keys = _keys(registry, repository)
    for path in [authfile] if authfile else files():
        document = _read(path)
        if document is None:
            continue
        program = _program(document, registry)
        if program:
            found = credential_helpers.get(program, _program_key(registry))
            if found is not None:
                yield credential_helpers.name(program), _of_program(found)
        auths = document.get("auths")
        if path.endswith(".dockercfg"):
            auths = document
        table: dict[str, Json] = auths if isinstance(auths, dict) else {}
        for key in keys:
            entry = table.get(key)
            known = _entry(entry, path) if isinstance(entry, dict) else None
            if known is not None:
                yield path, known
                break
    for program in registries.configuration().helpers:
        if program != "containers-auth.json" and not authfile:
            found = credential_helpers.get(program, _program_key(registry))
            if found is not None:
                yield credential_helpers.name(program), _of_program(found)


def store(registry: str, repository: str, given: Credentials, authfile: str = "") -> str:
    """Keep a password; where it was put.  Raises StorageError, HostError, UsageError."""
    path = own_file(authfile)
    document = _read(path) or {}
    program = _program(document, registry)
    if program and not repository:
        credential_helpers.store(program, _program_key(registry), given.user, given.password)
        return credential_helpers.name(program)
    name = f"{registry}/{repository}" if repository else registry

    def change(auths: dict[str, Json]) -> bool:
        pair = f"{given.user}:{given.password}".encode()
        auths[name] = {"auth": base64.b64encode(pair).decode()}
        return True

    _rewrite(path, change)
    return path


def remove(registry: str, repository: str = "", authfile: str = "") -> list[str]:
    """Forget a password; from where it was taken.  Others' files are not touched."""
    path = own_file(authfile)
    names = [f"{registry}/{repository}"] if repository else _keys(registry, "")
    gone = []

    def change(auths: dict[str, Json]) -> bool:
        found = [name for name in names if auths.pop(name, None) is not None]
        return bool(found)

    document = _read(path) or {}
    program = _program(document, registry)
    if program and not repository and credential_helpers.erase(program, _program_key(registry)):
        gone.append(credential_helpers.name(program))
    if document and _rewrite(path, change):
        gone.append(path)
    return gone


def remove_all(authfile: str = "") -> None:
    """Forget every password in the file where `login` writes, and those its programs keep."""
    path = own_file(authfile)
    document = _read(path) or {}
    helpers = document.get("credHelpers")
    for registry, program in helpers.items() if isinstance(helpers, dict) else ():
        credential_helpers.erase(str(program), _program_key(registry))

    def change(auths: dict[str, Json]) -> bool:
        auths.clear()
        return True

    if document:
        _rewrite(path, change)


def _keys(registry: str, repository: str) -> list[str]:
    keys = []
    name = f"{registry}/{repository}" if repository else ""
    while "/" in name:
        keys.append(name)
        name = name.rpartition("/")[0]
    keys.extend(_DOCKER_KEYS if registry == "docker.io" else [registry])
    return [*keys, *[f"https://{registry}{path}" for path in ("", "/", "/v1/", "/v2/")]]


def _read(path: str) -> dict[str, Json] | None:
    """The document, None where there is none.  Raises UsageError."""
    try:
        document = documents.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    return document if isinstance(document, dict) else {}


def _rewrite(path: str, change: Callable[[dict[str, Json]], bool]) -> bool:
    """Change the table of passwords of a file; whether `change` did anything."""
    directory = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        with documents.DirectoryLock(directory, blocking=True):
            document = _read(path) or {}
            auths = document.setdefault("auths", {})
            if not isinstance(auths, dict):
                raise _unreadable(path, "`auths` is not a table")
            if not change(auths):
                return False
            # Through a link to the file itself, which may be kept in some other directory.
            target = os.path.realpath(path)
            data = documents.dumps(document, indent=True).encode() + b"\n"
            documents.write_bytes(target, data, mode=0o600, durable=True)
            return True
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint="give another file with --authfile"
        ) from None


def _program(document: dict[str, Json], registry: str) -> str:
    """The program that keeps this registry's password, "" for none."""
    helpers = document.get("credHelpers")
    table: dict[str, Json] = helpers if isinstance(helpers, dict) else {}
    for key in _keys(registry, ""):
        if isinstance(table.get(key), str):
            return str(table[key])
    found = document.get("credsStore")
    return found if isinstance(found, str) else ""


def _program_key(registry: str) -> str:
    return _DOCKER_KEY if registry == "docker.io" else registry


def _of_program(found: tuple[str, str]) -> Credentials:
    user, secret = found
    # so the protocol says "this is no password but an identity token"
    return Credentials("", "", secret) if user == "<token>" else Credentials(user, secret)


def _entry(entry: dict[str, Json], path: str) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials("", "", token)
    packed = entry.get("auth")
    if isinstance(packed, str) and packed:
        try:
            user, colon, password = base64.b64decode(packed).decode().partition(":")
        except ValueError:
            user, colon, password = "", "", ""
        if not colon:
            raise _unreadable(path, "an `auth` entry is not base64 of user:password")
        return Credentials(user, password.strip("\0"))
    user, password = entry.get("username", ""), entry.get("password", "")
    if isinstance(user, str) and isinstance(password, str) and user:
        return Credentials(user, password)
    return None


def _unreadable(path: str, why: str) -> UsageError:
    return UsageError(
        f"cannot read the stored passwords in {path}: {why}",
        hint='correct or remove the file; its form is {"auths": {"HOST": {"auth": …}}}',
    )
