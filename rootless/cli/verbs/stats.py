"""`rootless stats`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format
from rootless.cli.verbs._shared_options import LATEST, NO_TRUNC

TYPE_CHECKING = False
if TYPE_CHECKING:
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

_TITLES = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
    "Pressure": "PRESSURE",
    "Source": "SOURCE",
}
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
            rows = [_row(one, bool(given["no_trunc"])) for one in found]
            text = output.rows(rows, given["format"] or "table", _SHOWN, _TITLES)
            output.write(text, before="\x1b[H\x1b[J" if clear else "")
            if not live or not found:
                return
    except KeyboardInterrupt:
        return


def _with_stopped(chosen: list, found: list[Json]) -> list[Json]:  # type: ignore[type-arg]
    table = {one["ID"]: one for one in found}
    nothing = dict.fromkeys(("CPU", "Memory", "MemoryLimit", "NetInput", "NetOutput", "BlockInput",
                             "BlockOutput", "PIDs", "PidsLimit"), 0)  # fmt: skip
    return [
        table.get(one.id)
        or {"ID": one.id, "Name": one.name, **nothing, "Pressure": {}, "Source": ""}
        for one in chosen
    ]


def _row(one: Json, full: bool) -> dict[str, Json]:
    from rootless.cli.output import human_size

    limit = one["MemoryLimit"]
    mark = "*" if "proc" in one["Source"] else ""
    return {
        "ID": one["ID"] if full else one["ID"][:12],
        "Container": one["ID"] if full else one["ID"][:12],
        "Name": one["Name"],
        "CPUPerc": f"{one['CPU']:.2f}%{mark}",
        "MemUsage": f"{human_size(one['Memory'])} / {human_size(limit)}{mark}",
        "MemPerc": f"{100 * one['Memory'] / limit if limit else 0:.2f}%{mark}",
        "NetIO": f"{human_size(one['NetInput'])} / {human_size(one['NetOutput'])}",
        "BlockIO": f"{human_size(one['BlockInput'])} / {human_size(one['BlockOutput'])}",
        "PIDs": one["PIDs"],
        "Pressure": " ".join(
            f"{kind} {share:g}%" for kind, share in one["Pressure"].items() if share
        )
        or "-",
        "Source": one["Source"],
        "CPU": one["CPU"],
        "MemoryBytes": one["Memory"],
        "MemoryLimitBytes": limit,
    }
