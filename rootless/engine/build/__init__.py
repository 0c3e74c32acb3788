"""Builds: carries out what the build room asks for, with images, storage and the runtime."""
