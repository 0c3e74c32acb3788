"""Documents for contributors: links lead somewhere, and the tables of formats are the code's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rootless.engine.build import layers as build_layers
from rootless.engine.containers import record as container_record
from rootless.engine.containers import state as container_state
from rootless.engine.health import config as health_config
from rootless.images import record as image_record
from rootless.runtime import operations, orders
from rootless.storage.volumes import record as volume_record

TREE = Path(__file__).resolve().parents[2]
FORMATS = TREE / "docs/dev/formats.md"
FOREIGN = {".git", "_vendor", ".venv", "dist"}


def documents() -> list[Path]:
    """All documents of the tree that people write."""
    found = {path: path.relative_to(TREE).parts for path in sorted(TREE.rglob("*.md"))}
    # the directory `build` at the top is the compiler's
    return [path for path, parts in found.items() if not FOREIGN & {*parts} and parts[0] != "build"]


def prose(path: Path) -> str:
    """A document without its blocks of code, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a document."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.M):
        text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(text.strip().replace(" ", "-"))
    return found


def links() -> Iterator[tuple[Path, str, str]]:
    """(document, path, anchor) of every link that is not to a server."""
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
            if "://" not in target:
                where, _, anchor = target.partition("#")
                yield path, where, anchor


def test_links_between_documents_lead_somewhere() -> None:
    wrong = []
    for path, where, anchor in links():
        target = path.parent / where if where else path
        if not target.exists():
            wrong.append(f"{path.relative_to(TREE)}: {where}")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            wrong.append(f"{path.relative_to(TREE)}: {where}#{anchor}")
    assert not wrong, wrong


def test_each_room_has_a_readme() -> None:
    rooms = {path.parent.name for path in (TREE / "rootless").glob("*/__init__.py")}
    lacking = {room for room in rooms if not (TREE / "rootless" / room / "README.md").exists()}
    assert not lacking, lacking
    for directory in ("rootless", "helpers", "tests"):
        assert (TREE / directory / "README.md").exists(), directory


def test_paths_that_documents_name_exist() -> None:
    """`engine/containers/gc.py` in a document for contributors: below rootless, helpers or here."""
    wrong = []
    for path in documents():
        if "dev" not in path.parts and path.name != "README.md" and path.name != "CONTRIBUTING.md":
            continue
        for name in re.findall(r"`([a-z][\w./-]*/[\w.-]+\.(?:py|c|h))`", prose(path)):
            if re.search(r"\b[A-Z]+\b", name):
                continue  # NAME.py stands for any
            bases = (TREE, TREE / "rootless", TREE / "helpers", TREE / "tests", path.parent)
            if not any((base / name).exists() for base in bases):
                wrong.append(f"{path.relative_to(TREE)}: {name}")
    assert not wrong, wrong


@pytest.mark.parametrize(
    "heading, numbers",
    [("### Operations", operations.NUMBERS), ("### Orders", orders.NUMBERS)],
)
def test_every_operation_and_order_is_documented(heading: str, numbers: dict[str, int]) -> None:
    section = FORMATS.read_text().partition(heading)[2].partition("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| `([\w-]+)` \|", section, re.M)
    assert {name: int(number) for number, name in rows} == numbers


def keys(shape: Any) -> set[str]:
    """The names of all fields in a shape, however deep."""
    found: set[str] = set()
    if isinstance(shape, dict):
        for name, inner in shape.items():
            found |= {name.removesuffix("?")} - {"*"} | keys(inner)
    elif isinstance(shape, list | tuple):
        for inner in shape:
            found |= keys(inner)
    return found


@pytest.mark.parametrize(
    "section, shape",
    [
        ("## `container.json`", container_record.SHAPE),
        ("## `container.json`", container_record._RESOURCES),
        ("## `state`", container_state.SHAPE),
        ("## `volume.json`", volume_record.SHAPE),
        ("## `images/records/HEX.json`", {**image_record.SHAPE, "config": dict}),
        ("## `images/records/HEX.json`", {**image_record.LIST, "manifests": dict}),
        ("## Other documents", build_layers.LAYER_SHAPE),
        ("## Other documents", build_layers.KEY_SHAPE),
        ("### Health", health_config._KNOWN),
    ],
)
def test_every_field_of_a_document_is_documented(section: str, shape: Any) -> None:
    text = FORMATS.read_text().partition(section)[2].partition("\n## ")[0]
    assert text, section
    lacking = {name for name in keys(shape) if not re.search(rf"\b{re.escape(name)}\b", text)}
    assert not lacking
