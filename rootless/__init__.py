"""A daemonless container engine for people without root.

`Engine` is the whole of it; see docs/python.md.  Nothing is loaded before it is used.
"""

# no `from __future__`, here and in `packed`: that is a file of its own to be found at every start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.engine import Engine as Engine
    from rootless.version import __version__ as __version__

__all__ = ["Engine", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Engine":
        from rootless.engine.engine import Engine

        return Engine
    if name == "__version__":
        from rootless.version import __version__

        return __version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
