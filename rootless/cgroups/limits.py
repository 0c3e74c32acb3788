"""Limits: docker's options -> numbers -> the OCI configuration and the files of cgroup version 2.

Source: docker-run(1), runtime-spec 1.2 config-linux.md "Control groups", kernel documentation
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from rootless.documents import Json

    class ResourcesRecord(TypedDict, total=False):
        """Limits as container.json keeps them: those that were asked for."""

        memory: int | None
        swap: int | None
        reservation: int | None
        cpu_quota: int | None
        cpu_period: int | None
        cpu_shares: int | None
        pids: int | None
        io_weight: int | None
        cpuset: str
        mems: str
        io: dict[str, dict[str, int]]
        weights: dict[str, int]
        unified: dict[str, str]


_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
PERIOD = 100000  # microseconds; the kernel's own default
RATES = ("rbps", "wbps", "riops", "wiops")


def size(text: str) -> int:
    """Return bytes of a size: `64m`, `1.5g`, `4096`; -1 for `-1`.  Raises UsageError."""
    word = text.strip().lower()
    if word == "-1":
        return -1
    digits = word.removesuffix("ib").removesuffix("b") if word[-1:] == "b" else word
    unit = digits[-1:] if digits[-1:] in "kmgt" else ""
    try:
        value = float(digits[: len(digits) - len(unit)])
    except ValueError:
        value = -1
    if value < 0 or value == float("inf"):
        raise UsageError(f'invalid size "{text}"', hint="a number with b, k, m or g, as in 64m")
    return int(value * _UNITS[unit])


class Resources:
    """Limits; None or empty where nothing was asked for.

    Bytes, processes, microseconds; weights as docker's (`cpu_shares` 2-262144, `io_weight`
    10-1000); `io` is {"major:minor": {"rbps": …}}, `weights` {"major:minor": 10-1000}; `unified` is
    files of cgroup version 2 by name, written as they are.
    """

    _NUMBERS = ("memory", "swap", "reservation", "cpu_quota", "cpu_period", "cpu_shares", "pids",
                "io_weight")  # fmt: skip
    _TEXTS = ("cpuset", "mems")
    _TABLES = ("io", "weights", "unified")
    __slots__ = (*_NUMBERS, *_TEXTS, *_TABLES)

    def __init__(self) -> None:
        self.memory: int | None = None
        self.swap: int | None = None
        self.reservation: int | None = None
        self.cpu_quota: int | None = None
        self.cpu_period: int | None = None
        self.cpu_shares: int | None = None
        self.pids: int | None = None
        self.io_weight: int | None = None
        self.cpuset = ""
        self.mems = ""
        self.io: dict[str, dict[str, int]] = {}
        self.weights: dict[str, int] = {}
        self.unified: dict[str, str] = {}

    def any(self) -> bool:
        """Return whether a limit was asked for."""
        return any(getattr(self, name) is not None for name in self._NUMBERS) or any(
            getattr(self, name) for name in (*self._TEXTS, *self._TABLES)
        )

    def as_dict(self) -> ResourcesRecord:
        """Return what was asked for, as container.json keeps it."""
        found: Json = {
            name: getattr(self, name)
            for name in self.__slots__
            if getattr(self, name) not in (None, "", {})
        }
        record: ResourcesRecord = found
        return record

    @classmethod
    def from_dict(cls, table: ResourcesRecord) -> Resources:
        """Make limits from what `as_dict` returned."""
        made = cls()
        given: Mapping[str, object] = table
        for name in cls.__slots__:
            setattr(made, name, given.get(name, getattr(made, name)))
        return made

    def merged(self, newer: Resources) -> Resources:
        """Return these limits, where `newer` has nothing to say about them."""
        table: ResourcesRecord = {**self.as_dict(), **newer.as_dict()}
        table["io"] = {
            device: {**self.io.get(device, {}), **newer.io.get(device, {})}
            for device in {**self.io, **newer.io}
        }
        return Resources.from_dict(table)

    def controllers(self) -> set[str]:
        """Return the controllers that these limits need."""
        wanted = {
            "memory": (self.memory, self.swap, self.reservation),
            "cpu": (self.cpu_quota, self.cpu_period, self.cpu_shares),
            "cpuset": (self.cpuset or None, self.mems or None),
            "pids": (self.pids,),
            "io": (self.io_weight, self.io or None, self.weights or None),
        }
        found = {name for name, values in wanted.items() if any(v is not None for v in values)}
        return found | {name.partition(".")[0] for name in self.unified} - {"cgroup"}

    def oci(self) -> Json:
        """Return linux.resources of the OCI configuration."""
        memory = {"limit": self.memory, "swap": self.swap, "reservation": self.reservation}
        cpu = {
            "quota": self.cpu_quota,
            "period": self.cpu_period or (PERIOD if self.cpu_quota else None),
            "shares": self.cpu_shares,
            "cpus": self.cpuset or None,
            "mems": self.mems or None,
        }
        names = ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")
        block: dict[str, Json] = {"weight": self.io_weight}
        for name, rate in zip(names, RATES, strict=True):
            block[f"throttle{name}Device"] = [
                {**_device(device), "rate": rates[rate]}
                for device, rates in self.io.items()
                if rate in rates
            ]
        block["weightDevice"] = [
            {**_device(device), "weight": weight} for device, weight in self.weights.items()
        ]
        table = {
            "memory": _given(memory),
            "cpu": _given(cpu),
            "pids": _given({"limit": self.pids}),
            "blockIO": _given(block),
            "unified": self.unified,
        }
        return {name: value for name, value in table.items() if value}


def _given(table: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in table.items() if value not in (None, [])}


def _device(number: str) -> Json:
    major, _, minor = number.partition(":")
    return {"major": int(major), "minor": int(minor)}


def cpu_weight(shares: int) -> int:
    """Convert shares of version 1 (2 to 262144) to the weight of version 2 (1 to 10000).

    The curve goes through (2, 1), (1024, 100) and (262144, 10000), so that the default stays the
    default.  Source: the OCI cgroups library, "ConvertCPUSharesToCgroupV2Value".
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    import math

    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """Convert the weight of version 1 (10 to 1000) to io.weight (1 to 10000)."""
    return 1 + (weight - 10) * 9999 // 990


def files(limits: Resources) -> list[tuple[str, str]]:
    """Return the writes that put these limits into a cgroup's files; `-1` means no limit."""
    found: list[tuple[str, str]] = []

    def most(value: int) -> str:
        return "max" if value < 0 else str(value)

    # swap first would be refused where it is more than the memory that is there now
    if limits.memory is not None:
        found.append(("memory.max", most(limits.memory)))
    if limits.swap is not None:
        alone = -1 if limits.swap < 0 else limits.swap - max(limits.memory or 0, 0)
        found.append(("memory.swap.max", most(alone)))
    if limits.reservation is not None:
        found.append(("memory.low", str(max(limits.reservation, 0))))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = limits.cpu_quota if limits.cpu_quota is not None else -1
        found.append(("cpu.max", f"{most(quota or -1)} {limits.cpu_period or PERIOD}"))
    if limits.cpu_shares:
        found.append(("cpu.weight", str(cpu_weight(limits.cpu_shares))))
    if limits.cpuset:
        found.append(("cpuset.cpus", limits.cpuset))
    if limits.mems:
        found.append(("cpuset.mems", limits.mems))
    if limits.pids is not None:
        found.append(("pids.max", most(limits.pids or -1)))
    if limits.io_weight:
        found.append(("io.weight", f"default {io_weight(limits.io_weight)}"))
    found += [("io.weight", f"{name} {io_weight(one)}") for name, one in limits.weights.items()]
    for device, rates in limits.io.items():
        words = " ".join(f"{name}={most(rate or -1)}" for name, rate in rates.items())
        found.append(("io.max", f"{device} {words}"))
    for name, value in limits.unified.items():
        # the kernel takes one line of a nested table in a write
        found += [(name, line) for line in value.splitlines() or [""]]
    return found


def _number(name: str, text: str | int | None, least: int, most: int) -> int | None:
    if text is None or text == "":
        return None
    flag = "--" + name.replace("_", "-")
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f'invalid {flag} "{text}"', hint="a whole number") from None
    if not least <= value <= most:
        raise UsageError(f"{flag} {value} is not between {least} and {most}")
    return value


def _block_device(flag: str, path: str) -> str:
    import stat

    try:
        found = os.stat(path)
    except OSError as error:
        raise UsageError(f"{flag}: {path}: {error.strerror}") from None
    if not stat.S_ISBLK(found.st_mode):
        raise UsageError(f"{flag}: {path} is not a block device", hint="as in /dev/sda:1mb")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _per_device(made: Resources, words: dict[str, list[str]]) -> None:
    for name, rate in (("device_read_bps", "rbps"), ("device_write_bps", "wbps"),
                       ("device_read_iops", "riops"), ("device_write_iops", "wiops")):  # fmt: skip
        flag = "--" + name.replace("_", "-")
        for word in words.get(name, []):
            path, _, value = word.rpartition(":")
            if not path:
                raise UsageError(f'invalid {flag} "{word}"', hint="as in /dev/sda:1mb")
            table = made.io.setdefault(_block_device(flag, path), {})
            table[rate] = (
                size(value) if rate.endswith("bps") else int(_number(name, value, 0, 1 << 62) or 0)
            )
    for word in words.get("blkio_weight_device", []):
        path, _, value = word.rpartition(":")
        device = _block_device("--blkio-weight-device", path)
        made.weights[device] = int(_number("blkio_weight_device", value, 10, 1000) or 10)


def _cpus(text: str | float) -> int:
    try:
        quota = int(float(text) * PERIOD)
    except (ValueError, OverflowError):
        quota = 0
    if quota < 1000:  # the kernel's least
        raise UsageError(f'invalid --cpus "{text}"', hint="a number such as 1.5, at least 0.01")
    return quota


def _list(flag: str, text: str) -> str:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and (not last.isdigit() or int(last) < int(first))):
            raise UsageError(f'invalid {flag} "{text}"', hint="as in 0-2,4")
    return text


def parse(
    *,
    memory: str | None = None,
    memory_swap: str | None = None,
    memory_reservation: str | None = None,
    cpus: str | None = None,
    cpu_shares: int | None = None,
    cpu_period: int | None = None,
    cpu_quota: int | None = None,
    cpuset_cpus: str | None = None,
    cpuset_mems: str | None = None,
    pids_limit: int | None = None,
    blkio_weight: int | None = None,
    cgroup_conf: list[str] | None = None,
    **devices: list[str],
) -> Resources:
    """Make limits of the command line's options.  Raises UsageError for a value that cannot be
    meant."""
    made = Resources()
    # 0 is none, as docker and podman take it; `update` lifts a limit by -1
    if memory and size(memory):
        made.memory = size(memory)
    if memory_reservation and size(memory_reservation):
        made.reservation = size(memory_reservation)
        if made.memory is not None and 0 <= made.memory < made.reservation:
            raise UsageError("--memory-reservation cannot be more than --memory")
    if memory_swap and size(memory_swap):
        made.swap = size(memory_swap)
        if made.memory is None:
            raise UsageError("--memory-swap needs --memory")
        if made.swap != -1 and made.swap < made.memory:
            raise UsageError("--memory-swap is memory and swap together, so at least --memory")
    if cpus:
        if cpu_period or cpu_quota:
            raise UsageError(
                "--cpus stands for --cpu-quota and --cpu-period: give one or the other"
            )
        made.cpu_quota = _cpus(cpus)
    else:
        made.cpu_quota = _number("cpu_quota", cpu_quota, -1, 1 << 53)
        made.cpu_period = _number("cpu_period", cpu_period, 1000, 1000000)
    made.cpu_shares = _number("cpu_shares", cpu_shares or None, 2, 262144)
    made.io_weight = _number("blkio_weight", blkio_weight or None, 10, 1000)
    if cpuset_cpus:
        made.cpuset = _list("--cpuset-cpus", cpuset_cpus)
    if cpuset_mems:
        made.mems = _list("--cpuset-mems", cpuset_mems)
    if pids_limit is not None and pids_limit != 0:
        made.pids = pids_limit
    _per_device(made, devices)
    for word in cgroup_conf or []:
        name, equals, value = word.partition("=")
        if not equals or "/" in name or "." not in name:
            raise UsageError(f'invalid --cgroup-conf "{word}"', hint="as in memory.high=64M")
        made.unified[name] = value
    return made
