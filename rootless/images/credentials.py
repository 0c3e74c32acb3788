"""Who we are to a registry: passwords people stored, and tokens registries hand out.

Scope: `auths` in auth.json and docker's config.json; programs that keep passwords
(`credsStore`, `credHelpers`) are not asked.
Source: containers-auth.json(5); the token specification of the distribution project.
"""

from __future__ import annotations

import base64
import os
import re

from rootless import documents, paths
from rootless.errors import UsageError

_DOCKER_KEYS = ("docker.io", "https://index.docker.io/v1/", "index.docker.io")


class Credentials:
    """A user's name and password, or an identity token that stands for both."""

    __slots__ = ("password", "token", "user")

    def __init__(self, user: str, password: str, token: str = "") -> None:
        self.user = user
        self.password = password
        self.token = token

    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def files() -> list[str]:
    """Where passwords may be, the first to be asked first."""
    chosen = os.environ.get("REGISTRY_AUTH_FILE", "")
    if chosen:
        return [chosen]
    found = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime:
        found.append(os.path.join(runtime, "containers/auth.json"))
    config = os.environ.get("XDG_CONFIG_HOME", "") or os.path.join(paths.home(), ".config")
    found.append(os.path.join(config, "containers/auth.json"))
    docker = os.environ.get("DOCKER_CONFIG", "") or os.path.join(paths.home(), ".docker")
    found.append(os.path.join(docker, "config.json"))
    return found


def find(registry: str, repository: str, authfile: str = "") -> Credentials | None:
    """What is stored for `registry/repository`, its namespaces, or the registry.

    `authfile` is asked instead of the usual files.  Raises UsageError for a file that cannot be
    understood.
    """
    keys = []
    name = f"{registry}/{repository}"
    while "/" in name:
        keys.append(name)
        name = name.rpartition("/")[0]
    keys.extend(_DOCKER_KEYS if registry == "docker.io" else [registry])
    keys.extend([f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"])
    for path in [authfile] if authfile else files():
        try:
            document = documents.read(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise _unreadable(path, str(error)) from None
        auths = document.get("auths") if isinstance(document, dict) else None
        if not isinstance(auths, dict):
            continue
        for key in keys:
            entry = auths.get(key)
            if isinstance(entry, dict):
                found = _entry(entry, path)
                if found is not None:
                    return found
    return None


def _entry(entry: dict[str, documents.Json], path: str) -> Credentials | None:
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
        hint='mend or remove the file; its form is {"auths": {"HOST": {"auth": …}}}',
    )


class Challenge:
    """One way to authorize that a server offers."""

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        self.scheme = scheme
        self.parameters = parameters


_PART = re.compile(
    r"""\s*,?\s*(?:(?P<key>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|"""
    r"""(?P<bare>[^\s,"]+))|(?P<scheme>[\w!#$%&'*+.^`|~-]+)(?=\s|,|$))"""
)


def challenges(headers: list[str]) -> list[Challenge]:
    """Read WWW-Authenticate headers (RFC 9110, section 11.6.1); what is malformed is skipped."""
    found: list[Challenge] = []
    for header in headers:
        position = 0
        while match := _PART.match(header, position):
            if match.end() == position:
                break
            position = match.end()
            if match["scheme"]:
                found.append(Challenge(match["scheme"].lower(), {}))
            elif found:
                value = match["bare"]
                if value is None:
                    value = re.sub(r"\\(.)", r"\1", match["quoted"])
                found[-1].parameters[match["key"].lower()] = value
    return found
