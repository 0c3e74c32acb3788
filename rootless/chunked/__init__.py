"""Layers with a table of contents: zstd:chunked and eStargz.

Scope: the formats and nothing else; no network, no file systems.  The rooms `images` and `storage`
both read them, so they are neither's, and this package knows no room.
A table is written by a stranger.  It is a hint where the bytes of a file lie in a blob; what is
kept in the end is the blob, whose own digest is checked, and the tar in it.
Sources: containers/storage, containers-storage-zstd-chunked.md and its package pkg/chunked;
containerd/stargz-snapshotter, docs/estargz.md.
"""
