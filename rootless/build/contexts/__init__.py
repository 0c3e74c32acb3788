"""Where the files of COPY and ADD come from: a directory, an archive, an address, a repository.

Whatever it was, it becomes a directory (`Context.path`).  What is in it is a stranger's: see
`rootless.build.resolve`.
"""

from rootless.build.contexts.context import Context, Givers, open_context, open_named

__all__ = ["Context", "Givers", "open_context", "open_named"]
