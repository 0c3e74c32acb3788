"""The command `rootless-runtime`: an OCI runtime for other engines and for batch systems.

Words and habits are those of runc and crun, because other programs type them.  `state` and the
other verbs that print JSON print nothing else; errors go to standard error and to `--log`.
"""
