"""Events: written and read."""
