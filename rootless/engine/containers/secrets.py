"""Secrets: kept apart from everything else, and lent to containers as files in memory.

A secret is two files of mode 0600 below `secrets/`, a directory of mode 0700: `NAME.json`, which
says what it is, and `ID`, which is the content.  Nothing else ever has the content: at each start
it is copied to the runtime directory, which is in memory, and bound into the container from there,
read-only.  So records, plans, logs, inspect and commits have the name alone.
"""

from __future__ import annotations

import os
import time

from rootless import documents, paths
from rootless.engine.containers import names as container_names
from rootless.errors import Conflict, DamagedDocument, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.record import SecretUse
    from rootless.engine.containers.ref import ContainerRef


MOST = 512000  # bytes, as podman's
_VERSION = 1
_SHAPE: Json = {"version": int, "id": str, "name": str, "created": float, "labels": {"*": str}}
_KEYS = ("type", "target", "uid", "gid", "mode", "source", "name", "id")


class Secrets:
    """The secrets of one user's data directory."""

    def __init__(self, data_dir: str) -> None:
        self.directory = os.path.join(data_dir, "secrets")

    def _about(self, name: str) -> str:
        return os.path.join(self.directory, f"{name}.json")

    def create(
        self,
        name: str,
        content: bytes,
        labels: dict[str, str] | None = None,
        *,
        replace: bool = False,
        ignore: bool = False,
    ) -> str:
        """Keep a secret; its id.  Raises UsageError, Conflict for a name that is taken."""
        if not container_names.is_valid(name):
            raise UsageError(
                f'invalid name of a secret "{name}"',
                hint="use a-z A-Z 0-9 _ . - and begin with a letter or digit",
            )
        if not 0 < len(content) <= MOST:
            raise UsageError(f"a secret has 1 to {MOST} bytes, not {len(content)}")
        os.makedirs(self.directory, 0o700, exist_ok=True)
        with documents.Lock(os.path.join(self.directory, "lock")):
            if name in self._names():
                if ignore:
                    return str(self.get(name)["ID"])
                if not replace:
                    raise Conflict(f"a secret {name} exists", hint="--replace, or another name")
                self._forget(name)
            identifier = os.urandom(13).hex()[:25]
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            _write(os.open(os.path.join(self.directory, identifier), flags, 0o600), content)
            about = {"version": _VERSION, "id": identifier, "name": name, "created": time.time(),
                     "labels": labels or {}}  # fmt: skip
            documents.write(self._about(name), about)
            os.chmod(self._about(name), 0o600)
        return identifier

    def _read(self, name: str) -> Json:
        try:
            return documents.read_as(
                self._about(name), _SHAPE, f"rootless secret rm {name}", newest=_VERSION
            )
        except FileNotFoundError:
            raise NotFound(f'no such secret: "{name}"', hint="rootless secret ls") from None

    def _name(self, word: str) -> str:
        """The name that is meant by a name, an id, or the unique beginning of one."""
        if container_names.is_valid(word) and os.path.exists(self._about(word)):
            return word
        found = [name for name in self._names() if word and self._id(name).startswith(word)]
        if len(found) != 1:
            raise NotFound(f'no such secret: "{word}"', hint="rootless secret ls")
        return found[0]

    def _id(self, name: str) -> str:
        """Its id; empty if its document is damaged, which hurts no other secret."""
        try:
            return str(self._read(name)["id"])
        except DamagedDocument:
            return ""

    def _names(self) -> list[str]:
        names = documents.names_in(self.directory)
        return sorted(one[:-5] for one in names if one.endswith(".json"))

    def _contents(self, name: str, identifier: str) -> list[str]:
        """Files with the content; without an id those that no other secret has."""
        if identifier:
            return [identifier]
        others = [self._id(one) for one in self._names() if one != name]
        if not all(others):
            return []
        kept = {"lock", *others}
        names = documents.names_in(self.directory)
        return [one for one in names if one not in kept and not one.endswith(".json")]

    def get(self, word: str) -> Json:
        """What is known of a secret, without its content.  Raises NotFound, DamagedDocument."""
        found = self._read(self._name(word))
        from rootless.engine.common import humanize

        made = humanize.rfc3339(found["created"])
        return {
            "ID": found["id"],
            "Name": found["name"],
            "CreatedAt": made,
            "UpdatedAt": made,
            "Spec": {
                "Name": found["name"],
                "Driver": {"Name": "file", "Options": {}},
                "Labels": found["labels"],
            },
        }

    def list(self) -> list[Json]:
        """All secrets, by name; a damaged one has no id and the driver `damaged`."""
        return [self.get(name) if self._id(name) else _damaged(name) for name in self._names()]

    def content(self, word: str) -> bytes:
        """The secret itself.  Raises NotFound."""
        found = self._read(self._name(word))
        with open(os.path.join(self.directory, found["id"]), "rb") as file:
            return file.read(MOST)

    def remove(self, word: str) -> str:
        """Forget a secret; its id.  Containers that run keep what they have.  Raises NotFound."""
        name = self._name(word)
        with documents.Lock(os.path.join(self.directory, "lock")):
            return self._forget(name)

    def _forget(self, name: str) -> str:
        identifier = self._id(name)
        gone = [self._about(name)]
        gone += [os.path.join(self.directory, one) for one in self._contents(name, identifier)]
        for path in gone:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        return identifier or name


def _damaged(name: str) -> Json:
    spec = {"Name": name, "Driver": {"Name": "damaged", "Options": {}}, "Labels": {}}
    return {"ID": "", "Name": name, "CreatedAt": "", "UpdatedAt": "", "Spec": spec}


def _write(fd: int, content: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(content)


# ------------------------------------------------- in containers


def parse(words: list[str]) -> list[SecretUse]:
    """`--secret NAME[,type=mount][,target=PATH][,uid=N][,gid=N][,mode=OCTAL]`.  UsageError."""
    found: list[SecretUse] = []
    for word in words:
        first, *rest = word.split(",")
        table = {"name": first} if "=" not in first else {}
        for part in rest if table else [first, *rest]:
            key, equals, value = part.partition("=")
            if key not in _KEYS or not equals:
                raise UsageError(f'invalid --secret "{word}"', hint="NAME,target=PATH,mode=0400")
            table[key] = value
        name = table.get("source") or table.get("id") or table.get("name") or ""
        if table.get("type", "mount") != "mount":
            raise UsageError(
                f'--secret "{word}": only type=mount is offered',
                hint="the command reads it from /run/secrets/NAME",
            )
        try:
            use: SecretUse = {
                "name": name,
                "target": table.get("target") or name,
                "mode": int(table.get("mode", "0444"), 8),
                "uid": int(table.get("uid", "0")),
                "gid": int(table.get("gid", "0")),
            }
        except ValueError:
            raise UsageError(f'invalid --secret "{word}"', hint="uid=N,gid=N,mode=OCTAL") from None
        if not 0 <= use["mode"] <= 0o777 or ".." in use["target"].split("/"):
            raise UsageError(f'invalid --secret "{word}"', hint="mode=0400, target=/absolute/path")
        found.append(use)
    return found


def directory(identifier: str) -> str:
    """Where the files of a container's secrets are: in memory, and its user's alone."""
    return os.path.join(paths.runtime_dir(), "secrets", identifier[:12])


def mounts(identifier: str, uses: list[SecretUse]) -> list[Json]:
    """OCI mounts of them."""
    return [
        {
            "type": "bind",
            "source": os.path.join(directory(identifier), str(number)),
            "destination": use["target"]
            if use["target"].startswith("/")
            else f"/run/secrets/{use['target']}",
            "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
        }
        for number, use in enumerate(uses)
    ]


def lend(container: ContainerRef) -> None:
    """Write the files that a container is about to see.  Raises NotFound."""
    uses = container.record.get("secrets") or []
    store = Secrets(container.ctx.data_dir)
    place = directory(container.id)
    paths.ensure(paths.runtime_dir())
    os.makedirs(place, 0o700, exist_ok=True)
    for number, use in enumerate(uses):
        content = store.content(use["name"])
        path = os.path.join(place, str(number))
        try:
            # an earlier start may have given it away
            os.unlink(path)
        except FileNotFoundError:
            pass
        # nobody else passes through the directory: the mode is for those in the container
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(fd, use["mode"])
        _write(fd, content)


def take_back(identifier: str) -> None:
    """Remove the files of a container that is removed."""
    place = directory(identifier)
    for name in documents.names_in(place):
        try:
            os.unlink(os.path.join(place, name))
        except FileNotFoundError:
            pass
    try:
        os.rmdir(place)
    except OSError:
        pass
