"""Names of images, and which registry and which file stands for one."""
