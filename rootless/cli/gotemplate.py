"""The part of Go's text/template that scripts use with `--format`.

Source: https://pkg.go.dev/text/template.  Fields, variables, pipelines, `if`, `range`, `with`,
comments, trim markers, comparison and logic, `len`, `index`, `slice`, `printf`, `print`, `println`,
and docker's own `json`, `join`, `split`, `upper`, `lower`, `title`, `pad`, `truncate`.
A field that an object does not have is an error that names those there are, as with docker.
Where keys are data, as in labels, what is not there prints `<no value>`, as docker does.
"""

from __future__ import annotations

import re

from rootless.cli.gofunctions import FUNCTIONS, METHODS, MISSING, shown, true
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rootless.documents import Json

    # (kind, what it needs): see _Parser
    Node = tuple[str, Json]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<variable>\$\w*)|(?P<field>\.\w[\w-]*)|(?P<dot>\.)|(?P<word>\w+)"""
    r"""|(?P<punct>:=|=|\||\(|\)|,))"""
)


class Template:
    """A template, ready to be applied to any number of objects.  Raises UsageError."""

    def __init__(self, text: str) -> None:
        self.text = text
        parser = _Parser(text)
        self.nodes = parser.block(())[0]

    def render(self, data: Json) -> str:
        """The text for one object."""
        parts: list[str] = []
        _Run(self.text, data).nodes(self.nodes, data, {"$": data}, parts)
        return "".join(parts)

    def names(self) -> set[str] | None:
        """The fields of the object that it shows, in any branch; None if it wants the whole."""
        found: set[str] = set()
        return found if _named(self.nodes, True, found) else None


def _named(nodes: list[Node], top: bool, found: set[str]) -> bool:
    """Collect the fields of the object; False where all of it is wanted.

    `top`: the dot is the object itself, as it is outside of range and with.
    """
    for kind, what in nodes:
        if kind == "text":
            continue
        if kind == "if":
            parts = [(condition or [], body, top) for condition, body in what]
        elif kind == "with":
            parts = [(what[0], what[1], False), ([], what[2], top)]
        elif kind == "range":
            parts = [(what[2], what[3], False), ([], what[4], top)]
        else:
            parts = [(what[1] if kind == "set" else what, [], top)]
        for pipe, body, still in parts:
            operands = [operand for command in pipe for operand in command]
            if not all([_used(operand, top, found) for operand in operands]):
                return False
            if not _named(body, still, found):
                return False
    return True


def _used(operand: Json, top: bool, found: set[str]) -> bool:
    kind, what = operand
    if kind == "field":
        (base, _), name = what
        if base == "dot" and top or what[0] == ("variable", "$"):
            found.add(name)
            return True
        return _used(what[0], top, found) if base != "dot" else True
    if kind == "pipe":
        return all([_used(one, top, found) for command in what for one in command])
    return not (kind == "dot" and top or operand == ("variable", "$"))


# ------------------------------------------------------------ parsing


class _Parser:
    """Text -> nodes: ("text", str), ("show", pipe), ("set", (name, pipe)), ("if", [(pipe, nodes)]),
    ("range", (key, value, pipe, nodes, else)), ("with", (pipe, nodes, else))."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.pieces = list(self._split(text))
        self.at = 0

    def _wrong(self, why: str) -> UsageError:
        return UsageError(
            f"invalid template {self.source!r}: {why}", hint="as in {{.Name}} or {{json .}}"
        )

    def _split(self, text: str) -> list[tuple[bool, str]]:
        found: list[tuple[bool, str]] = []
        at = 0
        trim = False
        while True:
            begin = text.find("{{", at)
            plain = text[at:] if begin < 0 else text[at:begin]
            if trim:
                plain = plain.lstrip()
            if begin < 0:
                if plain:
                    found.append((False, plain))
                return found
            end = self._close(text, begin + 2)
            action = text[begin + 2 : end]
            if action.startswith("- "):
                plain, action = plain.rstrip(), action[2:]
            trim = action.endswith(" -")
            if trim:
                action = action[:-2]
            if plain:
                found.append((False, plain))
            found.append((True, action.strip()))
            at = end + 2

    def _close(self, text: str, at: int) -> int:
        if re.match(r"-?\s*/\*", text[at:]):
            end = text.find("*/", at)
            close = text.find("}}", end) if end >= 0 else -1
        else:
            close = -1
            quote = ""
            while at < len(text):
                letter = text[at]
                if quote:
                    if letter == "\\" and quote == '"':
                        at += 1
                    elif letter == quote:
                        quote = ""
                elif letter in '"`':
                    quote = letter
                elif text.startswith("}}", at):
                    close = at
                    break
                at += 1
        if close < 0:
            raise self._wrong("an action is not closed by }}")
        return close

    def block(self, enders: tuple[str, ...]) -> tuple[list[Node], str]:
        """Nodes until one of the words in `enders`; that action's text, "" at the end."""
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            action, text = self.pieces[self.at]
            self.at += 1
            if not action:
                nodes.append(("text", text))
                continue
            word = text.split(None, 1)[0] if text else ""
            if word in ("end", "else"):
                if word not in enders:
                    raise self._wrong(f"{{{{{word}}}}} belongs to nothing")
                return nodes, text
            if text.startswith("/*"):
                continue
            nodes.append(self._action(word, text))
        if enders:
            raise self._wrong("an {{end}} is missing")
        return nodes, ""

    def _action(self, word: str, text: str) -> Node:
        rest = text[len(word) :]
        if word == "if":
            return self._if(rest)
        if word == "with":
            body, otherwise = self._bodies()
            return "with", (self.pipe(rest), body, otherwise)
        if word == "range":
            key, value, rest = self._range_names(rest)
            body, otherwise = self._bodies()
            return "range", (key, value, self.pipe(rest), body, otherwise)
        found = re.match(r"(\$\w+)\s*:?=\s*", text)
        if found:
            return "set", (found[1], self.pipe(text[found.end() :]))
        return "show", self.pipe(text)

    def _if(self, rest: str) -> Node:
        branches: list[tuple[Json, list[Node]]] = []
        condition = self.pipe(rest)
        while True:
            body, end = self.block(("end", "else"))
            branches.append((condition, body))
            if end == "end":
                return "if", branches
            words = end.split(None, 2)
            if len(words) > 1 and words[1] == "if":
                condition = self.pipe(words[2] if len(words) > 2 else "")
                continue
            body, _ = self.block(("end",))
            branches.append((None, body))
            return "if", branches

    def _bodies(self) -> tuple[list[Node], list[Node]]:
        body, end = self.block(("end", "else"))
        return body, self.block(("end",))[0] if end == "else" else []

    def _range_names(self, rest: str) -> tuple[str, str, str]:
        found = re.match(r"\s*(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=", rest)
        if not found:
            return "", "", rest
        key, value = (found[1], found[2]) if found[2] else ("", found[1])
        return key, value, rest[found.end() :]

    # expressions: a pipe is a list of commands, a command a list of operands

    def pipe(self, text: str) -> Json:
        """A pipeline as [[operand, ...], ...]."""
        tokens: list[tuple[str, str, bool]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found or found.end() == at:
                raise self._wrong(f"{text[at:].strip()!r} is not understood")
            kind = found.lastgroup or ""
            spaced = found.start(kind) > at or at == 0
            tokens.append((kind, found[kind], spaced))
            at = found.end()
        made, rest = self._commands(tokens)
        if rest or not all(made):
            raise self._wrong(f"{text.strip()!r} is not understood")
        return made

    def _commands(
        self, tokens: list[tuple[str, str, bool]]
    ) -> tuple[Json, list[tuple[str, str, bool]]]:
        commands: list[Json] = [[]]
        while tokens:
            kind, text, spaced = tokens[0]
            if text == ")" and kind == "punct":
                break
            tokens = tokens[1:]
            current = commands[-1]
            if kind == "punct" and text == "|":
                commands.append([])
            elif kind == "punct" and text == "(":
                inner, tokens = self._commands(tokens)
                if not tokens or not all(inner):
                    raise self._wrong("a ( is not closed, or nothing is in it")
                tokens = tokens[1:]
                current.append(("pipe", inner))
            elif kind == "punct":
                raise self._wrong(f"{text} is out of place")
            elif kind == "field" and current and not spaced and current[-1][0] != "word":
                base = current.pop()
                current.append(("field", (base, text[1:])))
            elif kind == "field":
                current.append(("field", (("dot", None), text[1:])))
            elif kind == "string":
                current.append(("value", _unquote(text)))
            elif kind == "number":
                current.append(("value", float(text) if "." in text else int(text)))
            elif kind == "word" and text in ("true", "false", "nil"):
                current.append(("value", {"true": True, "false": False, "nil": None}[text]))
            elif kind == "word" and text not in FUNCTIONS:
                raise UsageError(
                    f'unknown template function "{text}"', hint=", ".join(sorted(FUNCTIONS))
                )
            else:
                current.append((kind, text))
        return commands, tokens


def _unquote(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]
    table = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}
    return re.sub(r"\\(.)", lambda m: table.get(m[1], m[0]), text[1:-1])


# ------------------------------------------------------------ running


class _Run:
    """One application of a template."""

    def __init__(self, text: str, top: Json) -> None:
        self.text = text
        self.top = top
        # docker's maps, by identity: an object looks no different in JSON
        self.maps: set[int] = set()

    def nodes(self, nodes: list[Node], dot: Json, names: dict[str, Json], out: list[str]) -> None:
        """Apply nodes in order."""
        for kind, what in nodes:
            if kind == "text":
                out.append(what)
            elif kind == "show":
                out.append(shown(self.pipe(what, dot, names)))
            elif kind == "set":
                names[what[0]] = self.pipe(what[1], dot, names)
            elif kind == "if":
                for condition, body in what:
                    if condition is None or true(self.pipe(condition, dot, names)):
                        self.nodes(body, dot, names, out)
                        break
            elif kind == "with":
                value = self.pipe(what[0], dot, names)
                if true(value):
                    self.nodes(what[1], value, dict(names), out)
                else:
                    self.nodes(what[2], dot, dict(names), out)
            else:
                self._range(what, dot, names, out)

    def _range(self, what: Json, dot: Json, names: dict[str, Json], out: list[str]) -> None:
        key, value, pipe, body, otherwise = what
        found = self.pipe(pipe, dot, names)
        if isinstance(found, dict):
            items = sorted(found.items())
        elif isinstance(found, (list, tuple)):
            items = list(enumerate(found))
        elif isinstance(found, int) and not isinstance(found, bool):
            items = [(i, i) for i in range(found)]
        else:
            items = []
        for number, one in items:
            inner = dict(names)
            if key:
                inner[key] = number
            if value:
                inner[value] = one
            self.nodes(body, one, inner, out)
        if not items:
            self.nodes(otherwise, dot, names, out)

    def pipe(self, commands: Json, dot: Json, names: dict[str, Json]) -> Json:
        """The value of a pipeline: each command gets the former one's value as last operand."""
        value: Json = None
        for number, command in enumerate(commands):
            last = [value] if number else []
            value = self._command(command, dot, names, last)
        return value

    def _command(self, command: Json, dot: Json, names: dict[str, Json], last: list[Json]) -> Json:
        kind, what = command[0]
        if kind == "word":
            arguments = [self._operand(one, dot, names) for one in command[1:]] + last
            try:
                return FUNCTIONS[what](*arguments)
            except UsageError:
                raise
            except (TypeError, ValueError, IndexError, KeyError, AttributeError):
                raise UsageError(f"the template function {what} cannot be used so") from None
        if kind == "field" and (len(command) > 1 or last):
            # docker's rows have methods: {{.Label "team"}}
            method = METHODS.get(what[1])
            if method is not None and len(command) - 1 + len(last) == 1:
                given = last or [self._operand(command[1], dot, names)]
                return method(self._operand(what[0], dot, names), *given)
        if len(command) > 1 or last:
            raise UsageError(f"invalid template {self.text!r}: a value takes no operands")
        return self._operand(command[0], dot, names)

    def _operand(self, operand: Json, dot: Json, names: dict[str, Json]) -> Json:
        kind, what = operand
        if kind == "value":
            return what
        if kind == "dot":
            return dot
        if kind == "variable":
            if what not in names:
                raise UsageError(f"the template has no variable {what}")
            return names[what]
        if kind == "pipe":
            return self.pipe(what, dot, names)
        if kind == "word":
            return FUNCTIONS[what]()
        base, name = what
        return self._field(self._operand(base, dot, names), name)

    def _field(self, value: Json, name: str) -> Json:
        if isinstance(value, dict) and name in value:
            found = value[name]
            # Config is a map of its own in LogConfig only, which has a Type beside it
            data = name in _MAPS or (name == "Config" and "Type" in value)
            if isinstance(found, dict) and data:
                self.maps.add(id(found))
            return found
        if value is MISSING or value is None or id(value) in self.maps:
            return MISSING
        if isinstance(value, dict) and (other := as_kept(name, value)):
            return self._field(value, other)
        if not isinstance(value, dict):
            raise UsageError(f'there is no field "{name}" in {shown(value)!r}')
        if name in _OPTIONAL and value is not self.top:
            return MISSING
        raise UsageError(f'there is no field "{name}"', hint=near(name, value))


# podman's other names of its fields; where Go has another name than JSON
_ALIASES = {
    "ID": "Id", "ImageID": "Image", "Src": "Source", "Dst": "Destination", "Healthcheck": "Health",
    "CgroupsVersion": "cgroupVersion", "DefaultCapabilities": "capabilities", "CPUs": "cpus",
}  # fmt: skip


def as_kept(name: str, value: dict[str, Json]) -> str:
    """The key of a field that a template names in another way; "" if there is none.

    podman's documents have `idMappings` or `created_by` where its templates say `IDMappings` and
    `CreatedBy`.
    """
    if _ALIASES.get(name) in value:
        return _ALIASES[name]
    if name[:1].isupper():
        plain = name.lower()
        for key in value:
            if key[:1].islower() and key.replace("_", "").lower() == plain:
                return key
    return ""


# docker's fields whose keys are data
_MAPS = frozenset(
    """Labels Annotations Ports PortBindings ExposedPorts Volumes Networks Tmpfs Sysctls Data
    Options labels annotations""".split()
)

# what is left out where there is nothing to say
_OPTIONAL = frozenset(
    """Health Healthcheck HealthcheckOnFailureAction HealthLogDestination HealthcheckMaxLogCount
    HealthcheckMaxLogSize StartupHealthCheck Name Driver Propagation StopSignal Shell OnBuild
    ArgsEscaped created created_by comment empty_layer author annotations variant features
    os.version os.features subject artifactType platform urls data config layers manifests
    mediaType""".split()
)


def near(name: str, known: Iterable[str]) -> str:
    """Which field may have been meant, and all there are."""
    import difflib

    low = {one.lower(): one for one in known}
    close = [low[one] for one in difflib.get_close_matches(name.lower(), low, 1)]
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}there are " + ", ".join(sorted(known))
