"""Network backends: how a container gets its network; see README.md of the room."""
