"""The engine room: a container's life, and the Python library's public face.

    from rootless import Engine

    engine = Engine()
    with engine.containers.run("debian", ["sleep", "60"], detach=True) as container:
        print(container.exec(["id"]).output)

Everything is loaded when first used, so importing this costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.engine import Engine as Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> object:
    if name == "Engine":
        from rootless.engine.engine import Engine

        return Engine
    raise AttributeError(name)
