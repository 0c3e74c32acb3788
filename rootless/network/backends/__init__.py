"""Network backends: how a container gets its network."""
