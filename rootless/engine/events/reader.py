"""Read events: those of the past, and new ones as they happen.

Scope: the files that `events` and the monitors write.  There is no daemon to
subscribe to: a reader that follows looks at the ends of the files, some times in a second.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.events import writer as event_writer
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.documents import Json

    Filters = dict[str, list[str]]

_PAUSE = 0.1  # seconds between two looks
_KINDS = ("container", "image", "volume", "network", "pod", "system")

# The actions are podman's, but `die`.  What docker calls the same: {(kind or "", ours): docker's}.
_DOCKER = {
    ("container", "remove"): "destroy",
    ("container", "exec"): "exec_start",
    ("container", "exec_died"): "exec_die",
    ("image", "remove"): "delete",
    ("volume", "remove"): "destroy",
    ("network", "remove"): "destroy",
}
_PODMAN = {("container", "die"): "died", ("image", "load"): "loadfromarchive"}


class Event:
    """Something that happened.

    `time` in nanoseconds since the epoch; `kind`: container, image, volume, network, pod, system;
    `action`: create, init, start, die, …; `attributes`: texts by name.
    """

    __slots__ = ("action", "attributes", "id", "kind", "name", "time")

    def __init__(self, table: Json) -> None:
        """Raises KeyError, TypeError, ValueError for what is no event."""
        self.time = int(table["time"])
        if not 0 <= self.time < 1 << 63:
            raise ValueError("no clock shows that time")
        self.kind = str(table["type"])
        self.action = str(table["action"])
        self.id = str(table["id"])
        self.name = str(table["name"])
        self.attributes: dict[str, str] = {str(k): str(v) for k, v in table["attributes"].items()}

    def __repr__(self) -> str:
        return f"<Event {self.kind} {self.action} {self.name}>"

    @property
    def docker_action(self) -> str:
        """Docker's name of the action."""
        word = _DOCKER.get((self.kind, self.action), self.action)
        if word == "health_status":
            return f"health_status: {self.attributes.get('health_status', '')}"
        return word

    @property
    def attrs(self) -> Json:
        """Docker's keys and, where they do not clash, podman's beside them."""
        action = self.docker_action
        code = self.attributes.get("exitCode", "")
        table = {
            "Type": self.kind,
            "Action": action,
            "Actor": {"ID": self.id, "Attributes": self.attributes},
            "scope": "local",
            "status": action,
            "id": self.id,
            "from": self.attributes.get("image", ""),
            "time": self.time // 1000000000,
            "timeNano": self.time,
            "ID": self.id,
            "Name": self.name,
            "Image": self.attributes.get("image", ""),
            "Status": _PODMAN.get((self.kind, self.action), self.action),
            "Attributes": self.attributes,
        }
        if code.isdigit():
            table["ContainerExitCode"] = int(code)
        if "health_status" in self.attributes:
            table["HealthStatus"] = self.attributes["health_status"]
        return table

    def text(self, *, full: bool = True) -> str:
        """Return docker's line: time, kind, action, id, attributes."""
        whole, nanoseconds = divmod(self.time, 1000000000)
        local = time.localtime(whole)
        zone = time.strftime("%z", local)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", local)
        pairs = ", ".join(f"{key}={value}" for key, value in sorted(self.attributes.items()))
        # an image's label could bring a line break, and after it the line of another event
        about = "".join(c if c.isprintable() else repr(c)[1:-1] for c in pairs)
        identifier = self.id if full else self.id.removeprefix("sha256:")[:12]
        words = f"{self.kind} {self.docker_action} {identifier}".rstrip()
        tail = f" ({about})" if about else ""
        return f"{stamp}.{nanoseconds:09d}{zone[:3]}:{zone[3:]} {words}{tail}"


def read(
    data_dir: str,
    *,
    since: float | None = None,
    until: float | None = None,
    filters: Filters | None = None,
    stream: bool = True,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """Yield events from `since` to `until` (seconds since the epoch), oldest first.

    With `stream` it goes on with what happens until `until`, or for ever; without `since` it begins
    now.  Without `stream` it ends with what has happened, and begins with the oldest that is kept.
    `stop` is asked between two looks whether nobody reads any more.
    Raises UsageError for a filter that does not exist.
    """
    passes = _test(filters or {})
    first = since * 1e9 if since is not None else (time.time_ns() if stream else 0)
    last = until * 1e9 if until is not None else float("inf")
    # a file is opened before the call returns: nothing that happens afterwards is missed
    tails = _Tails(event_writer.directory(data_dir))
    begin = tails.more()

    def go() -> Iterator[Event]:
        found = begin
        with tails:
            while True:
                found.sort(key=lambda one: one.time)
                yield from (one for one in found if first <= one.time <= last and passes(one))
                if not stream or time.time_ns() > last or (stop is not None and stop()):
                    return
                time.sleep(min(_PAUSE, max(0.0, (last - time.time_ns()) / 1e9)))
                found = tails.more()

    return go()


class _Tails:
    """Open files of a directory, each read as far as it goes; also when they are renamed."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        # by device and inode: the name changes when a file makes room for a new one
        self.open: dict[tuple[int, int], tuple[int, bytearray]] = {}

    def __enter__(self) -> _Tails:
        return self

    def __exit__(self, *_: object) -> None:
        for fd, _held in self.open.values():
            os.close(fd)
        self.open = {}

    def more(self) -> list[Event]:
        """Return what was written since the last look."""
        found: list[Event] = []
        # the older file first: its last lines are older than the first ones of the new
        for key, (fd, held) in list(self.open.items()):
            self._read(fd, held, found)
            if not os.fstat(fd).st_nlink:
                os.close(fd)
                del self.open[key]
        for name in sorted(documents.names_in(self.directory), reverse=True):
            try:
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                status = os.stat(os.path.join(self.directory, name), follow_symlinks=False)
                key = (status.st_dev, status.st_ino)
                if key in self.open:
                    continue
                fd = os.open(os.path.join(self.directory, name), flags)
            except OSError:
                continue  # it made room just now; the next look finds it
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            if key in self.open:
                os.close(fd)
                continue
            self.open[key] = (fd, bytearray())
            self._read(*self.open[key], found)
        return found

    def _read(self, fd: int, held: bytearray, found: list[Event]) -> None:
        while part := os.read(fd, 1 << 20):
            held += part
        whole, _, rest = bytes(held).rpartition(b"\n")
        held[:] = rest
        for line in whole.split(b"\n"):
            one = _parse(line)
            if one is not None:
                found.append(one)


def _parse(line: bytes) -> Event | None:
    # on a full disk a line may have been cut; the next one then follows it without a break
    start = line.rfind(b'{"time":')
    if start < 0:
        return None
    try:
        return Event(documents.loads(line[start:].decode("utf-8", "replace")))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _test(filters: Filters) -> Callable[[Event], bool]:
    """All keys must pass, by any of a key's values; labels by all of them."""
    checks: dict[str, Callable[[Event, str], bool]] = {
        "container": lambda one, value: _is("container", one, value),
        "pod": lambda one, value: _is("pod", one, value),
        "volume": lambda one, value: _is("volume", one, value),
        "network": lambda one, value: _is("network", one, value),
        "image": _of_image,
        "event": lambda one, value: value in _words(one),
        "type": lambda one, value: one.kind == value,
        "id": lambda one, value: one.id.removeprefix("sha256:").startswith(value),
        "name": lambda one, value: one.name == value,
        "scope": lambda one, value: value == "local",
    }
    for key, values in filters.items():
        if key not in checks and key != "label":
            raise UsageError(f'unknown filter "{key}"', hint=", ".join(sorted([*checks, "label"])))
        if key == "type" and (unknown := [one for one in values if one not in _KINDS]):
            raise UsageError(f'unknown type "{unknown[0]}"', hint=", ".join(_KINDS))

    def passes(one: Event) -> bool:
        for key, values in filters.items():
            if key == "label":
                if not all(_label(one, value) for value in values):
                    return False
            elif not any(checks[key](one, value) for value in values):
                return False
        return True

    return passes


def _words(one: Event) -> set[str]:
    """Everything that the action is called, here and elsewhere."""
    key = (one.kind, one.action)
    words = {one.action, one.docker_action, _DOCKER.get(key, ""), _PODMAN.get(key, "")}
    return words | ({"exec_create"} if one.action == "exec" else set())


def _is(kind: str, one: Event, value: str) -> bool:
    if one.kind == kind:
        return bool(value) and (one.name == value or one.id.startswith(value))
    other = one.attributes.get(kind, "")  # a volume's event names the container
    return bool(value) and other.startswith(value)


def _of_image(one: Event, value: str) -> bool:
    name = one.name if one.kind == "image" else one.attributes.get("image", "")
    if one.kind == "image" and one.id.removeprefix("sha256:").startswith(value):
        return bool(value)
    wanted = value if ":" in value.rpartition("/")[2] or "@" in value else f"{value}:"
    return any(
        form == value or (wanted.endswith(":") and form.startswith(wanted))
        for form in (
            name,
            name.removeprefix("docker.io/"),
            name.removeprefix("docker.io/library/"),
            name.removeprefix("localhost/"),
        )  # fmt: skip
    )


def _label(one: Event, value: str) -> bool:
    name, equals, wanted = value.partition("=")
    return name in one.attributes and (not equals or one.attributes[name] == wanted)
