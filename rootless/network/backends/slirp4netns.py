"""A network of the container's own, led to the host's sockets by slirp4netns.

Source: slirp4netns(1).
"""

from __future__ import annotations

import os

from rootless import documents, host
from rootless.errors import HostError, UsageError
from rootless.network.backends.backend import Addresses, Backend, Network, Sidecar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.documents import Json
    from rootless.errors import RootlessError
    from rootless.network.ports import Port, PortRecord

_NAME = "slirp4netns"
_TUN = "/dev/net/tun"
_MTU = "1500"  # with 65520 some servers stall for seconds
_FLAGS = ("allow_host_loopback", "allow_link_local", "enable_ipv6")
_VALUES = (
    "mtu", "cidr", "outbound_addr", "outbound_addr6", "port_handler", "proxy_protocol", "retry",
)  # fmt: skip
# Who serves published ports: our own proxy, by podman's names for the one that it prefers as well.
_PROXY = ("proxy", "rootlesskit", "rootlessport")
# Where clouds give their machines secrets, and what is between neighbours of the host.
_LINK_LOCAL = ("169.254.0.0/16", "fd00:ec2::254/128")
_SOCKET = "slirp"  # of requests, in the directory of the container's sockets


def _program() -> str:
    return host.current().program(_NAME)


class Slirp4netns(Backend):
    """See the module."""

    name = _NAME
    works = "slirp4netns and /dev/net/tun are there"
    picture = (
        "tap0 in the container - slirp4netns, a process of yours - sockets of yours "
        "- the host's network"
    )
    waits = True
    publishes = True
    lost = "slirp4netns ended, and the network with it"
    noise = ("Support for seccomp is experimental",)
    devices = ((_TUN, "tun", "only --network none and host work"),)

    def why_not(self) -> tuple[str, str]:
        """It needs the program and the device."""
        if not _program():
            return "slirp4netns is not installed", "as root: apt-get install slirp4netns"
        if not os.access(_TUN, os.R_OK | os.W_OK):
            return f"{_TUN} cannot be opened", f"as root: modprobe tun; chmod 666 {_TUN}"
        return "", ""

    def diagnosis(self) -> tuple[bool, str, str] | None:
        """The program, and whether it can confine itself."""
        program = _program()
        if not program:
            text = "is not installed: only --network none and host work"
            return False, text, "as root: apt-get install slirp4netns"
        if not _sandbox_possible():
            text = "runs without its sandbox, because /etc/resolv.conf is a link that leads out of"
            return False, f"{program} {text} /etc and /run", ""
        return True, program, ""

    def parse(self, rest: str) -> Network | None:
        """Options, as in mtu=1400,cidr=10.7.0.0/24."""
        missing, remedy = self.why_not()
        if missing:
            raise HostError(f"--network slirp4netns: {missing}", hint=remedy)
        return Network(self, _options(rest))

    def addresses(self, options: dict[str, str]) -> Addresses:
        """Those of `cidr`, or of the usual network."""
        return Addresses(options.get("cidr", ""))

    def own_address(self, options: dict[str, str]) -> str:
        """The one of its device."""
        return self.addresses(options).container

    def name_servers(self, host: list[str], options: dict[str, str]) -> list[str]:
        """slirp4netns' own first: it asks those that only the host's loopback reaches."""
        reachable = [one for one in host if not one.startswith("127.") and one != "::1"]
        own = self.addresses(options).nameserver
        return [own, *(one for one in reachable if ":" not in one)]

    def settings(self, options: dict[str, str]) -> Json:
        """What `inspect` shows of addresses."""
        found = self.addresses(options)
        return {
            "IPAddress": found.container,
            "IPPrefixLen": found.prefix,
            "Gateway": found.gateway,
        }

    def sidecar(self, network: Network, ports: list[Port], directory: str) -> Sidecar | None:
        """slirp4netns, and our own program for published ports, or its requests for them."""
        if network.options.get("port_handler", _PROXY[0]) in _PROXY:
            argv = _arguments(network.options, "")
            return Sidecar(argv, ports=self._proxy(network.options, ports) if ports else ())
        if any(":" in port.host_ip for port in ports):
            raise UsageError(
                "slirp4netns' own port handler has no IPv6", hint="leave port_handler= out"
            )
        requests = [_request(port) for port in ports if port.protocol == "tcp"]
        address = self.addresses(network.options).container
        # helpers/programs/udp.c says why slirp4netns does not do it
        datagrams = [
            f"{port.host_ip or '0.0.0.0'}:{port.host_port}>{address}:{port.container_port}"
            for port in ports
            if port.protocol == "udp"
        ]
        socket = os.path.join(directory, _SOCKET) if requests else ""
        argv = _arguments(network.options, socket)
        return Sidecar(argv, socket=socket, requests=requests, datagrams=datagrams)

    def shared(self) -> list[str]:
        """With the defaults: what a network may do is decided before it comes here."""
        words = [_program(), "--configure", f"--mtu={_MTU}", "--disable-host-loopback"]
        if _sandbox_possible():
            words.append("--enable-sandbox")
        words += ["--enable-seccomp", "--netns-type=path", "--ready-fd=4", "--exit-fd=5"]
        return [*words, "/proc/self/fd/3", "tap0"]

    def _proxy(self, options: dict[str, str], ports: list[Port]) -> list[str]:
        from rootless.network.ports import proxy

        addresses = self.addresses(options)
        return proxy(
            ports,
            address=addresses.container,
            gateway=addresses.gateway,
            retry=options.get("retry", ""),
            header=options.get("proxy_protocol", ""),
        )

    def made(self, argv: Sequence[str]) -> bool:
        """By the name of the program."""
        return bool(argv) and os.path.basename(argv[0]) == _NAME

    def unreachable(self, options: dict[str, str]) -> Sequence[str]:
        """What means something to the host's neighbours only, unless it is asked for."""
        return () if options.get("allow_link_local") == "true" else _LINK_LOCAL

    def published(self, requests: Sequence[str]) -> list[PortRecord]:
        """Of TCP alone; those of UDP are published all the same."""
        found: list[PortRecord] = []
        for request in requests:
            given = documents.loads(request)["arguments"]
            found.append(
                {
                    "host_ip": given["host_addr"],
                    "host_port": given["host_port"],
                    "container_port": given["guest_port"],
                    "protocol": given["proto"],
                }
            )
        return found

    def did_not_start(self, reason: str) -> RootlessError | None:
        """The failure of slirp4netns itself."""
        return HostError(
            f"slirp4netns did not start: {reason}",
            hint="use --network none or host, or see rootless doctor",
        )

    def refused(self, request: str) -> RootlessError | None:
        """The failure of a port."""
        from rootless.network.ports import taken

        try:
            arguments = documents.loads(request)["arguments"]
            port = f"{arguments['host_addr']}:{arguments['host_port']}/{arguments['proto']}"
        except (ValueError, KeyError):
            port = request
        return taken(port, "it is in use")


def _options(text: str) -> dict[str, str]:
    table = {}
    for word in filter(None, text.split(",")):
        name, _, value = word.partition("=")
        if name not in _FLAGS + _VALUES:
            raise UsageError(
                f'unknown option "{word}" of slirp4netns', hint=", ".join(_FLAGS + _VALUES)
            )
        if name in _FLAGS and value not in ("true", "false", ""):
            raise UsageError(f'the option {name} of slirp4netns is true or false, not "{value}"')
        if name == "port_handler" and value not in (_NAME, *_PROXY):
            raise UsageError(
                f'the port handler "{value}" is not offered',
                hint=f"port_handler={_NAME}, or {_PROXY[0]}, which is the default",
            )
        if name == "retry" and (not value.isdigit() or len(value) > 4):
            raise UsageError(f'the option retry of slirp4netns is in seconds, not "{value}"')
        if name == "proxy_protocol" and value not in ("1", "2"):
            raise UsageError(f'the version "{value}" of the PROXY protocol is not 1 or 2')
        if name == "cidr":
            Addresses(value)
        if name == "mtu" and not value.isdigit():
            raise UsageError(f'the mtu "{value}" is not a number')
        table[name] = value or "true"
    return table


def _arguments(options: dict[str, str], socket: str) -> list[str]:
    """Program and arguments.  It starts as root of the container's user namespace, without which
    its sandbox cannot be made."""
    words = [_program(), "--configure", f"--mtu={options.get('mtu', _MTU)}"]
    if options.get("allow_host_loopback") != "true":
        # otherwise the gateway inside is the host's own loopback, with every service there
        words.append("--disable-host-loopback")
    if _sandbox_possible():
        words.append("--enable-sandbox")
    words.append("--enable-seccomp")
    if options.get("enable_ipv6") == "true":
        words.append("--enable-ipv6")
    for name in ("cidr", "outbound_addr", "outbound_addr6"):
        if name in options:
            words.append(f"--{name.replace('_', '-')}={options[name]}")
    words += ["--netns-type=path", "--ready-fd=@READY@", "--exit-fd=@EXIT@"]
    if socket:
        words.append(f"--api-socket={socket}")
    return [*words, "@NET@", "tap0"]


def _request(port: Port) -> bytes:
    """The JSON document that publishes a TCP port."""
    return documents.dumps(
        {
            "execute": "add_hostfwd",
            "arguments": {
                "proto": port.protocol,
                "host_addr": port.host_ip or "0.0.0.0",
                "host_port": port.host_port,
                "guest_port": port.container_port,
            },
        }
    ).encode()


def _sandbox_possible() -> bool:
    """In its sandbox slirp4netns sees only /etc and /run: resolv.conf must be there."""
    return os.path.realpath("/etc/resolv.conf").startswith(("/etc/", "/run/"))


BACKEND = Slirp4netns()
