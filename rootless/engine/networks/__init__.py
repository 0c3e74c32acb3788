"""Networks with names: create, list, inspect, remove; docker-py's words."""
