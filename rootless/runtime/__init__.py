"""OCI runtime: configuration -> launch plan -> confined process."""
