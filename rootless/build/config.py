"""The configuration of an image as each instruction changes it.  Pure.

Scope: values after expansion go in, the document of the OCI image specification (config.md) with
the fields that Docker adds comes out.  What an instruction means to the files is not seen here.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

COMMENT = "rootless.dockerfile"
DEFAULT_SHELL = ("/bin/sh", "-c")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_OLD = ("container", "container_config", "id", "parent", "docker_version")


def stamp(moment: float) -> str:
    """A time as configurations have it: RFC 3339, UTC, with the fraction that it has."""
    seconds = int(moment // 1)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f"{moment - seconds:.6f}"[2:].rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


class Config:
    """One stage's configuration."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        self.document: dict[str, Json] = copy.deepcopy(dict(document))
        for key in _OF_OLD:
            self.document.pop(key, None)
        inner = self.document.get("config") or {}
        self.inner: dict[str, Json] = {
            key: value for key, value in inner.items() if value is not None
        }
        self.document["config"] = self.inner
        self.history: list[Json] = [dict(one) for one in self.document.get("history") or ()]
        # whether this stage has said something itself: a new entry point takes the base's CMD away
        self._own_command = False

    @classmethod
    def scratch(cls, operating_system: str, architecture: str, variant: str) -> Config:
        """The configuration of nothing."""
        document: dict[str, Json] = {"architecture": architecture, "os": operating_system}
        if variant:
            document["variant"] = variant
        return cls(document)

    def child(self) -> Config:
        """What a stage that begins here starts with; whoever asks takes `triggers` first."""
        made = Config({**self.document, "config": self.inner, "history": self.history})
        made.inner.pop("OnBuild", None)
        return made

    # what is asked

    @property
    def env(self) -> dict[str, str]:
        """The environment, in order."""
        pairs = [str(one).partition("=") for one in self.inner.get("Env") or ()]
        return {name: value for name, _, value in pairs}

    @property
    def user(self) -> str:
        """USER, "" for root."""
        return str(self.inner.get("User") or "")

    @property
    def workdir(self) -> str:
        """WORKDIR, "/" where none is set."""
        return str(self.inner.get("WorkingDir") or "/")

    @property
    def shell(self) -> list[str]:
        """What the shell form of a command is given to."""
        return [str(one) for one in self.inner.get("Shell") or DEFAULT_SHELL]

    @property
    def triggers(self) -> list[str]:
        """ONBUILD instructions."""
        return [str(one) for one in self.inner.get("OnBuild") or ()]

    # instructions

    def set_env(self, pairs: Sequence[tuple[str, str]]) -> None:
        """ENV: a name that is there keeps its place."""
        values = self.env
        values.update(pairs)
        self.inner["Env"] = [f"{name}={value}" for name, value in values.items()]

    def set_labels(self, pairs: Sequence[tuple[str, str]]) -> None:
        """LABEL."""
        values = {**(self.inner.get("Labels") or {}), **dict(pairs)}
        self.inner["Labels"] = dict(sorted(values.items()))

    def set_command(self, argv: Sequence[str]) -> None:
        """CMD."""
        self._own_command = True
        self._list("Cmd", argv)

    def set_entrypoint(self, argv: Sequence[str]) -> None:
        """ENTRYPOINT: the base's CMD was an argument of the base's entry point."""
        self._list("Entrypoint", argv)
        if not self._own_command:
            self.inner.pop("Cmd", None)

    def _list(self, key: str, words: Sequence[str]) -> None:
        if words:
            self.inner[key] = list(words)
        else:
            self.inner.pop(key, None)

    def expose(self, ports: Sequence[str]) -> None:
        """EXPOSE: `80/tcp`."""
        found = {**(self.inner.get("ExposedPorts") or {}), **{one: {} for one in ports}}
        self.inner["ExposedPorts"] = dict(sorted(found.items()))

    def add_volumes(self, paths: Sequence[str]) -> None:
        """VOLUME."""
        found = {**(self.inner.get("Volumes") or {}), **{one: {} for one in paths}}
        self.inner["Volumes"] = dict(sorted(found.items()))

    def set_user(self, user: str) -> None:
        """USER."""
        self.inner["User"] = user

    def set_workdir(self, path: str) -> str:
        """WORKDIR: relative to the one before.  Returns the path for the file system.

        A slash at the end stays in the configuration, as BuildKit leaves it.
        """
        parts = [] if path.startswith("/") else self.workdir.split("/")
        made: list[str] = []
        for one in [*parts, *path.split("/")]:
            if one == "..":
                if made:
                    made.pop()
            elif one not in ("", "."):
                made.append(one)
        clean = "/" + "/".join(made)
        plain = path.startswith("/") and path.endswith("/") and "/./" not in path
        keeps = plain and ".." not in path.split("/") and clean != "/"
        self.inner["WorkingDir"] = clean + ("/" if keeps else "")
        return clean

    def set_stop_signal(self, signal: str) -> None:
        """STOPSIGNAL."""
        self.inner["StopSignal"] = signal

    def set_healthcheck(self, check: Json) -> None:
        """HEALTHCHECK."""
        self.inner["Healthcheck"] = check

    def set_shell(self, argv: Sequence[str]) -> None:
        """SHELL."""
        self.inner["Shell"] = list(argv)

    def add_trigger(self, text: str) -> None:
        """ONBUILD."""
        self.inner["OnBuild"] = [*self.triggers, text]

    def set_author(self, name: str) -> None:
        """MAINTAINER."""
        self.document["author"] = name

    # the end

    def record(self, created: float, text: str, *, empty: bool) -> None:
        """A step of the history."""
        entry: Json = {"created": stamp(created), "created_by": text, "comment": COMMENT}
        if empty:
            entry["empty_layer"] = True
        if author := self.document.get("author"):
            entry["author"] = author
        self.history.append(entry)

    def finished(
        self, created: float | None, diff_ids: Sequence[str], *, clamp: float | None = None
    ) -> dict[str, Json]:
        """The document of the image with these layers.  `clamp`: no time is later than that."""
        document = dict(self.document)
        inner = {key: value for key, value in self.inner.items() if value not in ("", [], {})}
        history = [dict(one) for one in self.history]
        if clamp is not None:
            latest = stamp(clamp)
            for entry in history:
                if str(entry.get("created") or "") > latest:
                    entry["created"] = latest
        document["config"] = inner
        document["history"] = history
        document["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
        if created is not None:
            document["created"] = stamp(created)
        # the order in which readers expect them, and the same one whatever was set first
        order = ("created", "author", "architecture", "os", "os.version", "os.features", "variant")
        front = {key: document.pop(key) for key in order if document.get(key)}
        tail = {key: document.pop(key) for key in ("config", "rootfs", "history")}
        return {**front, **document, **tail}
