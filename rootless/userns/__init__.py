"""User namespaces: subordinate ids, id maps, entering a namespace, running Python inside.

idmap.py    which id inside is which id outside
subids.py   /etc/subuid and /etc/subgid
helpers.py  newuidmap and newgidmap: can they work here?
calls.py    run a function of this package inside a user namespace
worker.py   the other end of that
"""
