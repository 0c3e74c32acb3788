"""How slirp4netns is started.  Source: slirp4netns(1)."""

from __future__ import annotations

import os

from rootless import documents, host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.modes import NetworkMode
    from rootless.network.ports import Port

_MTU = "1500"  # with 65520 some servers stall for seconds


class SlirpPlan:
    """The command line and the requests that publish ports.

    The monitor replaces @PID@, @READY@ and @EXIT@, and starts the program as root of the
    container's user namespace, without which its sandbox cannot be made.
    """

    def __init__(self, mode: NetworkMode, ports: list[Port], api_socket: str) -> None:
        self.mode = mode
        self.ports = ports
        self.api_socket = api_socket

    def argv(self) -> list[str]:
        """Program and arguments."""
        options = self.mode.options
        words = [host.current().slirp4netns, "--configure", f"--mtu={options.get('mtu', _MTU)}"]
        if options.get("allow_host_loopback") != "true":
            # otherwise the gateway inside is the host's own loopback, with every service there
            words.append("--disable-host-loopback")
        if sandbox_possible():
            words.append("--enable-sandbox")
        words.append("--enable-seccomp")
        if options.get("enable_ipv6") == "true":
            words.append("--enable-ipv6")
        for name in ("cidr", "outbound_addr", "outbound_addr6"):
            if name in options:
                words.append(f"--{name.replace('_', '-')}={options[name]}")
        words += ["--netns-type=path", "--ready-fd=@READY@", "--exit-fd=@EXIT@"]
        if self.requests():
            words.append(f"--api-socket={self.api_socket}")
        return [*words, "/proc/@PID@/ns/net", "tap0"]

    def requests(self) -> list[bytes]:
        """One JSON document per published TCP port."""
        return [
            documents.dumps(
                {
                    "execute": "add_hostfwd",
                    "arguments": {
                        "proto": port.protocol,
                        "host_addr": port.host_ip,
                        "host_port": port.host_port,
                        "guest_port": port.container_port,
                    },
                }
            ).encode()
            for port in self.ports
            if port.protocol == "tcp"
        ]

    def datagrams(self) -> list[str]:
        """`HOST-IP:PORT>IP:PORT` of published UDP ports; helpers/programs/udp.c says why."""
        address = self.address()
        return [
            f"{port.host_ip}:{port.host_port}>{address}:{port.container_port}"
            for port in self.ports
            if port.protocol == "udp"
        ]

    def address(self) -> str:
        """The container's own."""
        return self.mode.addresses().container


def sandbox_possible() -> bool:
    """In its sandbox slirp4netns sees only /etc and /run: resolv.conf must be there."""
    return os.path.realpath("/etc/resolv.conf").startswith(("/etc/", "/run/"))
