"""resolv.conf and hosts of a container."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.backends.backend import Network


def resolv_conf(
    host_text: str, network: Network, dns: list[str], search: list[str], options: list[str]
) -> str:
    """The host's, with what was asked for instead, and name servers that the network reaches."""
    for one in dns:
        if one != "none" and not _is_address(one):
            raise UsageError(f'invalid --dns "{one}"', hint="the address of a name server, or none")
    servers, searches, others = [], [], []
    for line in host_text.splitlines():
        words = line.split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            others += words[1:]
    servers = dns or network.backend.name_servers(servers, network.options)
    # a name of a container is whole: it would be asked with each of the host's domains first
    searches = search or ([] if network.backend.named else searches)
    others = options or others
    lines = [f"nameserver {one}" for one in servers[:3] if one != "none"]
    if searches and searches != ["."]:
        lines.insert(0, "search " + " ".join(searches))
    if others:
        lines.append("options " + " ".join(others))
    return "".join(line + "\n" for line in lines)


def _is_address(text: str) -> bool:
    import _socket

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text.partition("%")[0])
            return True
        except OSError:
            continue
    return False


def hosts(hostname: str, name: str, network: Network, add_host: list[str]) -> str:
    """/etc/hosts with the container's own names and those of --add-host.  Raises UsageError."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
    ]
    for word in add_host:
        alias, colon, address = word.partition(":")
        if not colon or not alias or not (address == "host-gateway" or _is_address(address)):
            raise UsageError(f'invalid --add-host "{word}"', hint="NAME:ADDRESS, as in db:10.1.2.3")
        if address == "host-gateway":
            address = network.addresses().gateway
        lines.append(f"{address}\t{alias}")
    own = " ".join(dict.fromkeys(one for one in (hostname, name) if one))
    lines.append(f"{network.backend.own_address(network.options)}\t{own}")
    return "".join(line + "\n" for line in lines)
