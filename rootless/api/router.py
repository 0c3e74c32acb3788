"""Which function answers which request.

Scope: the table of paths, the versions before them, and errors as answers.  The functions are in
modules by subject, which are loaded when they are first asked for.
"""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, unquote

from rootless.api.exchange import NEWEST, NEWEST_TEXT, OLDEST, ApiError, ClientGone
from rootless.api.head import BadHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service

    Answer = Callable[[Service, Exchange, str], None]

_NOT_SWARM = "swarm:not_a_manager"

# {name} is what is asked about; an image's name may have slashes, so it is looked for from the end
_TABLE = """
GET     /_ping                          system:ping
HEAD    /_ping                          system:ping
GET     /version                        system:version
GET     /info                           system:info
GET     /events                         system:events
GET     /system/df                      system:df
POST    /auth                           system:auth
GET     /containers/json                containers:listed
POST    /containers/create              creating:create
POST    /containers/prune               containers:prune
GET     /containers/{}/json             containers:inspect
DELETE  /containers/{}                  containers:remove
GET     /containers/{}/top              containers:top
GET     /containers/{}/logs             streams:logs
GET     /containers/{}/changes          containers:changes
GET     /containers/{}/export           archives:export
GET     /containers/{}/stats            stats:stats
POST    /containers/{}/resize           streams:resize
POST    /containers/{}/start            containers:start
POST    /containers/{}/stop             containers:stop
POST    /containers/{}/restart          containers:restart
POST    /containers/{}/kill             containers:kill
POST    /containers/{}/update           containers:update
POST    /containers/{}/rename           containers:rename
POST    /containers/{}/pause            containers:pause
POST    /containers/{}/unpause          containers:unpause
POST    /containers/{}/wait             streams:wait
POST    /containers/{}/attach           streams:attach
HEAD    /containers/{}/archive          archives:look
GET     /containers/{}/archive          archives:get
PUT     /containers/{}/archive          archives:put
POST    /containers/{}/exec             execs:create
GET     /exec/{}/json                   execs:inspect
POST    /exec/{}/start                  execs:start
POST    /exec/{}/resize                 execs:resize
POST    /commit                         images:commit
GET     /images/json                    images:list_
POST    /images/create                  transfers:create
POST    /images/load                    transfers:load
GET     /images/get                     transfers:save_several
GET     /images/search                  images:search
POST    /images/prune                   images:prune
GET     /images/{}/json                 images:inspect
GET     /images/{}/history              images:history
GET     /images/{}/get                  transfers:save
POST    /images/{}/push                 transfers:push
POST    /images/{}/tag                  images:tag
DELETE  /images/{}                      images:remove
GET     /distribution/{}/json           images:distribution
POST    /build                          building:build
POST    /build/prune                    building:prune
POST    /build/cancel                   building:cancel
GET     /volumes                        volumes:list_
POST    /volumes/create                 volumes:create
POST    /volumes/prune                  volumes:prune
GET     /volumes/{}                     volumes:inspect
DELETE  /volumes/{}                     volumes:remove
GET     /networks                       networks:list_
POST    /networks/create                networks:create
POST    /networks/prune                 networks:prune
GET     /networks/{}                    networks:inspect
DELETE  /networks/{}                    networks:remove
POST    /networks/{}/connect            networks:connect
POST    /networks/{}/disconnect         networks:disconnect
GET     /plugins                        swarm:plugins
GET     /swarm                          swarm:not_a_manager
POST    /swarm/init                     swarm:refused
POST    /swarm/join                     swarm:refused
POST    /swarm/leave                    swarm:not_in_swarm
POST    /swarm/update                   swarm:not_a_manager
GET     /swarm/unlockkey                swarm:not_a_manager
POST    /swarm/unlock                   swarm:not_a_manager
"""
# everything below these is swarm's
_SWARM = ("nodes", "services", "tasks", "secrets", "configs")


class _Route:
    __slots__ = ("after", "before", "exact", "place")

    def __init__(self, path: str, place: str) -> None:
        before, hole, after = path.partition("{}")
        self.before, self.after, self.exact = before, after, not hole
        self.place = place


def _routes() -> dict[str, list[_Route]]:
    made: dict[str, list[_Route]] = {}
    for line in _TABLE.split("\n"):
        if line:
            method, path, place = line.split()
            made.setdefault(method, []).append(_Route(path, place))
    return made


_ROUTES = _routes()


def answer(service: Service, exchange: Exchange) -> None:
    """Answer one request, also with what went wrong.  Raises ClientGone, BadHead."""
    from rootless.api import failures

    try:
        found, name = _find(exchange)
        found(service, exchange, name)
    except (ClientGone, BadHead):
        raise
    except Exception as error:
        code = failures.status(error)
        if code == 500 and service.debug:
            import traceback

            traceback.print_exc(file=sys.stderr)
        if exchange.answered:
            # the status is sent; a stream that ends without its last chunk tells that it failed
            raise ClientGone from error
        exchange.json({"message": failures.sentence(error)}, code)


def _find(exchange: Exchange) -> tuple[Answer, str]:
    if "origin" in exchange.head.headers:
        # a web page in the user's own browser can reach a port of the loopback, and the browser is
        # the user's process; docker's clients send no such header
        raise ApiError(403, "requests of web pages are not answered")
    path, _, query = exchange.head.target.partition("?")
    if path.startswith("http://"):
        # absolute-form, RFC 9112, 3.2.2
        path = "/" + path[7:].partition("/")[2]
    exchange.version = NEWEST
    path = _without_version(exchange, path)
    exchange.path = path
    exchange.queries = parse_qs(query, keep_blank_values=True, max_num_fields=1000)
    exchange.query = {name: values[-1] for name, values in exchange.queries.items()}
    method = exchange.head.method
    best = _match(method, path)
    if best is not None:
        return _load(best[0].place), unquote(best[1])
    first = path.split("/")[1] if path.startswith("/") else ""
    if first in _SWARM:
        return _load(_NOT_SWARM), ""
    if first == "plugins":
        return _load("swarm:no_plugins"), ""
    if any(_match(other, path) for other in _ROUTES if other != method):
        raise ApiError(405, f"{method} is no method of {path}")
    raise ApiError(404, "page not found")


def _match(method: str, path: str) -> tuple[_Route, str] | None:
    for route in _ROUTES.get(method, ()):
        if route.exact:
            if path == route.before:
                return route, ""
        elif path.startswith(route.before) and path.endswith(route.after):
            name = path[len(route.before) : len(path) - len(route.after)]
            # the names of images and of what a registry has may contain slashes
            deep = route.before in ("/images/", "/distribution/")
            if name and ("/" not in name or deep):
                return route, name
    return None


def _without_version(exchange: Exchange, path: str) -> str:
    """Take /v1.41 off; raises ApiError for a version that is not spoken here."""
    if not path.startswith("/v"):
        return path
    word, slash, rest = path[2:].partition("/")
    major, dot, minor = word.partition(".")
    if not dot or not major.isdigit() or not minor.isdigit() or not slash:
        return path
    asked = (int(major), int(minor))
    if asked > NEWEST:
        raise ApiError(
            400,
            f"client version {word} is too new. Maximum supported API version is {NEWEST_TEXT}",
        )
    if asked < OLDEST:
        raise ApiError(
            400,
            f"client version {word} is too old. Minimum supported API version is "
            f"{OLDEST[0]}.{OLDEST[1]}, please upgrade your client to a newer version",
        )
    exchange.version = asked
    return "/" + rest


def _load(place: str) -> Answer:
    module, _, name = place.partition(":")
    # importlib would bring more than what is asked for
    loaded = __import__("rootless.api." + module, fromlist=[name])
    found: Answer = getattr(loaded, name)
    return found
