"""Trees of files, whatever they belong to: removed, measured, read, copied, given to owners."""
