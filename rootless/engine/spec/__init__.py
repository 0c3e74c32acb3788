"""From an image, options and the host to an OCI configuration."""
