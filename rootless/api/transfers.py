"""Images on their way, with progress: pull, import, push, load, save."""

from __future__ import annotations

import io
import threading

from rootless.api import failures, passwords
from rootless.api.exchange import ApiError, ClientGone
from rootless.errors import ImageNotFound, RegistryError, UsageError
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json
    from rootless.engine.images.collection import Settings


class Lines(Progress):
    """Progress as docker's stream of JSON; the head of the answer goes out with the first line.

    Until then an error still is an answer of its own.
    """

    quiet = True
    _STEP = 1 << 19  # bytes between two lines of one part

    def __init__(self, exchange: Exchange, first: list[Json], doing: str, done: str) -> None:
        self._exchange = exchange
        self._first = first
        self._doing, self._done = doing, done
        self._lock = threading.Lock()
        self._parts: dict[str, list[int]] = {}
        self._names: dict[str, str] = {}
        self.gone = False

    def tell(self, value: Json) -> None:
        """A line.  A client that has gone is not told; what was begun goes on."""
        with self._lock:
            if self.gone:
                return
            try:
                if not self._exchange.answered:
                    self._exchange.stream("application/json")
                    for one in self._first:
                        self._exchange.line(one)
                self._exchange.line(value)
            except ClientGone:
                self.gone = True

    def start(self, key: str, label: str, total: int | None) -> None:
        """A part begins."""
        self._parts[key] = [0, 0, total or 0]
        self._names[key] = label.rpartition(" ")[2]
        text = "Pulling fs layer" if self._doing == "Downloading" else "Preparing"
        self.tell({"status": text, "progressDetail": {}, "id": self._names[key]})

    def advance(self, key: str, n: int) -> None:
        """Bytes of it are done."""
        part = self._parts.get(key)
        if part is None:
            return
        part[0] += n
        if part[0] - part[1] < self._STEP and part[0] != part[2]:
            return
        part[1] = part[0]
        detail = {"current": part[0], **({"total": part[2]} if part[2] else {})}
        whole = f"/{_size(part[2])}" if part[2] else ""
        self.tell(
            {
                "status": self._doing, "progressDetail": detail,
                "progress": f"{_size(part[0])}{whole}", "id": self._names[key],
            }
        )  # fmt: skip

    def finish(self, key: str, note: str = "") -> None:
        """A part is done."""
        if key not in self._names:
            return
        text = note.capitalize() if "exists" in note else self._done
        self.tell({"status": text, "progressDetail": {}, "id": self._names[key]})

    def fail(self, error: BaseException) -> None:
        """An error inside the stream; before it, it is raised again."""
        if not self._exchange.answered:
            raise error
        text = failures.sentence(error)
        code = getattr(error, "status", 0)
        self.tell(
            {"errorDetail": {**({"code": code} if code else {}), "message": text}, "error": text}
        )

    def end(self) -> None:
        """The end of the stream.  Raises ClientGone."""
        if self.gone:
            raise ClientGone
        self._exchange.finish()


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.4g}{unit}"
        value /= 1000
    return f"{value:.4g}GB"


def create(service: Service, exchange: Exchange, _: str) -> None:
    """POST /images/create: pull, or import with fromSrc."""
    if exchange.query.get("fromSrc"):
        _import(service, exchange)
        return
    name, tag = exchange.query.get("fromImage", ""), exchange.query.get("tag", "")
    if not name:
        raise UsageError("invalid reference format: no image was named")
    platform = platform_of(exchange)
    given = passwords.credentials(exchange)
    named = "@" in name or ":" in name.rpartition("/")[2]
    if tag:
        whole = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name.partition('@')[0]}:{tag}"
        if named and not tag.startswith("sha256:") and ":" in name.rpartition("/")[2]:
            whole = f"{name.rpartition(':')[0]}:{tag}"
        wanted = [whole]
    elif named:
        wanted = [name]
    else:
        # docker's clients name a tag, if not all of them are meant
        wanted = service.engine().images.names_in_registry([name], settings=_settings(given))
    exchange.body.whole()
    first: list[Json] = []
    lines = Lines(exchange, first, "Downloading", "Pull complete")
    engine = service.engine(lines)
    for one in wanted:
        shown, _, word = one.rpartition("@" if "@" in one else ":")
        begin = {"status": f"Pulling from {_repository(shown)}", "id": word}
        if exchange.answered:
            lines.tell(begin)
        else:
            first[:] = [begin]
        try:
            before = engine.images.get(one).id if engine.images.exists(one) else ""
            record = engine.images.pull(one, platform, settings=_settings(given) if given else None)
        except RegistryError as error:
            if exchange.answered:
                lines.fail(error)
                break
            raise _refused(error, shown) from None
        except ImageNotFound as error:
            if exchange.answered:
                lines.fail(error)
                break
            raise ApiError(404, failures.sentence(error)) from None
        except Exception as error:
            lines.fail(error)
            break
        digest = record.digests[0].rpartition("@")[2] if record.digests else record.manifest_digest
        newer = "Image is up to date" if before == record.id else "Downloaded newer image"
        lines.tell({"status": f"Digest: {digest}"})
        lines.tell({"status": f"Status: {newer} for {one}"})
    lines.end()


_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_MACHINES = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "loong64",
             "x86_64", "aarch64")  # fmt: skip


def platform_of(exchange: Exchange) -> str | None:
    """OS[/ARCH[/VARIANT]], or an architecture alone.  Raises UsageError."""
    text = exchange.query.get("platform", "")
    if not text:
        return None
    first, slash, rest = text.partition("/")
    known = first in _SYSTEMS if slash else first in (*_SYSTEMS, *_MACHINES)
    if not known or (slash and rest.partition("/")[0] not in _MACHINES):
        raise UsageError(f'invalid platform "{text}": unknown operating system or architecture')
    return text


def _settings(given: dict[str, str] | None) -> Settings:
    from rootless.engine.images import transfer

    return transfer.settings(given)


def _repository(name: str) -> str:
    """As docker shows it: library/busybox."""
    return name if "/" in name else f"library/{name}"


def _refused(error: RegistryError, name: str) -> ApiError:
    text = error.message
    if any(one in text for one in ("denied", "401", "unauthorized", "logged in")):
        return ApiError(
            404,
            f"pull access denied for {name}, repository does not exist or may require "
            f"'docker login': {text}",
        )
    if any(one in text for one in ("404", "not found", "unknown", "no such", "has no")):
        return ApiError(404, f"manifest for {name} not found: manifest unknown: {text}")
    return ApiError(500, text)


def _import(service: Service, exchange: Exchange) -> None:
    from rootless.api.images import lines as instructions

    query = exchange.query
    source, repository, tag = query["fromSrc"], query.get("repo", ""), query.get("tag", "")
    name = f"{repository}:{tag or 'latest'}" if repository else ""
    lines = Lines(exchange, [], "Importing", "Imported")
    try:
        record = service.engine(lines).images.import_image(
            incoming(exchange) if source == "-" else source,
            name,
            changes=instructions(exchange.queries.get("changes", [])),
            message=query.get("message", ""),
            platform=query.get("platform") or None,
        )
        lines.tell({"status": f"sha256:{record.id}"})
    except ClientGone:
        raise
    except Exception as error:
        lines.fail(error)
    lines.end()


def push(service: Service, exchange: Exchange, name: str) -> None:
    """POST /images/{name}/push."""
    exchange.body.whole()
    given = passwords.credentials(exchange)
    tag = exchange.query.get("tag", "")
    engine = service.engine()
    if tag:
        names = [f"{name}:{tag}"]
    elif ":" in name.rpartition("/")[2]:
        names = [name]
    else:
        # docker: all tags of the repository
        names = engine.images.tags_of(name)
        if not names:
            raise ApiError(404, f"An image does not exist locally with the tag: {name}")
    for one in names:
        engine.images.get(one)
    lines = Lines(
        exchange, [{"status": f"The push refers to repository [{name}]"}], "Pushing", "Pushed"
    )
    engine = service.engine(lines)
    for one in names:
        try:
            done = engine.images.push(one, None, given)
        except Exception as error:
            # docker's status of a push is always 200, the error is in the stream
            lines.tell({"status": "Preparing"}) if not exchange.answered else None
            lines.fail(error)
            break
        word = one.rpartition(":")[2]
        lines.tell({"status": f"{word}: digest: {done['Digest']} size: {done['Size']}"})
        lines.tell(
            {
                "progressDetail": {},
                "aux": {"Tag": word, "Digest": done["Digest"], "Size": done["Size"]},
            }
        )
    lines.end()


class Incoming(io.RawIOBase):
    """The body of a request as a file that is read once."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._body = exchange.body

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Some bytes; 0 at the end."""
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def incoming(exchange: Exchange) -> BinaryIO:
    """The body as a file."""
    made = io.BufferedReader(Incoming(exchange), 1 << 16)  # type: ignore[type-var,unused-ignore]
    return made  # type: ignore[return-value,unused-ignore]


class Outgoing(io.RawIOBase):
    """The answer as a file that is written once; the head goes out with the first bytes."""

    def __init__(self, exchange: Exchange, kind: str) -> None:
        super().__init__()
        self._exchange = exchange
        self._kind = kind

    def writable(self) -> bool:
        """It can be written."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Send them."""
        if not self._exchange.answered:
            self._exchange.stream(self._kind)
        self._exchange.write(data)
        return len(data)


def load(service: Service, exchange: Exchange, _: str) -> None:
    """POST /images/load."""
    from rootless.engine.images.local import familiar

    lines = Lines(exchange, [], "Loading layer", "Loaded layer")
    engine = service.engine() if exchange.flag("quiet") else service.engine(lines)
    try:
        for one in engine.images.load(incoming(exchange)):
            names = [familiar(name) for name in one.names]
            for name in names:
                lines.tell({"stream": f"Loaded image: {name}\n"})
            if not names:
                lines.tell({"stream": f"Loaded image ID: sha256:{one.id}\n"})
    except ClientGone:
        raise
    except Exception as error:
        # docker's status of a load is always 200, the error is in the stream
        text = failures.sentence(error)
        lines.tell({"errorDetail": {"message": text}, "error": text})
    lines.end()


def save(service: Service, exchange: Exchange, name: str) -> None:
    """GET /images/{name}/get."""
    _save(service, exchange, [name])


def save_several(service: Service, exchange: Exchange, _: str) -> None:
    """GET /images/get."""
    names = [one for text in exchange.queries.get("names", []) for one in text.split(",") if one]
    if not names:
        raise UsageError("no image was named")
    _save(service, exchange, names)


def _save(service: Service, exchange: Exchange, names: list[str]) -> None:
    engine = service.engine()
    whole: list[str] = []
    for one in names:
        found = engine.images.get(one)
        last = one.rpartition("/")[2]
        if ":" in last or found.id.startswith(one):
            whole.append(one)
        else:
            whole += engine.images.tags_of(one) or [one]
    target: io.RawIOBase = Outgoing(exchange, "application/x-tar")
    with io.BufferedWriter(target, 1 << 16) as file:
        engine.images.save(whole, file)
    exchange.finish()
