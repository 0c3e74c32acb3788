"""An overlay file system in Python, served through fuse-python: the driver `python-fuse`.

For hosts that have neither the kernel's overlay for users nor the program fuse-overlayfs.

markers.py   whiteouts and opaque directories, as the kernel and fuse-overlayfs write them
ids.py       ids beneath and ids shown
tree.py      which layer has a name: directories by descriptors, merged once and remembered
copyup.py    from a lower layer into the upper directory, complete or not at all
changes.py   everything that changes names
attributes.py  everything that changes what a name has
handles.py   open files
server.py    the operations as fuse-python wants them, and the program

One thread: the server is the only writer of the upper directory, and nothing changes while an
operation looks.  Source: the kernel's overlayfs.rst; fuse-overlayfs(1).
"""
