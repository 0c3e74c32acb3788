"""The host and the whole store: info, df, prune, check, doctor."""
