"""A daemonless container engine for people without root.

`Engine` is the whole of it; see docs/python.md.  Nothing is loaded before it is used.
"""

# no `from __future__`, here and in `packed`: that is a file of its own to be found at every start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless import errors as errors
    from rootless.engine.engine import Engine as Engine
    from rootless.engine.engine import from_env as from_env
    from rootless.version import __version__ as __version__

__all__ = ["Engine", "__version__", "errors", "from_env"]


def __getattr__(name: str) -> object:
    if name in ("Engine", "from_env"):
        from rootless.engine import engine

        return getattr(engine, name)
    if name == "errors":
        import importlib

        return importlib.import_module("rootless.errors")
    if name == "__version__":
        from rootless.version import __version__

        return __version__
    if name in ("DockerClient", "APIClient"):
        from rootless.errors import NotOffered

        raise NotOffered(
            f"rootless.{name} is docker's and not here: there is no daemon to connect to",
            hint="rootless.from_env(), or rootless.Engine()",
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
