"""The user's settings: $XDG_CONFIG_HOME/rootless/config.toml.

    [engine]                      # storage-driver, storage-opt, cgroup-manager, runtime
    storage-driver = "overlay"

    [run]                         # any option of that verb, by its long name
    network = "none"

Reading TOML costs as much as starting a container, so what it came to is kept as JSON beside other
things that can be made anew, and used for as long as the file has the same time and size.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_ENGINE = ("storage_driver", "storage_opt", "cgroup_manager", "runtime")


def _printable(value: Json) -> bool:
    """Whether all texts in it can be arguments: without NUL."""
    if type(value) is str:
        return documents.text(value)
    if type(value) is list:
        return all([_printable(one) for one in value])
    if type(value) is dict:
        return all([documents.text(key) and _printable(value[key]) for key in value])
    return True


_TABLES: Json = {"*": {"*": _printable}}
_KEPT: Json = {"stamp": list, "tables": _TABLES}
_OF_ENGINE: Json = {
    "storage_driver?": str,
    "storage_opt?": (str, [str]),
    "cgroup_manager?": str,
    "runtime?": str,
}


def path() -> str:
    """Where the settings are."""
    return os.path.join(paths.config_dir(), "config.toml")


def read() -> dict[str, dict[str, Json]]:
    """Tables by name, keys with `_` for `-`; empty without a file.  Raises UsageError."""
    file = path()
    try:
        found = os.stat(file)
    except OSError:
        return {}
    stamp = [file, found.st_mtime_ns, found.st_size]
    kept = os.path.join(paths.cache_dir(), "config.json")
    try:
        document = documents.read(kept)
        if documents.fits(document, _KEPT) and document["stamp"] == stamp:
            return dict(document["tables"])
    except (OSError, ValueError):
        pass
    tables = _parse(file)
    try:
        os.makedirs(paths.cache_dir(), 0o700, exist_ok=True)
        documents.write(kept, {"stamp": stamp, "tables": tables})
    except (OSError, ValueError, TypeError):
        pass  # a date has no form in JSON
    return tables


def _parse(file: str) -> dict[str, dict[str, Json]]:
    import tomllib

    try:
        with open(file, "rb") as opened:
            found = tomllib.load(opened)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested without end
        raise UsageError(f"{file}: {error}", hint="see https://toml.io for its form") from None
    tables: dict[str, dict[str, Json]] = {}
    for name, table in found.items():
        if not isinstance(table, dict):
            raise UsageError(
                f'{file}: the key "{name}" stands outside of a table',
                hint="write it below [engine]",
            )
        tables[name] = {key.replace("-", "_"): value for key, value in table.items()}
    if not documents.fits(tables, _TABLES):
        raise UsageError(f"{file}: {documents.fault(tables, _TABLES)}")
    for key in tables.get("engine", {}):
        if key not in _ENGINE:
            raise UsageError(
                f'{file}: unknown key "{key}" in [engine]',
                hint="storage-driver, storage-opt, cgroup-manager, runtime",
            )
    if not documents.fits(tables.get("engine", {}), _OF_ENGINE):
        raise UsageError(
            f"{file}: {documents.fault(tables['engine'], _OF_ENGINE)}",
            hint="in [engine] are texts; storage-opt is a list of them",
        )
    return tables


def of_engine() -> dict[str, Json]:
    """Settings of the engine itself."""
    return read().get("engine", {})


def of_verb(name: str) -> dict[str, Json]:
    """Defaults for the options of a verb."""
    return read().get(name, {})
