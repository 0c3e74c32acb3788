"""`rootless service`: the program's own units, enabled and disabled for one user."""

from __future__ import annotations

import os

from rootless.errors import Conflict, RootlessError, UsageError
from rootless.quadlet import builtin_units, generate, generator, search_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def _directory() -> str:
    return os.path.join(os.path.dirname(os.path.dirname(search_paths.own())), "systemd", "user")


def _known(name: str) -> None:
    if name not in builtin_units.MATTERS:
        raise UsageError(f'unknown service "{name}"', hint=", ".join(sorted(builtin_units.MATTERS)))


def enable(name: str) -> str:
    """Write the units, enable and start the one that counts; its name.

    Raises UsageError, Conflict for a file of the user's own, HostError without systemd.
    """
    from rootless.engine.systemd.manager import Services

    _known(name)
    services = Services()
    directory = _directory()
    texts = builtin_units.texts(name, generator.program())
    for unit in texts:
        path = os.path.join(directory, unit)
        if os.path.exists(path) and not _is_ours(path):
            raise Conflict(f"{path} exists and is not rootless'", hint="move it away")
    os.makedirs(directory, exist_ok=True)
    for unit, text in texts.items():
        generate.replace(os.path.join(directory, unit), text)
    unit = builtin_units.MATTERS[name][1]
    services.reload()
    services.enable([unit])
    result = services.start(unit)
    if result != "done":
        raise RootlessError(
            f"{unit} is enabled and did not start: {result}", hint=f"systemctl --user status {unit}"
        )
    return unit


def disable(name: str) -> str:
    """Stop and disable it and remove its units; the name of the one that counts."""
    from rootless.engine.systemd.manager import Services

    _known(name)
    services = Services()
    unit = builtin_units.MATTERS[name][1]
    if services.states([unit])[unit] != "Not loaded":
        services.stop(unit)
        services.disable([unit])
    for one in builtin_units.MATTERS[name][2]:
        path = os.path.join(_directory(), one)
        if os.path.exists(path) and _is_ours(path):
            os.unlink(path)
    services.reload()
    return unit


def _is_ours(path: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().startswith(generate.MARK)


def listing() -> list[Json]:
    """Return a row for each."""
    states: dict[str, str] = {}
    try:
        from rootless.engine.systemd.manager import Services

        states = Services().states([unit for _, unit, _ in builtin_units.MATTERS.values()])
    except RootlessError:
        pass
    wanted = _directory()
    return [
        {
            "Name": name,
            "Unit": unit,
            "Enabled": "yes" if os.path.exists(os.path.join(wanted, unit)) else "no",
            "State": states.get(unit, "Not loaded"),
            "Purpose": purpose,
        }
        for name, (purpose, unit, _) in builtin_units.MATTERS.items()
    ]
