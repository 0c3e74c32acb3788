"""Read `--storage-opt`: the options that a driver says it knows.

Source: containers-storage.conf(5) for the spelling `overlay.mountopt=a,b`.
"""

from __future__ import annotations

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.drivers.driver import Driver


def parse(driver: Driver, words: list[str]) -> dict[str, str]:
    """The options of `--storage-opt` by their names.  Raises UsageError, HostError."""
    known = driver.known_options
    made: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        name = name.removeprefix("overlay.").removeprefix(driver.name + ".")
        if name == "mountopt":
            made.update(parse(driver, [one for one in value.split(",") if one and one != "nodev"]))
            continue
        if name == "size":
            raise HostError(
                f"--storage-opt {word}: the size of a root file system cannot be limited without "
                "a quota that only an administrator can set",
                hint="--read-only with --tmpfs /data:size=64m limits what a container writes",
            )
        if name not in known:
            raise UsageError(
                f'--storage-opt: the driver {driver.name} has no option "{name}"',
                hint=", ".join(known) or "it has none",
            )
        if bool(value) != bool(known[name]) or not _fits(value, known[name]):
            form = f"{name}={known[name]}" if known[name] else name
            raise UsageError(f'--storage-opt: invalid "{word}"', hint=form)
        made[name] = value
    return made


def _fits(value: str, form: str) -> bool:
    if form in ("ID", "N"):
        return value.isdigit()
    if form == "SECONDS":
        return value.replace(".", "", 1).isdigit()
    return not form or value in form.split("|")
