"""`rootless stats`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format
from rootless.cli.verbs._shared_options import LATEST, NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "stats",
    "[CONTAINER...]",
    "Display a live stream of container resource usage statistics",
    (
        LATEST,
        flag("-a --all", "Show all containers (default: only running ones)"),
        flag("--no-stream", "Print the first result only"),
        flag("--no-reset", "Do not reset the screen between intervals"),
        NO_TRUNC,
        number("-i --interval", "SECONDS", "Seconds between two reports (default 1)"),
        output_format("{{.CPUPerc}}", table=True),
    ),
    complete=("running",),
    text="Without CONTAINER, shows all running containers. Where there is no cgroup, the "
    "values come from /proc, are marked with *, and do not include processes that have "
    "exited.",
    examples="rootless stats --no-stream\nrootless stats --no-stream --format json web",
)

_SHOWN = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs", "Pressure")


def run(call: Call) -> None:
    """Print tables until Ctrl-C or the last container's end."""
    import os

    from rootless.cli import output
    from rootless.engine.containers import stats as container_stats

    given = call.options
    engine = call.engine()
    if given["latest"]:
        from rootless.cli.verbs import _several

        call.words = _several.named(call)
    if call.words:
        chosen = [engine.containers.get(word) for word in call.words]
    else:
        chosen = engine.containers.list(bool(given["all"]))
    live = not given["no_stream"]
    clear = live and os.isatty(1) and not given["no_reset"] and given["format"] != "json"
    seconds = float(given["interval"] or (1 if live else 0.5))
    try:
        for found in container_stats.stats(chosen, seconds):
            if given["all"] or (call.words and not live):
                found = _with_stopped(chosen, found)
            text = _text(found, given["format"] or "table", bool(given["no_trunc"]))
            output.write(text, before="\x1b[H\x1b[J" if clear else "")
            if not live or not found:
                return
    except KeyboardInterrupt:
        return


def _with_stopped(chosen: list, found: list[Json]) -> list[Json]:  # type: ignore[type-arg]
    table = {one["ID"]: one for one in found}
    names = ("CPU", "Memory", "MemoryLimit", "NetInput", "NetOutput", "BlockInput", "BlockOutput",
             "PIDs", "PidsLimit", "CPUSeconds", "Seconds")  # fmt: skip
    nothing = dict.fromkeys(names, 0)
    return [
        table.get(one.id)
        or {"ID": one.id, "Name": one.name, **nothing, "Pressure": {}, "Source": ""}
        for one in chosen
    ]


def _text(found: list[Json], format: str, full: bool) -> str:
    from rootless.cli import called, listing

    fields = _fields(full)

    def podman() -> list[Json]:
        return [{key: fields[name][1](one) for key, name in _PODMAN.items()} for one in found]

    return listing.text(
        found,
        format,
        fields,
        columns=_SHOWN,
        docker=_DOCKER,
        array=podman if called.tool() == "podman" else None,
    )


_DOCKER = ("ID", "Container", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs",
           "Pressure", "Source", "CPU", "MemoryBytes", "MemoryLimitBytes")  # fmt: skip
# podman's JSON: its keys, and which of the fields each is
_PODMAN = {
    "id": "ID", "name": "Name", "cpu_time": "UpTime", "cpu_percent": "CPUPerc",
    "avg_cpu": "AvgCPU", "mem_usage": "MemUsage", "mem_percent": "MemPerc", "net_io": "NetIO",
    "block_io": "BlockIO", "pids": "PIDs",
}  # fmt: skip


def _fields(full: bool) -> Fields:
    """What a template can name: docker's fields, podman's and our own."""
    from rootless.cli.output import human_size

    def identifier(one: Json) -> str:
        return str(one["ID"] if full else one["ID"][:12])

    def mark(one: Json) -> str:
        return "*" if "proc" in one["Source"] else ""

    def pair(one: Json, first: str, second: str) -> str:
        return f"{human_size(one[first])} / {human_size(one[second])}"

    def share(one: Json) -> str:
        limit = one["MemoryLimit"]
        return f"{100 * one['Memory'] / limit if limit else 0:.2f}%{mark(one)}"

    def usage(one: Json) -> str:
        return pair(one, "Memory", "MemoryLimit") + mark(one)

    def pressure(one: Json) -> str:
        parts = [f"{kind} {part:g}%" for kind, part in one["Pressure"].items() if part]
        return " ".join(parts) or "-"

    def average(one: Json) -> str:
        up = one["Seconds"]
        return f"{100 * one['CPUSeconds'] / up if up else 0:.2f}%"

    return {
        "AvgCPU": ("AVG CPU %", average),
        "BlockIO": ("BLOCK I/O", lambda one: pair(one, "BlockInput", "BlockOutput")),
        "BlockInput": ("BLOCK INPUT", lambda one: one["BlockInput"]),
        "BlockOutput": ("BLOCK OUTPUT", lambda one: one["BlockOutput"]),
        "CPU": ("CPU", lambda one: one["CPU"]),
        "CPUNano": ("CPUNANO", lambda one: int(one["CPUSeconds"] * 1e9)),
        "CPUPerc": ("CPU %", lambda one: f"{one['CPU']:.2f}%{mark(one)}"),
        "Container": ("CONTAINER", identifier),
        "ContainerID": ("CONTAINER ID", lambda one: one["ID"]),
        "ID": ("CONTAINER ID", identifier),
        "MemLimit": ("MEM LIMIT", lambda one: one["MemoryLimit"]),
        "MemPerc": ("MEM %", share),
        "MemUsage": ("MEM USAGE / LIMIT", usage),
        "MemUsageBytes": (
            "MEM USAGE / LIMIT",
            lambda one: f"{one['Memory']} / {one['MemoryLimit']}",
        ),
        "MemoryBytes": ("MEMORY", lambda one: one["Memory"]),
        "MemoryLimitBytes": ("MEMORY LIMIT", lambda one: one["MemoryLimit"]),
        "Name": ("NAME", lambda one: one["Name"]),
        "NetIO": ("NET I/O", lambda one: pair(one, "NetInput", "NetOutput")),
        "NetInput": ("NET INPUT", lambda one: one["NetInput"]),
        "NetOutput": ("NET OUTPUT", lambda one: one["NetOutput"]),
        "PIDs": ("PIDS", lambda one: one["PIDs"]),
        "PIDS": ("PIDS", lambda one: one["PIDs"]),
        "Pressure": ("PRESSURE", pressure),
        "Source": ("SOURCE", lambda one: one["Source"]),
        "UpTime": ("CPU TIME", lambda one: f"{one['CPUSeconds']:.6f}s"),
    }
