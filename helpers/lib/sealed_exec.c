#define _GNU_SOURCE
#include "lib/sealed_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int is_sealed(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int seals = fcntl(fd, F_GET_SEALS);
    close(fd);
    return seals >= 0 && (seals & SEALS) == SEALS;
}

int exec_sealed(const char *path, char *const argv[], char *const environment[])
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return -1;
    int copy = memfd_create("rootless-launch", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (copy < 0 && errno == EINVAL) /* before Linux 6.3 every memfd was executable */
        copy = memfd_create("rootless-launch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0)
        return -1;
    ssize_t moved;
    while ((moved = sendfile(copy, from, NULL, 1 << 20)) > 0)
        ;
    if (moved < 0 || fcntl(copy, F_ADD_SEALS, SEALS) < 0)
        return -1;
    return (int)syscall(SYS_execveat, copy, "", argv, environment, AT_EMPTY_PATH);
}
