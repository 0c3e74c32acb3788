"""Unit files, as podman's Quadlet reads them, translated into units of the user's systemd.

Scope: text to text.  `syntax` reads unit files, `search_paths` finds them and their drop-ins,
`container` and `volume_image` translate one file each, `generator` writes the result where systemd
reads it.  Nothing here asks systemd or the engine anything: the generator runs whenever systemd
loads its units, for every user who logs in, and a user without such files must not notice it.

Source: podman-systemd.unit(5), systemd.syntax(7), systemd.generator(7).
"""
