"""POST /build by docker's classic protocol, as a client of `engine.images.build`."""

from __future__ import annotations

from rootless import documents
from rootless.api.exchange import ApiError, ClientGone
from rootless.api.transfers import Lines, incoming, platform_of
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json

# these mean nothing here, or hold anyway
_IGNORED = (
    "rm", "forcerm", "version", "networkmode", "t", "dockerfile", "remote", "q", "nocache", "pull",
    "buildargs", "labels", "target", "platform", "extrahosts", "shmsize", "buildid", "session",
    "cachefrom",
)  # fmt: skip
_LIMITS = ("memory", "memswap", "cpushares", "cpusetcpus", "cpusetmems", "cpuperiod", "cpuquota",
           "cgroupparent", "ulimits", "squash", "isolation", "outputs")  # fmt: skip


def build(service: Service, exchange: Exchange, _: str) -> None:
    """POST /build."""
    query = exchange.query
    if query.get("version", "1") == "2":
        raise UsageError("this service builds by the classic protocol; set DOCKER_BUILDKIT=0")
    for key, value in query.items():
        if key in _IGNORED:
            continue
        empty = value in ("", "0", "[]", "{}", "null", "default", "false", "-1")
        if key in _LIMITS and not empty:
            raise UsageError(f"{key} of a build is not supported")
    remote = query.get("remote", "")
    words: dict[str, Json] = {
        "tag": exchange.queries.get("t", []),
        "dockerfile": query.get("dockerfile") or None,
        "buildargs": _args(query.get("buildargs", "")),
        "labels": _table(query.get("labels", ""), "labels"),
        "target": query.get("target") or None,
        "nocache": exchange.flag("nocache"),
        "pull": exchange.flag("pull"),
        "platform": platform_of(exchange),
        "quiet": exchange.flag("q"),
        "extra_hosts": _hosts(exchange.queries.get("extrahosts", [])),
        "shmsize": exchange.integer("shmsize") or None,
    }
    mode = query.get("networkmode", "")
    if mode not in ("", "default", "bridge"):
        words["network_mode"] = mode
    if remote:
        exchange.body.whole()
        words["path"] = remote
    else:
        words["fileobj"] = incoming(exchange)
        words["custom_context"] = True
    lines = Lines(exchange, [], "Downloading", "Pull complete")
    try:
        engine = service.engine()
        # docker: what is named is the only cache; ours has the steps of all builds
        sources = _list(query.get("cachefrom", ""))
        if sources and not any(engine.images.exists(one) for one in sources):
            words["nocache"] = True
        image, _told = engine.images.build(on_line=lines.tell, red=True, **words)
        if exchange.flag("q"):
            lines.tell({"stream": f"sha256:{image.id}\n"})
        for one in words["tag"]:
            lines.tell({"stream": f"Successfully tagged {_tagged(one)}\n"})
    except ClientGone:
        raise
    except Exception as error:
        lines.fail(error)
    lines.end()


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _table(text: str, key: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = documents.loads(text)
    except ValueError:
        raise UsageError(f"{key} of a build is no JSON") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{key} of a build is no object")
    return {str(name): "" if value is None else str(value) for name, value in found.items()}


def _list(text: str) -> list[str]:
    try:
        found = documents.loads(text) if text else []
    except ValueError:
        raise UsageError("cachefrom of a build is no JSON") from None
    return [str(one) for one in found] if isinstance(found, list) else []


def _args(text: str) -> dict[str, str]:
    """Arguments; one without a value is as if it was not given."""
    if not text:
        return {}
    try:
        found = documents.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError("buildargs of a build is no object")
    return {str(name): str(value) for name, value in found.items() if value is not None}


def _hosts(found: list[str]) -> dict[str, str]:
    made = {}
    for one in found:
        name, _, address = one.partition(":")
        made[name] = address
    return made


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /build/prune."""
    from rootless.engine.build import cache

    filters = exchange.filters()
    until = None
    for key, values in filters.items():
        if key not in ("until", "unused-for"):
            raise UsageError(f"invalid filter '{key}'")
        until = cache.seconds(values[0])
    keep = exchange.integer("keep-storage") or exchange.integer("reserved-space") or 0
    told = cache.prune(service.engine(), all=exchange.flag("all"), keep=keep, until=until)
    exchange.json(
        {
            "CachesDeleted": told["CachesDeleted"] or None,
            "SpaceReclaimed": told["SpaceReclaimed"],
        }
    )


def cancel(service: Service, exchange: Exchange, _: str) -> None:
    """POST /build/cancel: classic builds end with their connection."""
    raise ApiError(404, "there is no build of this id")
