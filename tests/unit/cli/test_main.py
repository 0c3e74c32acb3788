"""What becomes of errors that nobody below the command line has taken."""

from __future__ import annotations

import pytest

from rootless.cli import main


def test_an_interrupt_in_the_making_of_a_class(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python before 3.12 wraps it."""

    def run(_: object) -> int:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(main, "_run", run)
    monkeypatch.setattr("sys.argv", ["rootless", "ps"])
    assert main.main() == 130
    assert "internal" not in capfd.readouterr().err
