"""A daemonless container engine for people without root."""

from __future__ import annotations

__version__ = "0.1.0"
