"""Docker's HTTP API on a socket of the user's own, on top of the engine library."""
