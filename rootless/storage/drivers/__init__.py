"""Storage drivers: how a root file system is put together; see README.md of the room."""
