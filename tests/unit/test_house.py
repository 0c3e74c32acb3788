"""House rules that no tool of the shelf knows: see docs/dev/overview.md and CONTRIBUTING.md."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rootless.network.backends import registry as networks
from rootless.storage.drivers import registry

TREE = Path(__file__).resolve().parents[2]
PACKAGE = TREE / "rootless"
DRIVERS = PACKAGE / "storage" / "drivers"
HOT_VERBS = ("run", "exec", "ps", "start", "stop", "logs", "inspect", "images")
LONGEST = 600

# built, fetched or kept by tools, not written by us
FOREIGN = {".git", "dist", "__pycache__", "_vendor", ".venv", ".mypy_cache", ".ruff_cache"}


def written(*suffixes: str) -> Iterator[Path]:
    """Files of the tree that people write, by suffix."""
    for directory, names, files in os.walk(TREE):
        names[:] = [n for n in names if n not in FOREIGN and not n.endswith(".egg-info")]
        if Path(directory) == TREE and "build" in names:
            names.remove("build")  # the compiler's; rootless/build would be ours
        for name in sorted(files):
            if name.endswith(suffixes):
                yield Path(directory, name)


def name_of(path: Path) -> str:
    """The dotted name of a module of the package."""
    parts = path.relative_to(TREE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def path_of(module: str) -> Path | None:
    """Where a dotted name of ours is, if it is a module."""
    base = TREE.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def imports_at_module_level(path: Path) -> set[str]:
    """Dotted names that loading a module imports; not those under `if TYPE_CHECKING`."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    found: set[str] = set()

    def visit(statements: list[ast.stmt]) -> None:
        for node in statements:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*above, base] if base else above)
                found.add(base)
                # `from rootless import paths` names a module as well
                found.update(
                    f"{base}.{alias.name}" for alias in node.names if base.startswith("rootless")
                )
            elif isinstance(node, ast.If):
                if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                    visit(node.body)
                visit(node.orelse)
            elif isinstance(node, ast.Try):
                visit(node.body)
                for handler in node.handlers:
                    visit(handler.body)
                visit(node.orelse)
                visit(node.finalbody)
            elif isinstance(node, ast.With | ast.ClassDef):
                visit(node.body)

    visit(ast.parse(path.read_text()).body)
    return found


def hot_modules() -> dict[str, Path]:
    """The modules that a hot verb loads, however far down: by the imports at module level."""
    begin = [PACKAGE / "cli" / "main.py"]
    begin += [PACKAGE / "cli" / "verbs" / f"{verb}.py" for verb in HOT_VERBS]
    # loaded by their names, which no import statement tells
    begin += [DRIVERS / (name.replace("-", "_") + ".py") for name in registry.NAMES]
    waiting = [name_of(path) for path in begin]
    hot: dict[str, Path] = {}
    while waiting:
        module = waiting.pop()
        path = path_of(module)
        if path is None or module in hot:
            continue
        hot[module] = path
        parts = module.split(".")
        # loading a.b.c loads a and a.b first
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += [name for name in imports_at_module_level(path) if name.startswith("rootless")]
    return hot


def allowed_in_hot_modules() -> set[str]:
    """The list in docs/dev/overview.md, which is the one place that has it."""
    text = (TREE / "docs/dev/overview.md").read_text()
    section = text.partition("## Hot modules")[2].partition("\n## ")[0]
    match = re.search(r"cost nothing:\s*`([^`]+)`", section)
    assert match, "docs/dev/overview.md no longer says what hot modules may import"
    return set(match[1].split())


def test_no_module_is_longer_than_the_house_allows() -> None:
    long = {
        str(path.relative_to(TREE)): count
        for path in written(".py", ".c", ".h")
        if (count := path.read_text().count("\n")) > LONGEST
    }
    assert not long, f"over {LONGEST} lines: has each of them one subject? {long}"


def test_hot_modules_import_only_what_costs_nothing() -> None:
    # the command line and the exit of the process; the rest is in docs/dev/overview.md
    allowed = allowed_in_hot_modules() | {"__future__", "rootless", "_cffi_backend"}
    wrong = [
        f"{path.relative_to(TREE)}: {name}"
        for _, path in sorted(hot_modules().items())
        for name in sorted(imports_at_module_level(path))
        if name.partition(".")[0] not in allowed
    ]
    assert not wrong, "imports at module level that make every command slower:\n" + "\n".join(wrong)


def test_hot_verbs_really_load_nothing_heavy(entry: list[str], tmp_path: Path) -> None:
    text = (TREE / "docs/dev/overview.md").read_text()
    match = re.search(r"Never at module level:\s*`([^`]+)`", text)
    assert match
    heavy = set(match[1].split()) | {"click", "rich", "platformdirs", "urllib", "http", "ctypes"}
    environment = {
        "HOME": str(tmp_path),
        "ROOTLESS_DATA_DIR": str(tmp_path / "data"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    for verb in ("ps", "images"):
        done = subprocess.run(
            [entry[0], "-X", "importtime", *entry[1:], verb],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert not loaded & heavy, f"`rootless {verb}` loads {sorted(loaded & heavy)}"


def test_nothing_uses_ctypes() -> None:
    users = [
        str(path.relative_to(TREE))
        for path in written(".py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(a.name.startswith("ctypes") for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ctypes"))
    ]
    assert not users, f"cffi in API mode is the only road into the kernel: {users}"


def test_public_modules_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(TREE))
        for path in written(".py")
        if (text := path.read_text()).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert not silent, f"no docstring: {silent}"


def test_files_are_finished() -> None:
    # put together here, so that this file does not find itself
    marks = ["TO" + "DO", "FIX" + "ME", "<" * 7 + " ", ">" * 7 + " ", "breakpoint" + "("]
    wrong = [
        f"{path.relative_to(TREE)}:{number}: {mark.strip()}"
        for path in written(".py", ".c", ".h", ".sh", ".md", ".toml", "run", "Makefile")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for mark in marks
        if mark in line
    ]
    assert not wrong, "\n".join(wrong)


def project() -> dict[str, Any]:
    """The table of that name in pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    return table


def test_what_is_declared_is_used() -> None:
    used = set()
    for path in written(".py"):
        if path.is_relative_to(PACKAGE):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    used |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    used.add((node.module or "").partition(".")[0])
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    # the name alone, for what is looked for before it is imported
                    used.add(node.value.partition(".")[0])
    declared = {re.split(r"[<>=; ]", line)[0] for line in project()["dependencies"]}
    modules = {name.removesuffix("-python").partition(".")[0] for name in declared}
    assert modules - used == set()


def test_documents_name_only_extras_that_exist() -> None:
    extras = set(project()["optional-dependencies"])
    wrong = [
        f"{path.relative_to(TREE)}: {name}"
        for path in written(".md")
        for names in re.findall(r"(?:rootless|[\"' ]\.)\[([a-z, ]+)\](?!\()", path.read_text())
        for name in re.split(r", *", names)
        if name not in extras
    ]
    assert not wrong, wrong


def test_shell_scripts_pass_shellcheck() -> None:
    scripts = []
    for path in written("", ".sh"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 200_000:
            with open(path, "rb") as file:
                if re.match(rb"#! ?/(usr/)?bin/(env )?(ba|da)?sh\b", file.read(64)):
                    scripts.append(path)
    assert TREE / "install.sh" in scripts
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


# words that are also names of drivers, where they mean something else: file, what is compared
OTHER_MEANINGS = {
    ("rootless/cli/completion.py", "kind"),  # what an option names
    ("rootless/engine/containers/start.py", "name"),  # an operation of the launch plan
    ("rootless/storage/volumes/options.py", "made.kind"),  # of a volume
    ("rootless/storage/volumes/options.py", "name"),  # an option of a volume
}


def compared_with(tree: ast.Module, names: set[str]) -> Iterator[tuple[int, str]]:
    """(line, what) of every comparison with one of the names, and of every list of some of them."""

    def named(node: ast.AST) -> set[str]:
        if isinstance(node, ast.Constant):
            return {node.value} & names if isinstance(node.value, str) else set()
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return {one for element in node.elts for one in named(element)}
        if isinstance(node, ast.Dict):
            return {one for key in node.keys if key is not None for one in named(key)}
        return set()

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(named, sides)):
                others = [ast.unparse(side) for side in sides if not named(side)]
                yield node.lineno, ", ".join(others)
        elif isinstance(node, ast.MatchValue) and named(node.value):
            yield node.value.lineno, "case " + ast.unparse(node.value)
        elif isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
            if len(named(node)) > 1:
                yield node.lineno, ast.unparse(node)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith")
            and any(map(named, node.args))
        ):
            yield node.lineno, ast.unparse(node)


def test_nobody_compares_names_of_storage_drivers() -> None:
    """What a driver can do is asked of its object; see rootless/storage/README.md."""
    every = {*registry.NAMES, registry.DIRECTORY}
    wrong = []
    for path in written(".py"):
        if not path.is_relative_to(PACKAGE) or path == DRIVERS / "registry.py":
            continue
        own = path.stem.replace("_", "-") if path.parent == DRIVERS else ""
        for line, what in compared_with(ast.parse(path.read_text()), every - {own}):
            name = str(path.relative_to(TREE))
            if (name, what) not in OTHER_MEANINGS:
                wrong.append(f"{name}:{line}: {what}")
    assert not wrong, "\n".join(wrong)


def test_the_search_for_comparisons_finds_them() -> None:
    text = """
if choice.name == "copy" or "copy" != driver or driver in ("zfs", "copy"): pass
if driver not in {"copy"}: pass
match driver:
    case "copy": pass
TABLE = {"copy": 1, "zfs": 2}
argv[0].endswith("zfs")
fine(driver, "copy"); FINE = {"copy": 1}; driver == other
"""
    found = [line for line, _ in compared_with(ast.parse(text), {"copy", "zfs"})]
    assert sorted(found) == [2, 2, 2, 2, 3, 5, 6, 7]


# what is meant to name backends: the registry, refusals and help texts for users
NETWORKS_ARE_NAMED_IN = {
    "rootless/network/backends/registry.py",
    "rootless/cli/container_flags.py",
    "rootless/cli/unsupported.py",
    "rootless/engine/spec/options.py",
    "rootless/quadlet/container.py",
    # RUN --network, which has words of its own: default, none, host
    "rootless/cli/verbs/_build_request.py",
    "rootless/build/stage.py",
    "rootless/engine/build/library.py",
}


def names_of_networks(tree: ast.Module, names: set[str]) -> Iterator[tuple[int, str]]:
    """(line, what) of comparisons of a network with a name, and of names that mean nothing else.

    "host", "none" and "container" mean many things: they count where a network is compared.
    """
    for line, what in compared_with(tree, names):
        if "network" in what.lower():
            yield line, what
    own = {name for name in names if name not in ("host", "none", "container")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # docstrings may speak of what exists
            if "\n" not in node.value and any(name in node.value for name in own):
                yield node.lineno, node.value
        elif isinstance(node, ast.ImportFrom) and (node.module or "").endswith("network.backends"):
            for one in node.names:
                if one.name.replace("_", "-") in names:
                    yield node.lineno, f"import {one.name}"


def test_nobody_compares_names_of_networks() -> None:
    """What a network does is asked of its backend; see rootless/network/README.md."""
    home = PACKAGE / "network" / "backends"
    wrong = []
    for path in written(".py"):
        name = str(path.relative_to(TREE))
        if not path.is_relative_to(PACKAGE) or name in NETWORKS_ARE_NAMED_IN:
            continue
        own = path.stem.replace("_", "-") if path.parent == home else ""
        found = names_of_networks(ast.parse(path.read_text()), {*networks.NAMES} - {own})
        wrong += [f"{name}:{line}: {what}" for line, what in found]
    assert not wrong, "\n".join(wrong)


def test_helpers_know_no_network_backend_by_its_name() -> None:
    wrong = []
    for path in written(".c", ".h"):
        if path.is_relative_to(TREE / "helpers") and path.name != "udp.c":
            # the forwarder of UDP ports says whose work it does, and why
            text = path.read_text()
            wrong += [f"{path.name}: {name}" for name in ("slirp", "pasta") if name in text]
    assert not wrong, wrong


def test_the_search_for_names_of_networks_finds_them() -> None:
    text = """
if draft.network.kind == "none": pass
if record["network"] not in ("host", "none"): pass
path = "/usr/bin/slirp4netns"
from rootless.network.backends import host
if userns == "host": pass
"""
    found = [line for line, _ in names_of_networks(ast.parse(text), {*networks.NAMES})]
    assert sorted(set(found)) == [2, 3, 4, 5]
