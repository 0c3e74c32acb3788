"""Layers, root file systems and volumes on disk."""
