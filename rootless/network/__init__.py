"""Networks of containers: backends, published ports, generated files; see README.md."""
