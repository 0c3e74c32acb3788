"""The images of this host: records, blobs, garbage collection."""
