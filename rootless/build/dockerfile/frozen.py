"""Base of the language's values: frozen, compared by what they hold.

A subclass is written as a dataclass is: annotations with or without defaults.  It is no dataclass
because each of these costs half a millisecond when its module is loaded, before the first step of
a build, and there are forty.  Scope: pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Do nothing: this is for the type checker."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Frozen:
    """A value whose fields are its class's annotations, in their order."""

    _fields: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = [
            name
            for name, kind in cls.__annotations__.items()
            if not str(kind).startswith("ClassVar")
        ]
        cls._fields = (*cls._fields, *own)
        cls._defaults = cls._defaults | {n: cls.__dict__[n] for n in own if n in cls.__dict__}

    # the type checker makes one for each subclass
    if not TYPE_CHECKING:

        def __init__(self, *values, **named):
            fields = type(self)._fields
            found = self.__dict__
            found.update(zip(fields, values, strict=False))
            if len(values) > len(fields) or found.keys() & named or not named.keys() <= set(fields):
                raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields)}")
            found.update(named)
            if len(found) < len(fields):
                defaults = type(self)._defaults
                for name in fields:
                    if name not in found:
                        if name not in defaults:
                            raise TypeError(f"{type(self).__name__} needs {name}")
                        found[name] = defaults[name]

    def replace(self, **changes: Any) -> Self:
        """Return the same value with other fields."""
        return type(self)(**(self.__dict__ | changes))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be removed")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in self._fields))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({inner})"
