"""One summary of several runs: what tests/run starts before and beside the last one counts there.

Each run of pytest writes its reports to $ROOTLESS_TEST_REPORTS_OUT.  The last one reads those of
the others from the directory $ROOTLESS_TEST_REPORTS_IN, where tests/run keeps:
    NAME.reports   what a run of pytest reported, one JSON a line
    NAME.broken    what a stage printed that ended otherwise than by a failed test
    NAME.running   locked while that stage runs: the summary waits for it
    stages         seconds, seconds of processors, and a name for each stage
and prints where the time went.
"""

from __future__ import annotations

import collections
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

SHOWN = 10


class Summary:
    """The plugin of the process that reports, not of xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.began = time.monotonic()
        self.out = os.environ.get("ROOTLESS_TEST_REPORTS_OUT", "")
        self.directory = Path(os.environ.get("ROOTLESS_TEST_REPORTS_IN") or "/nonexistent")
        self.seconds: collections.Counter[str] = collections.Counter()

    # ------------------------------------------------------------------ writing

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write each report down where the last run finds it."""
        self.seconds[report.nodeid] += report.duration
        if self.out:
            data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
            data.pop("node", None)  # xdist's worker, which has no form in JSON
            with open(self.out, "a") as file:
                file.write(json.dumps(data, default=str) + "\n")

    # ------------------------------------------------------------------ reading

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Count the results of the other runs, so that the last line tells everything."""
        if not self.directory.is_dir():
            return
        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        for path in self.directory.glob("*.running"):
            with open(path) as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        reports = [
            self.config.hook.pytest_report_from_serializable(
                config=self.config, data=json.loads(line)
            )
            for path in sorted(self.directory.glob("*.reports"))
            for line in path.read_text().splitlines()
        ]
        reports += [
            pytest.TestReport(
                path.stem, ("", None, ""), {}, "failed", path.read_text(), "setup", start=0, stop=0
            )
            for path in sorted(self.directory.glob("*.broken"))
        ]
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        for report in reports:
            self.seconds[report.nodeid] += report.duration
            category, _, _ = self.config.hook.pytest_report_teststatus(
                report=report, config=self.config
            )
            if category:
                terminal.stats.setdefault(category, []).append(report)
            if report.failed:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
                session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print where the time went."""
        if not self.directory.is_dir() or len(self.seconds) < SHOWN:
            return
        write = terminalreporter.write_line
        terminalreporter.section("where the time went")
        stages = self.directory / "stages"
        for line in stages.read_text().splitlines() if stages.exists() else ():
            took, busy, name = line.split(maxsplit=2)
            write(f"{float(took):7.0f} s {float(busy):7.0f} s of processors  {name}")
        write(f"{time.monotonic() - self.began:7.0f} s {'':24}these tests")
        files: collections.Counter[str] = collections.Counter()
        numbers: collections.Counter[str] = collections.Counter()
        for name, seconds in self.seconds.items():
            files[name.partition("::")[0]] += seconds
            numbers[name.partition("::")[0]] += 1
        write("the slowest files, all their tests added:")
        for name, seconds in files.most_common(SHOWN):
            write(f"{seconds:7.0f} s {numbers[name]:5} tests  {name}")
        rest = files.most_common()[SHOWN:]
        write(
            f"{sum(seconds for _, seconds in rest):7.0f} s "
            f"{sum(numbers[name] for name, _ in rest):5} tests  in {len(rest)} other files"
        )
        write("the slowest tests:")
        for name, seconds in self.seconds.most_common(SHOWN):
            write(f"{seconds:7.1f} s  {name}")
