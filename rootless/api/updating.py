"""The body of POST /containers/{id}/update as the engine's options."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

# as texts, and as numbers
_TEXTS = {
    "Memory": "memory", "MemorySwap": "memory_swap", "MemoryReservation": "memory_reservation",
    "CpusetCpus": "cpuset_cpus", "CpusetMems": "cpuset_mems",
}  # fmt: skip
_NUMBERS = {
    "CpuShares": "cpu_shares", "CpuPeriod": "cpu_period", "CpuQuota": "cpu_quota",
    "BlkioWeight": "blkio_weight",
}  # fmt: skip


def words(body: Json) -> dict[str, object]:
    """Raises UsageError for a field that cannot be changed here."""
    made: dict[str, object] = {}
    for key, value in body.items():
        if value in (None, 0, "", [], {}, False):
            continue
        if key in _TEXTS:
            made[_TEXTS[key]] = str(value)
        elif key in _NUMBERS:
            made[_NUMBERS[key]] = int(value)
        elif key == "NanoCpus":
            made["cpus"] = f"{int(value) / 1e9:.9f}".rstrip("0").rstrip(".")
        elif key == "PidsLimit":
            made["pids_limit"] = int(value)
        elif key == "RestartPolicy":
            if value.get("Name"):
                count = value.get("MaximumRetryCount") or 0
                made["restart"] = f"{value['Name']}:{count}" if count else str(value["Name"])
        else:
            raise UsageError(f"{key} of a container cannot be changed")
    return made
