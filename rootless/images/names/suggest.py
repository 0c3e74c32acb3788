"""Which known names look like a mistyped one.

Scope: hints.  Written by hand because difflib costs as much as starting a container.
"""

from __future__ import annotations


def nearest(wanted: str, known: list[str], limit: int = 3) -> list[str]:
    """Return at most `limit` of the known names, the most similar first; none if none is
    similar."""
    if not any(mark in wanted.rpartition("/")[2] for mark in ":@"):
        wanted += ":latest"
    scored = []
    for name in known[:500]:
        same_name = name.partition(":")[0] == wanted.partition(":")[0]
        cost = 0 if same_name else distance(wanted[:80], name[:80])
        if cost <= max(1, len(wanted) // 4):
            scored.append((cost, name))
    return [name for _, name in sorted(scored)[:limit]]


def distance(left: str, right: str) -> int:
    """Return how many characters must be put in, taken out or replaced (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
