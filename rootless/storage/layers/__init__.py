"""Layers: unpacked, read, packed, verified."""
