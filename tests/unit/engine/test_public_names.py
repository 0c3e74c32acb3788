"""What `import rootless` offers: names and signatures that programs of others rely on.

`public_names.txt` has one line for each; a change there is a change of the interface and belongs
into CHANGELOG.md.  `python tests/unit/engine/test_public_names.py` prints what is offered now.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import rootless

FROZEN = Path(__file__).with_name("public_names.txt")

# where each class lives is no promise: objects of them are what methods of Engine return
CLASSES = {
    "Engine": "rootless",
    "Containers": "rootless.engine.containers.collection",
    "Container": "rootless.engine.containers.container",
    "Session": "rootless.engine.containers.attach",
    "Channel": "rootless.engine.containers.channel",
    "ExecResult": "rootless.engine.containers.exec_result",
    "Images": "rootless.engine.images.collection",
    "Image": "rootless.engine.images.image",
    "Manifests": "rootless.engine.images.manifests",
    "Networks": "rootless.engine.networks.collection",
    "Volumes": "rootless.engine.volumes.collection",
    "Event": "rootless.engine.events.reader",
    "Outcome": "rootless.engine.health.check",
    "Progress": "rootless.progress",
}
# what the rooms of the engine need from each other has public names and is no promise
INTERNAL = {
    "Channel.received",
    "Container.emit",
    "Container.execute",
    "ContainerOptions.registry",
    "Engine.context",
    "Images.builder",
    "Images.fetch_missing",
}


def signature(function: object) -> str:
    """`(name: type = default, *, name: type) -> type`, the same in every version of Python."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    parts = []
    star = False
    for one in found.parameters.values():
        if one.kind is one.VAR_POSITIONAL:
            star = True
        elif one.kind is one.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        kind = "" if one.annotation is one.empty else f": {one.annotation}"
        default = "" if one.default is one.empty else f" = {one.default!r}"
        parts.append(f"{mark}{one.name}{kind}{default}")
    result = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    return f"({', '.join(parts)}){result}"


def of_class(name: str, cls: type) -> Iterator[str]:
    """A line for each public member of a class, inherited ones as well."""
    if name == "Engine":
        yield f"{name}{signature(cls.__init__)}"
    for member in sorted(dir(cls)):
        if member.startswith("_") and member not in ("__enter__", "__exit__", "__iter__"):
            continue
        value = inspect.getattr_static(cls, member)
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if inspect.isfunction(value):
            yield f"{name}.{member}{signature(value)}"
        else:
            # whether an attribute is computed is nobody's business
            yield f"{name}.{member}"


def offered() -> list[str]:
    """Every public name, a line each."""
    lines = [f"rootless.{name}" for name in rootless.__all__]
    for name, module in CLASSES.items():
        lines += of_class(name, getattr(importlib.import_module(module), name))
    # attributes that are set where the object is made
    engine = rootless.Engine(data_dir="/nonexistent")
    lines += [f"Engine.{name}" for name in vars(engine) if not name.startswith("_")]
    from rootless.engine.spec import option_values, options

    for made in (options.ContainerOptions(image="x"), option_values.ExecOptions()):
        lines += [f"{type(made).__name__}.{one}" for one in vars(made) if one[:1] != "_"]
    errors = importlib.import_module("rootless.errors")
    lines += [
        f"errors.{name}({value.__mro__[1].__name__}), exit code {value.exit_code}"
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.RootlessError)
    ]
    return sorted({one for one in lines if one.partition("(")[0] not in INTERNAL})


def test_the_public_names_are_those_that_were_promised() -> None:
    promised = FROZEN.read_text().splitlines()
    now = offered()
    gone = [one for one in promised if one not in now]
    new = [one for one in now if one not in promised]
    assert not gone, f"no longer offered: {gone}; instead perhaps: {new}"
    assert not new, f"offered without being promised (public_names.txt): {new}"


if __name__ == "__main__":
    print("\n".join(offered()))
