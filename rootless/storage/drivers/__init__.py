"""Storage drivers: how a root file system is put together."""
