"""Signatures, and which images the user trusts."""
