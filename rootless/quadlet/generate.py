"""All unit files of a user at once: found, read, translated, written."""

from __future__ import annotations

import os

from rootless.errors import RootlessError, UsageError
from rootless.quadlet import container as quadlet_container
from rootless.quadlet import search_paths, unit_file, volume_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.quadlet.unit_file import Source

ONLINE = "rootless-network-online.service"
MARK = "# Made by rootless from "


class Made:
    """What became of one unit file: the unit's name, its text, links; or why it became nothing."""

    __slots__ = ("error", "links", "name", "path", "source", "text")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.source: Source | None = None
        self.text = ""
        self.links: list[tuple[str, str]] = []
        self.error: RootlessError | None = None

    @property
    def service(self) -> str:
        """The name of the systemd unit; what it would be where the file is wrong."""
        if self.source is not None:
            return self.source.service
        stem, _, kind = self.name.rpartition(".")
        return f"{stem}.service" if kind in ("container", "kube") else f"{stem}-{kind}.service"


def all_units(program: list[str]) -> list[Made]:
    """Return every unit file that is found, translated; `program`: the command that starts
    rootless."""
    among = search_paths.all_directories()
    found: list[Made] = []
    sources: dict[str, Source] = {}
    for name, path in search_paths.find(among).items():
        one = Made(name, path)
        found.append(one)
        try:
            one.source = sources[name] = unit_file.Source(
                name, path, search_paths.drop_ins(name, among)
            )
        except (UsageError, OSError, ValueError) as error:
            one.error = _told(error, path)
    for one in found:
        if one.source is not None:
            _translate(one, one.source, sources, program)
    if any(ONLINE in one.text for one in found):
        found.append(_online())
    return found


def _translate(one: Made, read: Source, sources: dict[str, Source], program: list[str]) -> None:
    try:
        named = read.last("ServiceName")
        if named is not None and ("/" in named.value or named.value.startswith(".")):
            raise named.wrong("is not the name of a unit", hint="as in ServiceName=web")
        if read.kind in search_paths.NATIVE:
            one.text = unit_file.Service(read, sources, program).text()
            one.links = unit_file.links(read)
            return
        if read.kind in volume_image.REFUSED:
            raise volume_image.refused(read)
        make = {
            "container": quadlet_container.service,
            "volume": volume_image.volume,
            "image": volume_image.image,
        }
        service = make[read.kind](read, sources, program)
        if read.kind != "volume" and _waits(read):
            service.unit += [f"Wants={ONLINE}", f"After={ONLINE}"]
        one.text = service.text()
        one.links = service.links()
        one.text.encode()  # what is no text of UTF-8 cannot be written
    except (UsageError, OSError, ValueError) as error:
        one.text, one.links, one.error = "", [], _told(error, one.path)


def _told(error: Exception, path: str) -> RootlessError:
    """One wrong file must not take all the others away, whatever is wrong with it."""
    if isinstance(error, RootlessError):
        return error
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsageError(f"{path}: {why[:1].lower() + why[1:]}", hint="this file makes no unit")


def _waits(read: Source) -> bool:
    """Whether the network should be up first: an image may have to be fetched."""
    for entry in read.sections.get("Quadlet"):
        if entry.key != "DefaultDependencies":
            raise entry.wrong(f"unknown key {entry.key}= in [Quadlet]", hint="DefaultDependencies=")
    wanted = read.sections.last("Quadlet", "DefaultDependencies")
    return wanted.truth() if wanted is not None else True


def _online() -> Made:
    """A unit that waits for the system's network: units of a user cannot name those of the system.

    Where the boot does not go by way of network-online.target there is nothing to wait for.
    """
    made = Made(ONLINE, "")
    loop = (
        "while state=$$(systemctl show --property=ActiveState,Job network-online.target) && "
        "case $$state in *ActiveState=active*) false;; *Job=[1-9]*) ;; *) false;; esac; "
        "do sleep 0.5; done"
    )
    made.text = (
        f"{MARK}its own needs.\n\n[Unit]\nDescription=Wait until the network is up\n\n[Service]\n"
        f'Type=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=90\nExecStart=/bin/sh -c "{loop}"\n'
    )
    return made


def unit_name(made: Made) -> str:
    """Return the name of the file that is written."""
    return made.service if made.source is not None else made.name


def write(units: list[Made], directory: str) -> list[str]:
    """Write what was made into a directory that systemd reads; returns the paths."""
    written = []
    for one in units:
        if not one.text:
            continue
        try:
            written += _write_one(one, directory)
        except OSError as error:
            one.error = _told(error, one.path or one.name)
    return written


def _write_one(one: Made, directory: str) -> list[str]:
    path = os.path.join(directory, unit_name(one))
    written = [path]
    replace(path, one.text)
    for link, target in one.links:
        place = os.path.join(directory, link)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        written.append(place)
        try:
            os.symlink(target, place)
        except FileExistsError:
            if not os.path.islink(place):
                raise
    return written


def replace(path: str, text: str) -> None:
    """Write a file in one step; a reader sees the old one or the new one."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(temporary, path)
