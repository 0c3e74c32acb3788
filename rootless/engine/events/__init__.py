"""What happens: written and read."""
