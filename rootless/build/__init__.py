"""Building of images: the Dockerfile language, contexts, a graph of operations, an executor."""
