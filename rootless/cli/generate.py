"""Write the modules that are made from the table of the options of containers.

    python -m rootless.cli.generate [--check]

To be called after container_flags.py has been changed; a unit test does so with --check, which
changes nothing and names the files that would change.
"""

from __future__ import annotations

import os
import sys
import textwrap

from rootless.cli import container_flags
from rootless.cli.container_flags import HEALTH, LIMITS, SECTIONS, ContainerFlag
from rootless.cli.options import FLAG, LIST, NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NOTE = """\
Made from rootless/cli/container_flags.py by `python -m rootless.cli.generate`; not to be edited.
"""
_OPTIONS = '''\
"""What can be asked of a container: the options of `run` and `create`, `-` written `_`.

{note}"""

from __future__ import annotations

from rootless.engine.spec.option_values import ContainerValues

TYPE_CHECKING = False


class ContainerOptions(ContainerValues):
    """Options of `create` and `run`, as the command line has them.

    command (list of str, or str): The command and its arguments
    healthcheck (dict): A health check as docker's Python client describes it
{documentation}
    """

    LISTS = (
        "command", "create_command",
{lists}
    )  # fmt: skip
    FLAGS = (
{flags}
    )  # fmt: skip
    # and numbers: what has no value without being given
    TEXTS = (
{texts}
    )  # fmt: skip
    NUMBERS = (
{numbers}
    )  # fmt: skip
    ARGV = ({argv})
    # the names of docker's Python client
    ALIASES = {{
{aliases}
    }}
    # what cgroups.limits.parse takes; `update` has these as well
    LIMITS = (
{limits}
    )  # fmt: skip
    # what health.config.parse takes
    HEALTH = (
{health}
    )  # fmt: skip
    # what nobody can have without root or with cgroup version 2, and why
    REFUSED = {{
{refused}
    }}

    if TYPE_CHECKING:
{fields}
'''
_KEYS = '''\
"""Keys of `.container` files that are options of `run`.

{note}"""

from __future__ import annotations

# key: flag; the last assignment counts
LAST = {{
{last}
}}
# each assignment is one value
EACH = {{
{each}
}}
# each word of each assignment is one value
WORDS = {{
{words}
}}
# there or not
FLAGS = {{
{flags}
}}
'''


def _fields() -> list[ContainerFlag]:
    return [one for _, flags in SECTIONS for one in flags if one.field]


def _type(one: ContainerFlag) -> str:
    if one.argv:
        return "str | list[str] | None"
    return {FLAG: "bool", LIST: "list[str]", NUMBER: "int | None"}.get(one.kind, "str | None")


def _names(flags: Iterable[ContainerFlag], indent: int = 8) -> str:
    """Their names as lines of a tuple."""
    text = ", ".join(f'"{one.dest}"' for one in flags) + ","
    return textwrap.fill(text, 100, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _pairs(table: dict[str, str], indent: int) -> str:
    lines = []
    for key, value in table.items():
        line = f'{" " * indent}"{key}": "{value}",'
        if len(line) > 100:
            parts = textwrap.wrap(
                value, 97 - indent, initial_indent=" " * (len(key) + 4), drop_whitespace=False
            )
            quoted = [f'"{one}"' for one in (parts[0].lstrip(), *parts[1:])]
            line = f'{" " * indent}"{key}": ' + f"\n{' ' * indent}".join(quoted) + ","
        lines.append(line)
    return "\n".join(lines)


def _type_in_words(one: ContainerFlag) -> str:
    shown = {"list[str]": "list of str", "int | None": "int", "str | None": "str",
             "str | list[str] | None": "str, or list of str"}  # fmt: skip
    return shown.get(_type(one), _type(one))


def _documentation(flags: Iterable[ContainerFlag]) -> str:
    lines = [
        textwrap.fill(
            f"{one.dest} ({_type_in_words(one)}): {one.help}".replace("\\", "\\\\"),
            100,
            initial_indent="    ",
            subsequent_indent="        ",
            break_on_hyphens=False,
        )
        for one in sorted(flags, key=lambda one: one.dest)
        if not one.fails
    ]
    return "\n".join(lines)


def options() -> str:
    """The module of ContainerOptions."""
    every = _fields()
    plain = [one for one in every if one.kind not in (LIST, FLAG)]
    return _OPTIONS.format(
        note=_NOTE,
        documentation=_documentation(every),
        lists=_names(one for one in every if one.kind == LIST),
        flags=_names(one for one in every if one.kind == FLAG),
        texts=_names(plain),
        numbers=_names(one for one in every if one.kind == NUMBER),
        argv=", ".join(f'"{one.dest}"' for one in every if one.argv),
        aliases=_pairs({name: one.dest for one in every for name in one.aliases.split()}, 8),
        limits=_names(LIMITS),
        health=_names(one for one in HEALTH if one.kind != FLAG),
        refused=_pairs({one.dest: one.fails for one in every if one.fails}, 8),
        fields="\n".join(f"        {one.dest}: {_type(one)}" for one in every),
    )


def quadlet_keys() -> str:
    """The module of the keys of unit files."""
    tables: dict[str, dict[str, str]] = {"LAST": {}, "EACH": {}, "WORDS": {}, "FLAGS": {}}
    for one in _fields():
        key, _, words = one.quadlet.partition(" ")
        if key:
            kind = {LIST: "EACH", FLAG: "FLAGS"}.get(one.kind, "LAST")
            # the first spelling of several letters
            name = next(name for name in one.names if name.startswith("--"))
            tables["WORDS" if words else kind][key] = name
    return _KEYS.format(
        note=_NOTE,
        **{name.lower(): _pairs(dict(sorted(table.items())), 4) for name, table in tables.items()},
    )


def collection() -> str:
    """The module of `engine.containers`, with the names of the options where `run` has them."""
    with open(os.path.join(PACKAGE, _COLLECTION), encoding="utf-8") as file:
        text = file.read()
    before, mark, after = text.partition(_BEFORE_NAMES)
    if not mark:
        raise ValueError(f"{_COLLECTION} does not say where the names of options belong")
    by_type: dict[str, list[str]] = {}
    for one in sorted(_fields(), key=lambda one: one.dest):
        if not one.fails:
            by_type.setdefault(_type_in_words(one), []).append(one.dest)
    lines = [
        textwrap.fill(
            f"{kind}: {', '.join(names)}",
            100,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        for kind, names in sorted(by_type.items())
    ]
    _, end, after = after.partition('        """')
    return f"{before}{mark}" + "\n".join(lines) + f"\n{end}{after}"


_COLLECTION = "engine/containers/collection.py"
_BEFORE_NAMES = """"rootless.engine.spec.options.ContainerOptions") describes them:
"""
MADE = {
    "engine/spec/options.py": options,
    "quadlet/flag_keys.py": quadlet_keys,
    _COLLECTION: collection,
}


def main() -> int:
    """Write what differs; with --check name it, and end with 1."""
    code = 0
    for name, make in MADE.items():
        path = os.path.join(PACKAGE, name)
        text = make()
        try:
            with open(path, encoding="utf-8") as file:
                if file.read() == text:
                    continue
        except FileNotFoundError:
            pass
        if "--check" in sys.argv[1:]:
            sys.stdout.write(f"{path} is not what {container_flags.__name__} gives\n")
            code = 1
            continue
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        sys.stdout.write(f"{path}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
