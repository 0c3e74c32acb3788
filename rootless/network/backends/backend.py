"""What a network backend is, what it is asked, and what it answers with.

A backend gives a container its network.  Each has a module of its own beside this one, with an
object `BACKEND`; registry.py lists their names.  Code elsewhere asks a backend what it does and
never what it is called.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.errors import RootlessError
    from rootless.network.ports import Port, PortRecord

    class PlaceRecord(TypedDict):
        """A container's place on a network with a name; empty texts for what is not chosen."""

        name: str
        ip: str
        ip6: str
        mac: str
        interface: str
        aliases: list[str]


_CIDR = "10.0.2.0/24"


class Addresses:
    """Who has which address in a network of one container's own.

    `gateway` (the host, where that is allowed), `nameserver` and `container`.  They are
    counted from the network's own, as QEMU's user networking has them and what came after it.
    """

    __slots__ = ("container", "gateway", "nameserver", "prefix")

    def __init__(self, cidr: str = "") -> None:
        """Raises UsageError for what the program would refuse when the container starts."""
        text, _, prefix = (cidr or _CIDR).partition("/")
        parts = text.split(".")
        if len(parts) != 4 or not all(_is_number(one, 255) for one in parts):
            raise _wrong(cidr, "it is no network")
        if not _is_number(prefix, 32):
            raise _wrong(cidr, "it has no length")
        self.prefix = int(prefix)
        if not 1 <= self.prefix <= 25:
            raise _wrong(cidr, "its length is not between 1 and 25")
        number = 0
        for part in parts:
            number = number << 8 | int(part)
        if number & (1 << 32 - self.prefix) - 1:
            raise _wrong(cidr, f"it is an address of a network, and not /{prefix} itself")
        self.gateway = _text(number + 2)
        self.nameserver = _text(number + 3)
        self.container = _text(number + 100)


def _is_number(text: str, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= largest


def _text(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _wrong(cidr: str, why: str) -> UsageError:
    return UsageError(f'the cidr "{cidr}" cannot be used: {why}', hint=f"as in cidr={_CIDR}")


class Network:
    """What `--network` came to.

    `options`: of the backend; `target`: the container whose network is shared; `why`: how the
    backend was chosen, empty if it was asked for; `places`: on networks with names.
    """

    __slots__ = ("backend", "options", "places", "target", "why")

    def __init__(
        self,
        backend: Backend,
        options: dict[str, str] | None = None,
        target: str = "",
        why: str = "",
        places: list[PlaceRecord] | None = None,
    ) -> None:
        self.places = places or []
        self.backend = backend
        self.options = options or {}
        self.target = target
        self.why = why

    @property
    def name(self) -> str:
        """The backend's, as records and listings have it."""
        return self.backend.name

    def addresses(self) -> Addresses:
        """Who has which address in it."""
        return self.backend.addresses(self.options)


class Sidecar:
    """A program that runs beside a container for its network.

    The monitor starts it as root of the container's user namespace, in the host's network
    namespace.  In `argv` it replaces @NET@ by the path of the container's network namespace,
    @READY@ by a descriptor to which the program writes a byte when it is ready, and @EXIT@ by one
    that is closed when the program is to end.  `requests` go to `socket`, one each connection, when
    it is ready; an answer with an error is a failure.  `ports`: words for our own program that
    serves published ports (helpers/programs/ports.c); `datagrams`: UDP ports, HOST-IP:PORT>IP:PORT,
    for the simpler one beside a sidecar that serves TCP itself (helpers/programs/udp.c).
    """

    __slots__ = ("argv", "datagrams", "ports", "requests", "socket")

    def __init__(
        self,
        argv: Sequence[str],
        *,
        socket: str = "",
        requests: Sequence[bytes] = (),
        ports: Sequence[str] = (),
        datagrams: Sequence[str] = (),
    ) -> None:
        self.argv = argv
        self.socket = socket
        self.requests = requests
        self.ports = ports
        self.datagrams = datagrams


class Backend:
    """The base: a network namespace of the container's own in which there is nothing."""

    name = ""
    usage = ""
    """How it is written after --network, where that is not its name alone."""
    works = ""
    """Why it was chosen where nothing was asked for."""
    named = False
    """The container is on networks with names."""
    picture = ""
    """What `explain` says of the way out."""

    shares_host = False
    """The container has the host's network namespace."""
    joins = False
    """The container has another container's."""
    isolated = False
    """Nothing can be reached, and nobody can reach it."""
    counts = True
    """What goes through its devices is the container's own traffic."""
    waits = False
    """There is a sidecar, and the command waits until it is ready."""
    publishes = False
    """It publishes ports."""
    unpublished = ""
    """Why it does not."""
    lost = ""
    """What happened when the sidecar has ended and the container has not."""
    noise: tuple[str, ...] = ()
    """Parts of lines that its sidecar writes although nothing is wrong."""
    devices: tuple[tuple[str, str, str], ...] = ()
    """Devices of the host that it needs: path, kernel module, what is left without it."""

    def why_not(self) -> tuple[str, str]:
        """Why it cannot work on this host, and what would help; two empty texts if it can."""
        return "", ""

    def diagnosis(self) -> tuple[bool, str, str] | None:
        """For `doctor`: whether all is well, a sentence, what would help; None: nothing to say."""
        return None

    def parse(self, rest: str) -> Network | None:
        """What `--network NAME:rest` means; None for nothing.  Raises UsageError, HostError."""
        return None if rest else Network(self)

    def addresses(self, options: dict[str, str]) -> Addresses:
        """Who has which address.  Also where there is none: for the host's name in /etc/hosts."""
        return Addresses()

    def own_address(self, options: dict[str, str]) -> str:
        """The address beside the container's own names in /etc/hosts."""
        return "127.0.1.1"

    def name_servers(self, host: list[str], options: dict[str, str]) -> list[str]:
        """Those of resolv.conf, given the host's."""
        return host

    def settings(self, options: dict[str, str]) -> Json:
        """What `inspect` shows of addresses."""
        return {"IPAddress": "", "IPPrefixLen": 0, "Gateway": ""}

    def sidecar(self, network: Network, ports: list[Port], directory: str) -> Sidecar | None:
        """The program beside the container.  `directory`: for its sockets."""
        return None

    def shared(self) -> list[str]:
        """The program that leads out of a namespace which many containers share: it has that as
        descriptor 3, says on 4 that it is ready, and ends when 5 does."""
        return []

    def made(self, argv: Sequence[str]) -> bool:
        """Whether a sidecar with these arguments is one of this backend's."""
        return False

    def unreachable(self, options: dict[str, str]) -> Sequence[str]:
        """Networks, ADDRESS/LENGTH, that nothing in the container's network reaches."""
        return ()

    def published(self, requests: Sequence[str]) -> list[PortRecord]:
        """The ports that these requests to the sidecar publish."""
        return []

    def did_not_start(self, reason: str) -> RootlessError | None:
        """The failure of a sidecar.  `reason`: what it said, or the kernel."""
        return None

    def refused(self, request: str) -> RootlessError | None:
        """The failure of a request to the sidecar."""
        return None
