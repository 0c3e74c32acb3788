"""Bake files: several builds described together.  Text in, targets out; nothing is built here.

Scope: the JSON form of `docker buildx bake`: groups, variables, inheritance, matrices, overrides.
In strings `${NAME}` is a variable; HCL's expressions and functions are refused by name.
Source: https://docs.docker.com/build/bake/reference/
"""

from __future__ import annotations

import fnmatch
import itertools
import re

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rootless.documents import Json

    Target = dict[str, Json]

# what a target may say: text, a list of texts (or of tables of `key: text`), a table of texts,
# true or false
_TEXT, _LIST, _TABLE, _TRUTH = "text", "list", "table", "truth"
FIELDS = {
    "annotations": _LIST, "args": _TABLE, "attest": _LIST, "cache-from": _LIST, "cache-to": _LIST,
    "call": _TEXT, "context": _TEXT, "contexts": _TABLE, "description": _TEXT, "dockerfile": _TEXT,
    "dockerfile-inline": _TEXT, "entitlements": _LIST, "extra-hosts": _TABLE, "inherits": _LIST,
    "labels": _TABLE, "network": _TEXT, "no-cache": _TRUTH, "no-cache-filter": _LIST,
    "output": _LIST, "platforms": _LIST, "pull": _TRUTH, "secret": _LIST, "shm-size": _TEXT,
    "ssh": _LIST, "tags": _LIST, "target": _TEXT, "ulimits": _LIST,
}  # fmt: skip
# lists to which a target that inherits adds; the others it replaces
_ADDED = ("annotations", "attest", "cache-from", "entitlements", "secret", "ssh")
# words of --set, as the reference has them
_SET = {"platform": "platforms", "secrets": "secret", "tag": "tags", "outputs": "output"}
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_DEEP = 32


class Definition:
    """What bake files say together, variables replaced."""

    def __init__(self, targets: dict[str, Target], groups: dict[str, list[str]]) -> None:
        self.targets = targets
        self.groups = groups

    def chosen(self, words: Sequence[str]) -> list[str]:
        """Names of targets that these words (of targets and groups) mean, each once, in order.

        Raises UsageError.
        """
        found: dict[str, None] = {}

        def add(word: str, depth: int) -> None:
            if depth > _DEEP:
                raise UsageError(f"the group {word} is part of itself")
            if word in self.groups:
                for one in self.groups[word]:
                    add(one, depth + 1)
            elif word in self.targets:
                found[word] = None
            else:
                known = ", ".join(sorted({*self.groups, *self.targets})[:10])
                raise UsageError(f"there is no target {word}", hint=f"there are {known}")

        for word in words or ["default"]:
            add(word, 0)
        return list(found)

    def resolved(self, name: str) -> Target:
        """A target with what it inherits.  Raises UsageError."""
        return self._merged(name, ())

    def _merged(self, name: str, below: tuple[str, ...]) -> Target:
        if name in below or len(below) > _DEEP:
            raise UsageError(f"the target {name} inherits from itself")
        if name not in self.targets:
            raise UsageError(f"{below[-1]} inherits from {name}, which is no target")
        made: Target = {}
        own = self.targets[name]
        for parent in own.get("inherits", ()):
            merge(made, self._merged(parent, (*below, name)))
        merge(made, own)
        made.pop("inherits", None)
        return made

    def links(self, target: Target) -> list[str]:
        """Names of targets whose result is one of this target's contexts."""
        return [
            where.removeprefix("target:")
            for where in (target.get("contexts") or {}).values()
            if where.startswith("target:")
        ]

    def ordered(self, names: Iterable[str]) -> list[str]:
        """These targets and those that they are linked to, each after what it needs."""
        made: dict[str, None] = {}

        def visit(name: str, below: tuple[str, ...]) -> None:
            if name in below:
                raise UsageError(f"the target {name} needs itself, by its contexts")
            if name in made:
                return
            if name not in self.targets:
                raise UsageError(f"{below[-1]} needs the target {name}, which there is not")
            for one in self.links(self.resolved(name)):
                visit(one, (*below, name))
            made[name] = None

        for name in names:
            visit(name, ())
        return list(made)


def merge(below: Target, above: Target) -> None:
    """Let `above` say more, and other things, than `below`, which is changed."""
    for key, value in above.items():
        if FIELDS.get(key) == _TABLE:
            below[key] = {**(below.get(key) or {}), **value}
        elif key in _ADDED:
            old = below.get(key) or []
            below[key] = [*old, *(one for one in value if one not in old)]
        else:
            below[key] = value


def read(
    files: Sequence[tuple[str, bytes]],
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> Definition:
    """Read files, later ones over earlier ones.  `overrides`: words of --set.

    Raises UsageError.
    """
    variables: dict[str, str] = {}
    raw: dict[str, Target] = {}
    groups: dict[str, list[str]] = {}
    texts = [(name, _document(name, data)) for name, data in files]
    for name, document in texts:
        for key, one in _table(name, document.get("variable"), "variable").items():
            variables[key] = _plain(one.get("default", "") if isinstance(one, dict) else "")
    variables |= {key: environment[key] for key in variables if key in environment}
    # the default of a variable may speak of others
    for key in list(variables):
        variables[key] = expand(variables[key], variables, f"the variable {key}")
    for name, document in texts:
        for key, one in _table(name, document.get("group"), "group").items():
            members = one.get("targets") if isinstance(one, dict) else None
            if not isinstance(members, list) or not all(isinstance(word, str) for word in members):
                raise UsageError(f"{name}: the group {key} has no list of targets")
            groups[key] = members
        for key, one in _table(name, document.get("target"), "target").items():
            if not isinstance(one, dict):
                raise UsageError(f"{name}: the target {key} is no object")
            raw.setdefault(key, {}).update(one)
    targets: dict[str, Target] = {}
    for key, one in raw.items():
        for made, values in _instances(key, one, variables, groups):
            targets[made] = {
                field: _field(made, field, value, {**variables, **values})
                for field, value in one.items()
                if field not in ("matrix", "name")
            }
    replaced: set[tuple[str, str]] = set()
    for word in overrides:
        _override(targets, word, replaced)
    if "default" not in groups and "default" not in targets and len(targets) == 1:
        groups["default"] = list(targets)
    return Definition(targets, groups)


def _document(name: str, data: bytes) -> dict[str, Json]:
    try:
        found = documents.loads(data.decode())
    except (UnicodeDecodeError, ValueError):
        hint = "write it as JSON, or have it written: docker buildx bake --print"
        raise UsageError(f"{name} is not JSON", hint=hint) from None
    if not isinstance(found, dict):
        raise UsageError(f"{name}: a bake file is an object of variable, group and target")
    for key in found:
        if key not in ("variable", "group", "target", "//"):
            raise UsageError(f'{name}: "{key}" is not offered', hint="variable, group or target")
    return found


def _table(name: str, value: Json, kind: str) -> dict[str, Json]:
    # HCL's JSON allows a list of objects where blocks are
    parts = value if isinstance(value, list) else [value or {}]
    made: dict[str, Json] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise UsageError(f"{name}: {kind} is no object")
        made |= part
    for key in made:
        if not _NAME.fullmatch(key):
            raise UsageError(f'{name}: "{key}" is no name of a {kind}')
    return made


def _instances(
    key: str, one: Target, variables: dict[str, str], groups: dict[str, list[str]]
) -> list[tuple[str, dict[str, str]]]:
    """The targets that a matrix makes of one: names, and the values of its variables."""
    matrix = one.get("matrix")
    if matrix is None:
        return [(key, {})]
    pattern = one.get("name")
    fits = isinstance(matrix, dict) and all(
        isinstance(values, list) and all(not isinstance(v, dict | list) for v in values)
        for values in matrix.values()
    )
    if not fits or not isinstance(pattern, str):
        raise UsageError(f"the target {key}: a matrix has lists of texts, and needs a name")
    made = []
    for values in itertools.product(*matrix.values()):
        of = {name: _plain(value) for name, value in zip(matrix, values, strict=True)}
        name = expand(pattern, {**variables, **of}, f"the name of {key}")
        if not _NAME.fullmatch(name):
            raise UsageError(f'"{name}" is no name of a target, as the matrix of {key} makes it')
        made.append((name, of))
    # the target's own name means all of them
    groups.setdefault(key, [name for name, _ in made])
    return made


def _field(target: str, field: str, value: Json, variables: Mapping[str, str]) -> Json:
    kind = FIELDS.get(field)
    what = f"{target}.{field}"
    if kind is None:
        raise UsageError(f"the target {target}: {field} is not offered",
                         hint="there are " + " ".join(FIELDS))  # fmt: skip
    if kind == _TRUTH and isinstance(value, bool):
        return value
    if kind == _TRUTH and isinstance(value, str):
        word = expand(value, variables, what).lower()
        if word in ("true", "false", "1", "0"):
            return word in ("true", "1")
    if kind == _TEXT and not isinstance(value, dict | list | type(None)):
        return expand(_plain(value), variables, what)
    if kind == _TABLE and isinstance(value, dict):
        return {
            expand(key, variables, what): expand(_plain(one), variables, what)
            for key, one in value.items()
            if one is not None and not isinstance(one, dict | list)
        }
    if kind == _LIST and isinstance(value, list):
        return [expand(_joined(one, what), variables, what) for one in value if one is not None]
    raise UsageError(f"{what} is no {kind}")


def _joined(value: Json, what: str) -> str:
    """A text, or a table as `key=text,key=text`."""
    if isinstance(value, dict):
        return ",".join(f"{key}={_plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        raise UsageError(f"{what} is a list of texts")
    return _plain(value)


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value)


_PLACE = re.compile(r"\$\$\{|\$\{([^}]*)\}|%\{")


def expand(text: str, variables: Mapping[str, str], what: str) -> str:
    """Replace `${NAME}`; `$${` is `${`.  Raises UsageError."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = (match[1] or "").strip()
        if match[0] == "%{" or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise UsageError(
                f'{what}: the expression "{match[0]}" is not offered',
                hint="${NAME} of a variable, or docker buildx bake --print",
            )
        if name not in variables:
            raise UsageError(f"{what}: there is no variable {name}")
        return variables[name]

    return _PLACE.sub(one, text)


def _override(targets: dict[str, Target], word: str, replaced: set[tuple[str, str]]) -> None:
    """TARGET.KEY[.NAME][+]=VALUE; TARGET may be a pattern.  Raises UsageError."""
    head, equals, value = word.partition("=")
    adds = head.endswith("+")
    pattern, dot, rest = head.rstrip("+").partition(".")
    key, _, inner = rest.partition(".")
    key = _SET.get(key, key)
    if not equals or not dot or key not in FIELDS or key in ("inherits", "description"):
        raise UsageError(
            f'--set "{word}" is not offered', hint="TARGET.KEY=VALUE, as in *.pull=true"
        )
    kind = FIELDS[key]
    if (kind == _TABLE) != bool(inner):
        shown = f"TARGET.{key}.NAME=VALUE" if kind == _TABLE else f"TARGET.{key}=VALUE"
        raise UsageError(f'--set "{word}" is not offered', hint=shown)
    found = [name for name in targets if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        raise UsageError(f'--set "{word}": there is no target {pattern}')
    for name in found:
        target = targets[name]
        if kind == _TABLE:
            target[key] = {**(target.get(key) or {}), inner: value}
        elif kind == _LIST:
            # the first one replaces what the file says, those after it are added
            keeps = adds or (name, key) in replaced
            target[key] = [*((target.get(key) or []) if keeps else []), value]
            replaced.add((name, key))
        else:
            target[key] = _field(name, key, value, {})
