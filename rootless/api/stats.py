"""GET /containers/{id}/stats: raw counters, as docker's clients compute with them."""

from __future__ import annotations

import os
import time

from rootless.api.shapes import ZERO_TIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json
    from rootless.engine.containers.container import Container

_NO_CPU: Json = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def stats(service: Service, exchange: Exchange, name: str) -> None:
    """A line each second, or one."""
    container = service.engine().containers.get(name)
    stream = exchange.flag("stream", True)
    before: Json = None
    if not stream:
        if not exchange.flag("one-shot"):
            before = _look(container, None)
            if before["pids_stats"]:
                time.sleep(1)  # docker's clients subtract two looks
        exchange.json(_look(container, before))
        return
    exchange.stream("application/json")
    while not exchange.gone():
        before = _look(container, before)
        exchange.line(before)
        for _ in range(10):
            time.sleep(0.1)
            if exchange.gone() or not os.path.isdir(container.directory):
                exchange.keeps = False
                return


def _look(container: Container, before: Json) -> Json:
    from rootless.engine.common import humanize
    from rootless.engine.containers import stats as container_stats
    from rootless.errors import Conflict

    made: Json = {
        "name": "/" + container.name,
        "id": container.id,
        "read": ZERO_TIME,
        "preread": before["read"] if before else ZERO_TIME,
        "pids_stats": {},
        "num_procs": 0,
        "storage_stats": {},
        "blkio_stats": dict.fromkeys(
            (
                "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive",
                "io_service_time_recursive", "io_wait_time_recursive", "io_merged_recursive",
                "io_time_recursive", "sectors_recursive",
            )
        ),
        "cpu_stats": _NO_CPU,
        "precpu_stats": before["cpu_stats"] if before else _NO_CPU,
        "memory_stats": {},
    }  # fmt: skip
    try:
        found = container_stats.look(container)
    except (Conflict, OSError):
        return made
    made["read"] = humanize.rfc3339(time.time())
    made["pids_stats"] = {
        "current": found.pids or 0,
        **({"limit": found.pids_limit} if found.pids_limit else {}),
    }
    made["cpu_stats"] = {
        "cpu_usage": {**_NO_CPU["cpu_usage"], "total_usage": found.cpu * 1000},
        "system_cpu_usage": _system(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": _NO_CPU["throttling_data"],
    }
    made["memory_stats"] = {
        "usage": found.memory or 0,
        "stats": {},
        "limit": found.memory_limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }
    made["blkio_stats"]["io_service_bytes_recursive"] = [
        {"major": 0, "minor": 0, "op": op, "value": value or 0}
        for op, value in (("read", found.read), ("write", found.written))
    ]
    counted = container_stats.network(container)
    if counted is not None:
        received, sent = counted
        made["networks"] = {
            "eth0": {
                "rx_bytes": received, "rx_packets": 0, "rx_errors": 0, "rx_dropped": 0,
                "tx_bytes": sent, "tx_packets": 0, "tx_errors": 0, "tx_dropped": 0,
            }
        }  # fmt: skip
    return made


def _system() -> int:
    """All processors' time in nanoseconds, of /proc/stat (proc(5))."""
    with open("/proc/stat", encoding="ascii") as file:
        words = file.readline().split()
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(int(one) for one in words[1:9]) * 1000000000 // ticks
