"""Networks of containers: slirp4netns, published ports, generated files."""
