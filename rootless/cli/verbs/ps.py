"""`rootless ps`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, output_format, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container

VERB = Verb(
    "ps",
    "",
    "List containers",
    (
        flag("-a --all", "Show all containers (default: only running ones)"),
        flag("-q --quiet", "Print only container IDs"),
        number("-n --last", "N", "Show the N last created containers, in all states"),
        flag("-l --latest", "Show the latest created container, in all states"),
        flag("-s --size", "Display total file sizes"),
        flag("--no-trunc", "Do not truncate output"),
        text("--sort", "KEY", "Sort by command, created, id, image, names, runningfor, size or "
             "status", complete="command created id image names runningfor size status"),
        flag("--ns", "Display the namespaces of containers"),
        flag("-p --pod", "Display the pods of containers"),
        flag("--external", "Show containers of other programs in the storage as well (there are "
             "none)"),
        flag("--sync", "Synchronize the state of containers first (it is never out of date)"),
        number("-w --watch", "SECONDS", "Print the list again and again"),
        several("-f --filter", "KEY=VALUE",
                "Filter by id, name, label, status, health, ancestor, before, since, "
                "exited, volume, network or until"),
        output_format("{{.Names}}", table=True),
        flag("--noheading", "Do not print the table headings"),
    ),
    maximum=0,
    examples="rootless ps -a --filter status=exited\n"
    "rootless ps --format '{{.Names}}: {{.Status}}'",
)  # fmt: skip

_TITLES = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")


def run(call: Call) -> None:
    """Print the list."""
    given = call.options
    seconds = given["watch"]
    if seconds is None:
        _print(call)
        return
    import os
    import time

    clear = "\x1b[H\x1b[J" if os.isatty(1) else ""
    try:
        while True:
            _print(call, before=clear)
            time.sleep(max(1, seconds))
    except KeyboardInterrupt:
        return


def _print(call: Call, *, before: str = "") -> None:
    from rootless.cli import output

    given = call.options
    wanted = 1 if given["latest"] else given["last"]
    everything = given["all"] or wanted is not None
    found = call.engine().containers.list(everything, output.filters(given["filter"]))
    if wanted is not None and wanted >= 0:
        found = found[:wanted]
    full = bool(given["no_trunc"])
    plain = not given["format"] or given["format"] == "table"
    if given["quiet"] and not given["sort"]:
        ids = [(one.id if full else one.short_id) + "\n" for one in found]
        output.write("".join(ids), before=before)
    elif plain and not (given["sort"] or given["ns"] or given["pod"] or given["size"]):
        # what needs no more than this is made without the fields that nobody sees
        cells = [_short(one, full) for one in found]
        output.write(output.table(_TITLES, cells, heading=not given["noheading"]), before=before)
    else:
        output.write(_chosen(call, found), before=before)


def _chosen(call: Call, found: list[Container]) -> str:
    """The list where more is asked for than the usual columns."""
    from rootless.cli import listing
    from rootless.cli.verbs import _ps_fields as fields

    given = call.options
    format = given["format"] or "table"
    sizes: dict[str, tuple[int, int]] = {}
    # a template that asks for it gets it
    if given["size"] or given["sort"] == "size" or ".Size" in format:
        from rootless.engine.containers import size as container_size

        sizes = container_size.of(call.engine().context, found)
    full = bool(given["no_trunc"])
    rows = [fields.Row(one, full, sizes.get(one.id)) for one in found]
    if given["sort"]:
        fields.sort(rows, given["sort"])
    if given["quiet"]:
        return "".join(row.identifier() + "\n" for row in rows)
    namespaces = bool(given["ns"])
    columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
    if namespaces:
        columns = list(fields.NS_COLUMNS)
    if given["pod"]:
        columns += ["Pod", "PodName"]
    if given["size"]:
        columns.append("Size")
    return listing.text(
        rows,
        format,
        fields.FIELDS,
        columns=columns,
        docker=fields.DOCKER,
        array=lambda: fields.podman(rows, namespaces),
        heading=not given["noheading"],
    )


def _short(one: Container, full: bool) -> list[str]:
    from rootless.engine.common import humanize

    command = one.command_text()
    return [
        one.id if full else one.short_id,
        one.image,
        f'"{command}"' if full or len(command) <= 20 else f'"{command[:19]}…"',
        humanize.ago(one.created),
        one.status_text(),
        one.ports_text(),
        one.name,
    ]
