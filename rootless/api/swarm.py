"""What docker answers where there is no swarm; and plugins, of which there are none."""

from __future__ import annotations

from rootless.api.exchange import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service

_NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)


def not_a_manager(service: Service, exchange: Exchange, _: str) -> None:
    """Everything of a swarm."""
    raise ApiError(503, _NOT_A_MANAGER)


def not_in_swarm(service: Service, exchange: Exchange, _: str) -> None:
    """POST /swarm/leave."""
    raise ApiError(503, "This node is not part of a swarm")


def refused(service: Service, exchange: Exchange, _: str) -> None:
    """POST /swarm/init and /swarm/join."""
    raise ApiError(501, "there is no swarm here: a swarm needs a daemon")


def plugins(service: Service, exchange: Exchange, _: str) -> None:
    """GET /plugins."""
    exchange.json([])


def no_plugins(service: Service, exchange: Exchange, _: str) -> None:
    """Everything about one plugin."""
    if exchange.path == "/plugins/privileges" or exchange.head.method == "POST":
        raise ApiError(501, "there are no plugins here: a plugin needs a daemon")
    name = exchange.path.split("/")[2]
    raise ApiError(404, f'plugin "{name}" not found')
