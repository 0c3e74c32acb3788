"""The table of ways in × attempts as text: who held."""

from __future__ import annotations

from typing import Any

TITLES = {"ways-in": "ways in x attempts", "baits": "what a container lays out x verbs"}
SIGNS = {"held": ".", "broke": "X", "not applicable": " "}


class Table:
    """The plugin that prints it, of the columns that whichever worker filled."""

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what tests recorded under the names of the tables."""
        for table, title in TITLES.items():
            columns = [
                value
                for reports in terminalreporter.stats.values()
                for report in reports
                for name, value in getattr(report, "user_properties", ())
                if name == table and report.when == "call"
            ]
            if columns:
                terminalreporter.write_line("\n".join(lines(columns, title)))


def lines(columns: list[dict[str, Any]], title: str) -> list[str]:
    """Numbered ways, then a line for each attempt; what broke is told below."""
    unique = {column["way"]: column["cells"] for column in columns}
    ways = list(unique)
    shown = ["", f"{title} ({len(ways)} columns; . held, X broke, blank not applicable)"]
    shown += [f"  {number:2} {way}" for number, way in enumerate(ways)]
    attempts = list(dict.fromkeys(name for cells in unique.values() for name in cells))
    shown.append(f"{'':26} " + "".join(str(number // 10) for number in range(len(ways))))
    shown.append(f"{'':26} " + "".join(str(number % 10) for number in range(len(ways))))
    for attempt in attempts:
        row = (SIGNS.get(unique[way].get(attempt, [""])[0], "?") for way in ways)
        shown.append(f"{attempt:26} " + "".join(row))
    shown.append(f"{'broke':26} of {len(attempts)}:")
    for way in ways:
        broke = [name for name, (outcome, _) in unique[way].items() if outcome == "broke"]
        shown.append(f"  {len(broke):3} {way}: {' '.join(broke) if len(broke) < 30 else '...'}")
    return shown
