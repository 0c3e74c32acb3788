"""Unit files of the user: installed, listed, shown, removed, and given to systemd.

Where root has installed the generator, systemd reads unit files by itself.  For a single user
among strangers there is no directory in which systemd would look for a generator, so the units are
written to $XDG_CONFIG_HOME/systemd/user; a list there says which are ours.
"""

from __future__ import annotations

import os
import shutil

from rootless import documents
from rootless.errors import Conflict, NotFound, RootlessError, UsageError
from rootless.quadlet import generate, generator, search_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.engine.systemd.manager import Services
    from rootless.quadlet.generate import Made

    class UnitsDocument(TypedDict):
        """The units in systemd's directory that were written from unit files, as paths."""

        version: int
        units: list[str]


_LIST = ".rootless-units.json"
VERSION = 1
_SHAPE: Json = {"version": int, "units": [str]}


def units_in(path: str) -> set[str]:
    """Return the units that the list of those we wrote names; none where it is damaged or missing.

    Raises NewerDocument.
    """
    try:
        found = documents.read(path)
    except (OSError, ValueError):
        return set()
    documents.refuse_newer(path, found, VERSION)
    if type(found) is list:
        # the first form: the paths alone
        found = {"version": VERSION, "units": found}
    if not documents.fits(found, _SHAPE):
        return set()
    document: UnitsDocument = found
    return set(document["units"])


def _systemd_directory() -> str:
    return os.path.join(os.path.dirname(os.path.dirname(search_paths.own())), "systemd", "user")


def installed() -> list[Made]:
    """Return all unit files and what becomes of them, without those that belong to no unit file."""
    return [one for one in generate.all_units(generator.program()) if one.path]


def own() -> list[Made]:
    """Return those in the user's own directory, which `quadlet rm` removes."""
    directory = search_paths.own() + "/"
    return [one for one in installed() if one.path.startswith(directory)]


def reload(services: Services | None = None) -> None:
    """Bring systemd's units up to date with the files.  Raises HostError, Conflict."""
    if not search_paths.generator_installed():
        _write_units()
    if services is None:
        from rootless.engine.systemd.manager import Services

        services = Services()
    services.reload()


def _write_units() -> None:
    directory = _systemd_directory()
    units = generate.all_units(generator.program())
    listed = os.path.join(directory, _LIST)
    ours = units_in(listed)
    for one in units:
        path = os.path.join(directory, generate.unit_name(one))
        if one.text and os.path.lexists(path) and path not in ours and not _is_ours(path):
            raise Conflict(
                f"the unit {path} exists and was not made of {one.path}",
                hint="rename one of the two",
            )
    if not ours and not any(one.text for one in units):
        return
    os.makedirs(directory, exist_ok=True)
    written = generate.write(units, directory)
    document: UnitsDocument = {"version": VERSION, "units": written}
    documents.write(listed, document)
    for path in sorted(ours - set(written), reverse=True):
        # the list is a file that other programs might have changed: only what lies here
        if os.path.commonpath([directory, os.path.normpath(path)]) == directory:
            _remove_quietly(path)


def _is_ours(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(generate.MARK)
    except OSError:
        return False


def _remove_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
    if path.endswith((".wants", ".requires", ".upholds")):
        return
    try:
        os.rmdir(os.path.dirname(path))  # only when it was the last link
    except OSError:
        pass


# install


def install(paths: list[str], *, replace: bool, reloads: bool) -> list[str]:
    """Copy unit files into the user's directory; return their new paths.

    A directory, or a unit file with other files after it, becomes an application: it is removed
    as a whole.  What cannot be translated is not installed.  Raises UsageError, Conflict.
    """
    base = search_paths.own()
    pairs = _plan(paths, base)
    if not any(search_paths.kind_of(os.path.basename(target)) for _, target in pairs):
        raise UsageError(
            f"{paths[0]} holds no unit file", hint="names end in .container, .volume, .image, ..."
        )
    for _, target in pairs:
        if os.path.lexists(target) and not replace:
            raise Conflict(f"{target} exists", hint="--replace overwrites it")
    kept: list[tuple[str, bytes | None]] = []
    try:
        for source, target in pairs:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            kept.append((target, _content(target)))
            with open(source, "rb") as file:
                documents.write_bytes(target, file.read())
        targets = [target for _, target in pairs]
        for one in installed():
            if one.error is not None and one.path in targets:
                raise one.error
        if reloads:
            reload()
    except BaseException:
        _undo(kept, base)
        raise
    return [target for _, target in pairs]


def _plan(paths: list[str], base: str) -> list[tuple[str, str]]:
    for path in paths:
        if "://" in path:
            raise UsageError(f"{path} is not a file", hint="fetch it first, as with curl -O")
        if not os.path.exists(path):
            raise UsageError(f"there is no file {path}")
    first = os.path.abspath(paths[0])
    if os.path.isdir(first):
        if len(paths) > 1:
            raise UsageError(f"{paths[0]} is a directory: no other can be named beside it")
        target = os.path.join(base, os.path.basename(first))
        return [
            (os.path.join(directory, name), os.path.join(target, part, name))
            for directory, _, names in os.walk(first)
            for part in [os.path.relpath(directory, first)]
            for name in sorted(names)
        ]
    others = [path for path in paths[1:] if not search_paths.kind_of(os.path.basename(path))]
    if others:
        base = os.path.join(base, os.path.basename(first).rpartition(".")[0])
    return [(os.path.abspath(one), os.path.join(base, os.path.basename(one))) for one in paths]


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _undo(kept: list[tuple[str, bytes | None]], base: str) -> None:
    for path, content in reversed(kept):
        if content is not None:
            documents.write_bytes(path, content)
            continue
        try:
            os.unlink(path)
            directory = os.path.dirname(path)
            while directory != base and directory.startswith(base):
                os.rmdir(directory)
                directory = os.path.dirname(directory)
        except OSError:
            continue


# look


def application(path: str) -> str:
    """Return the application that a file belongs to, empty if it stands alone."""
    part = os.path.relpath(os.path.dirname(path), search_paths.own())
    return "" if part == "." or part.startswith("..") else part.split("/")[0]


def listing() -> list[Json]:
    """Return a row for each unit file."""
    found = installed()
    states: dict[str, str] = {}
    try:
        from rootless.engine.systemd.manager import Services

        states = Services().states([one.service for one in found])
    except RootlessError:
        pass  # without systemd they are still files
    return [
        {
            "Name": one.name,
            "UnitName": one.service,
            "Path": one.path,
            "Status": "invalid" if one.error else states.get(one.service, "Not loaded"),
            "App": application(one.path),
            "Error": one.error.message if one.error else "",
        }
        for one in found
    ]


def find(name: str, among: list[Made]) -> Made:
    """Return the unit file of this name.  Raises NotFound."""
    for one in among:
        if name in (one.name, one.service):
            return one
    raise NotFound(f'no such unit file: "{name}"', hint="rootless quadlet list lists them")


def shown(name: str) -> str:
    """Return the text of a unit file and its drop-ins.  Raises NotFound."""
    one = find(name, installed())
    among = search_paths.all_directories()
    texts = []
    for path in (one.path, *search_paths.drop_ins(one.name, among)):
        with open(path, encoding="utf-8", errors="replace") as file:
            texts.append(file.read() if path == one.path else f"\n# {path}\n{file.read()}")
    return "".join(texts)


# remove


def remove(names: list[str], *, force: bool, ignore: bool, reloads: bool) -> list[str]:
    """Remove unit files by name, or applications; the names of the files that went.

    Raises NotFound, Conflict for a unit that is active and not `force`.
    """
    found = installed()
    gone: list[Made] = []
    directories: list[str] = []
    for name in names:
        whole = [one for one in found if application(one.path) == name]
        if not whole:
            try:
                one = find(name, found)
            except NotFound:
                if ignore:
                    continue
                raise
            app = application(one.path)
            whole = [other for other in found if app and application(other.path) == app] or [one]
        app = application(whole[0].path)
        if app:
            directories.append(os.path.join(search_paths.own(), app))
        for one in whole:
            if not os.access(os.path.dirname(one.path), os.W_OK):
                raise Conflict(f"{one.path} is not yours to remove")
            gone += [one] if one not in gone else []
    _stop([unit for one in gone for unit in _units(one)], force)
    for one in gone:
        os.unlink(one.path)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
    if reloads and gone:
        reload()
    return [one.name for one in gone]


def _units(one: Made) -> list[str]:
    from rootless.engine.systemd.manager import Services

    try:
        return Services().instances(one.service) if "@." in one.service else [one.service]
    except RootlessError:
        return []


def _stop(units: list[str], force: bool) -> None:
    from rootless.engine.systemd.manager import Services

    if not units:
        return
    try:
        services = Services()
    except RootlessError:
        return  # nothing runs where there is no systemd
    for unit, state in services.states(units).items():
        # of a volume or an image nothing runs: it was made, and that is remembered
        if state == "active/exited":
            services.stop(unit)
        elif state.startswith(("active/", "activating/", "reloading/")):
            if not force:
                raise Conflict(
                    f"{unit} is running", hint=f"systemctl --user stop {unit}, or use --force"
                )
            services.stop(unit)
