"""Volumes as the engine offers them."""
