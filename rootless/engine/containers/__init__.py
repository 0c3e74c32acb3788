"""Containers: their life from created to removed, and what is known of them."""
