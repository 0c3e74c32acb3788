"""Images from one place to another."""
