"""Limits in docker's words -> numbers."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def size(text: str) -> int:
    """`64m`, `1.5g`, `4096` -> bytes; `-1` -> -1.  Raises UsageError."""
    word = text.strip().lower()
    if word == "-1":
        return -1
    digits = word.removesuffix("ib").removesuffix("b") if word[-1:] == "b" else word
    unit = digits[-1:] if digits[-1:] in "kmgt" else ""
    try:
        value = float(digits[: len(digits) - len(unit)])
    except ValueError:
        value = -1
    if value < 0:
        raise UsageError(f'invalid size "{text}"', hint="a number with b, k, m or g, as in 64m")
    return int(value * _UNITS[unit])


class Resources:
    """Limits; None where nothing was asked for.  Bytes, processes, microseconds per 100 ms."""

    __slots__ = ("cpu_quota", "cpuset", "memory", "pids", "swap")

    def __init__(self) -> None:
        self.memory: int | None = None
        self.swap: int | None = None
        self.cpu_quota: int | None = None
        self.cpuset: str = ""
        self.pids: int | None = None

    def any(self) -> bool:
        """Whether a limit was asked for."""
        return bool(self.cpuset) or any(
            getattr(self, name) is not None for name in ("memory", "swap", "cpu_quota", "pids")
        )

    def as_dict(self) -> Json:
        """As kept in container.json."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, table: Json) -> Resources:
        """The reverse of as_dict."""
        made = cls()
        for name in cls.__slots__:
            setattr(made, name, table.get(name, getattr(made, name)))
        return made

    def oci(self) -> Json:
        """linux.resources of the OCI configuration."""
        table: dict[str, Json] = {}
        if self.memory is not None:
            table["memory"] = {"limit": self.memory}
            if self.swap is not None:
                table["memory"]["swap"] = self.swap
        if self.cpu_quota is not None:
            table["cpu"] = {"quota": self.cpu_quota, "period": 100000}
        if self.cpuset:
            table.setdefault("cpu", {})["cpus"] = self.cpuset
        if self.pids is not None:
            table["pids"] = {"limit": self.pids}
        return table


def parse(
    *,
    memory: str | None = None,
    memory_swap: str | None = None,
    cpus: str | None = None,
    cpuset_cpus: str | None = None,
    pids_limit: int | None = None,
) -> Resources:
    """Raises UsageError for a value that cannot be meant."""
    made = Resources()
    if memory:
        made.memory = size(memory)
    if memory_swap:
        made.swap = size(memory_swap)
        if made.memory is None:
            raise UsageError("--memory-swap needs --memory")
        if made.swap != -1 and made.swap < made.memory:
            raise UsageError("--memory-swap is memory and swap together, so at least --memory")
    if cpus:
        try:
            made.cpu_quota = int(float(cpus) * 100000)
        except ValueError:
            made.cpu_quota = 0
        if made.cpu_quota <= 0:
            raise UsageError(f'invalid --cpus "{cpus}"', hint="a number such as 1.5")
    if cpuset_cpus:
        if not all(part.replace("-", "", 1).isdigit() for part in cpuset_cpus.split(",")):
            raise UsageError(f'invalid --cpuset-cpus "{cpuset_cpus}"', hint="as in 0-2,4")
        made.cpuset = cpuset_cpus
    if pids_limit is not None and pids_limit != 0:
        made.pids = pids_limit
    return made
