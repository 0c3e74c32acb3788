"""The Dockerfile language: text in, values out.  Nothing here touches a file or runs anything."""
