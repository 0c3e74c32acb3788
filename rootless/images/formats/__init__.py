"""Manifests, configurations, layouts and compression."""
