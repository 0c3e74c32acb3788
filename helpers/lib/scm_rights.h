/* Descriptors over a local socket.  Source: unix(7), SCM_RIGHTS. */
#ifndef ROOTLESS_SCM_RIGHTS_H
#define ROOTLESS_SCM_RIGHTS_H
#include <stddef.h>
int send_descriptor(int socket, const void *data, size_t size, int fd); /* 0, or -1 with errno */
int receive_descriptor(int socket, void *data, size_t size, int *fd);   /* bytes; *fd is -1 for none */
#endif
