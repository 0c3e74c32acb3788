"""Makes the extension `rootless.kernel._syscalls`; run while building, never imported afterwards.

Every function returns what the system call returns, or the negative error number: so nothing
depends on errno surviving between two calls.  Numbers and structures are written out where the C
library of an older host does not know them yet; all calls since Linux 5.1 have the same number on
every architecture.
"""

from __future__ import annotations

from cffi import FFI

builder = FFI()

builder.cdef(
    """
    long rl_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
    long rl_mount(const char *source, const char *target, const char *type, unsigned long flags,
                  const char *data);
    long rl_umount2(const char *target, int flags);
    long rl_open_tree(int dirfd, const char *path, unsigned flags);
    long rl_move_mount(int from, const char *from_path, int to, const char *to_path,
                       unsigned flags);
    long rl_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set,
                          uint64_t clear, uint64_t propagation, uint64_t userns);
    long rl_fsopen(const char *type, unsigned flags);
    long rl_fsconfig(int fd, unsigned command, const char *key, const char *value, int aux);
    long rl_fsmount(int fd, unsigned flags, unsigned attributes);
    long rl_unshare(int flags);
    long rl_setns(int fd, int flags);
    long rl_pivot_root(const char *new_root, const char *put_old);
    long rl_sethostname(const char *name, size_t length);
    long rl_setdomainname(const char *name, size_t length);
    long rl_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
    long rl_capget(int pid, uint64_t sets[3]);
    long rl_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
    long rl_pidfd_open(int pid, unsigned flags);
    long rl_pidfd_send_signal(int fd, int number);
    long rl_bpf_prog_load(unsigned type, const char *code, size_t size);
    long rl_bpf_prog_attach(int target, int program, unsigned type, unsigned flags);
    long rl_mknodat(int dirfd, const char *path, unsigned mode, uint64_t device);
    long rl_fchownat(int dirfd, const char *path, unsigned uid, unsigned gid, int flags);
    long rl_fchmodat2(int dirfd, const char *path, unsigned mode, int flags);
    long rl_utimensat(int dirfd, const char *path, int64_t times[4], int flags);
    long rl_lsetxattr(const char *path, const char *name, const char *value, size_t size,
                      int flags);
    long rl_setxattr(const char *path, const char *name, const char *value, size_t size,
                     int flags);
    long rl_fsetxattr(int fd, const char *name, const char *value, size_t size, int flags);
    long rl_renameat2(int from, const char *old, int to, const char *new_, unsigned flags);
    long rl_linkat(int from, const char *old, int to, const char *new_, int flags);
    long rl_statfs(const char *path, int64_t values[9]);
    long rl_fstatfs(int fd, int64_t values[9]);
    long rl_close_range(unsigned first, unsigned last, unsigned flags);
    long rl_ficlone(int to, int from);
    long rl_syncfs(int fd);
    long rl_new_file(int dirfd, const char *name, const char *data, size_t size, unsigned mode,
                     unsigned uid, unsigned gid, int64_t when[2]);
    """
)

builder.set_source(
    "rootless.kernel._syscalls",
    r"""
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <fcntl.h>
    #include <sched.h>
    #include <stdint.h>
    #include <sys/ioctl.h>
    #include <sys/prctl.h>
    #include <sys/stat.h>
    #include <sys/statfs.h>
    #include <sys/syscall.h>
    #include <sys/xattr.h>
    #include <time.h>
    #include <unistd.h>

    int mount(const char *, const char *, const char *, unsigned long, const void *);
    int umount2(const char *, int);

    #define NUMBER(name, number) enum { nr_ ## name = number }
    NUMBER(pidfd_send_signal, 424);
    NUMBER(open_tree, 428);
    NUMBER(move_mount, 429);
    NUMBER(fsopen, 430);
    NUMBER(fsconfig, 431);
    NUMBER(fsmount, 432);
    NUMBER(pidfd_open, 434);
    NUMBER(close_range, 436);
    NUMBER(openat2, 437);
    NUMBER(mount_setattr, 442);
    NUMBER(fchmodat2, 452);

    #define RESULT(call) do { \
            long result_ = (call); \
            return result_ < 0 ? -errno : result_; \
        } while (0)

    static long rl_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode,
                           uint64_t resolve)
    {
        struct { uint64_t flags, mode, resolve; } how = {flags, mode, resolve};
        long fd;
        int tries = 0;
        /* somebody renamed something, anywhere on the machine, while a ".." was on the way: the
         * kernel will not say that it stayed below the root (RESOLVE_IN_ROOT, RESOLVE_BENEATH) */
        do
            fd = syscall(nr_openat2, dirfd, path, &how, sizeof how);
        while (fd < 0 && errno == EAGAIN && resolve & 0x18 && ++tries < 10000);
        RESULT(fd);
    }

    static long rl_mount(const char *source, const char *target, const char *type,
                         unsigned long flags, const char *data)
    {
        RESULT(mount(source, target, type, flags, data));
    }

    static long rl_umount2(const char *target, int flags)
    {
        RESULT(umount2(target, flags));
    }

    static long rl_open_tree(int dirfd, const char *path, unsigned flags)
    {
        RESULT(syscall(nr_open_tree, dirfd, path, flags));
    }

    static long rl_move_mount(int from, const char *from_path, int to, const char *to_path,
                              unsigned flags)
    {
        RESULT(syscall(nr_move_mount, from, from_path, to, to_path, flags));
    }

    static long rl_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set,
                                 uint64_t clear, uint64_t propagation, uint64_t userns)
    {
        struct {
            uint64_t set, clear, propagation, userns;
        } attributes = {set, clear, propagation, userns};
        RESULT(syscall(nr_mount_setattr, dirfd, path, flags, &attributes, sizeof attributes));
    }

    static long rl_fsopen(const char *type, unsigned flags)
    {
        RESULT(syscall(nr_fsopen, type, flags));
    }

    static long rl_fsconfig(int fd, unsigned command, const char *key, const char *value, int aux)
    {
        RESULT(syscall(nr_fsconfig, fd, command, key, value, aux));
    }

    static long rl_fsmount(int fd, unsigned flags, unsigned attributes)
    {
        RESULT(syscall(nr_fsmount, fd, flags, attributes));
    }

    static long rl_unshare(int flags)
    {
        RESULT(unshare(flags));
    }

    static long rl_setns(int fd, int flags)
    {
        RESULT(setns(fd, flags));
    }

    static long rl_pivot_root(const char *new_root, const char *put_old)
    {
        RESULT(syscall(SYS_pivot_root, new_root, put_old));
    }

    static long rl_sethostname(const char *name, size_t length)
    {
        RESULT(sethostname(name, length));
    }

    static long rl_setdomainname(const char *name, size_t length)
    {
        RESULT(setdomainname(name, length));
    }

    static long rl_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                         unsigned long d)
    {
        RESULT(prctl(option, a, b, c, d));
    }

    struct cap_head { uint32_t version; int pid; };
    struct cap_data { uint32_t effective, permitted, inheritable; };
    enum { CAP_VERSION_3 = 0x20080522 };

    static long rl_capget(int pid, uint64_t sets[3])
    {
        struct cap_head head = {CAP_VERSION_3, pid};
        struct cap_data data[2] = {{0}};
        if (syscall(SYS_capget, &head, data) < 0)
            return -errno;
        sets[0] = data[0].effective | (uint64_t)data[1].effective << 32;
        sets[1] = data[0].permitted | (uint64_t)data[1].permitted << 32;
        sets[2] = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
        return 0;
    }

    static long rl_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
    {
        struct cap_head head = {CAP_VERSION_3, 0};
        struct cap_data data[2] = {
            {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
            {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
             (uint32_t)(inheritable >> 32)},
        };
        RESULT(syscall(SYS_capset, &head, data));
    }

    static long rl_pidfd_open(int pid, unsigned flags)
    {
        RESULT(syscall(nr_pidfd_open, pid, flags));
    }

    static long rl_pidfd_send_signal(int fd, int number)
    {
        RESULT(syscall(nr_pidfd_send_signal, fd, number, (void *)0, 0));
    }

    static long rl_bpf_prog_load(unsigned type, const char *code, size_t size)
    {
        struct {
            uint32_t type, count;
            uint64_t code, license;
            uint64_t unused[8];
        } wanted = {type, (uint32_t)(size / 8), (uintptr_t)code, (uintptr_t)"", {0}};
        RESULT(syscall(SYS_bpf, 5, &wanted, sizeof wanted));
    }

    static long rl_bpf_prog_attach(int target, int program, unsigned type, unsigned flags)
    {
        struct { uint32_t target, program, type, flags; } wanted = {
            (uint32_t)target, (uint32_t)program, type, flags};
        RESULT(syscall(SYS_bpf, 8, &wanted, sizeof wanted));
    }

    static long rl_mknodat(int dirfd, const char *path, unsigned mode, uint64_t device)
    {
        RESULT(mknodat(dirfd, path, mode, device));
    }

    static long rl_fchownat(int dirfd, const char *path, unsigned uid, unsigned gid, int flags)
    {
        RESULT(fchownat(dirfd, path, uid, gid, flags));
    }

    static long rl_fchmodat2(int dirfd, const char *path, unsigned mode, int flags)
    {
        RESULT(syscall(nr_fchmodat2, dirfd, path, mode, flags));
    }

    static long rl_utimensat(int dirfd, const char *path, int64_t times[4], int flags)
    {
        struct timespec both[2] = {{.tv_sec = times[0], .tv_nsec = times[1]},
                                   {.tv_sec = times[2], .tv_nsec = times[3]}};
        RESULT(utimensat(dirfd, path, both, flags));
    }

    static long rl_lsetxattr(const char *path, const char *name, const char *value, size_t size,
                             int flags)
    {
        RESULT(lsetxattr(path, name, value, size, flags));
    }

    static long rl_setxattr(const char *path, const char *name, const char *value, size_t size,
                            int flags)
    {
        RESULT(setxattr(path, name, value, size, flags));
    }

    static long rl_fsetxattr(int fd, const char *name, const char *value, size_t size, int flags)
    {
        RESULT(fsetxattr(fd, name, value, size, flags));
    }

    static long rl_renameat2(int from, const char *old, int to, const char *new_, unsigned flags)
    {
        RESULT(syscall(SYS_renameat2, from, old, to, new_, flags));
    }

    static long rl_linkat(int from, const char *old, int to, const char *new_, int flags)
    {
        RESULT(linkat(from, old, to, new_, flags));
    }

    static long statfs_values(int failed, const struct statfs *status, int64_t values[9])
    {
        if (failed)
            return -errno;
        values[0] = (int64_t)(uint32_t)status->f_type;
        values[1] = (int64_t)status->f_bsize;
        values[2] = (int64_t)status->f_blocks;
        values[3] = (int64_t)status->f_bfree;
        values[4] = (int64_t)status->f_bavail;
        values[5] = (int64_t)status->f_files;
        values[6] = (int64_t)status->f_ffree;
        values[7] = (int64_t)status->f_namelen;
        values[8] = (int64_t)status->f_flags;
        return 0;
    }

    static long rl_statfs(const char *path, int64_t values[9])
    {
        struct statfs status;
        return statfs_values(statfs(path, &status) < 0, &status, values);
    }

    static long rl_fstatfs(int fd, int64_t values[9])
    {
        struct statfs status;
        return statfs_values(fstatfs(fd, &status) < 0, &status, values);
    }

    static long rl_close_range(unsigned first, unsigned last, unsigned flags)
    {
        RESULT(syscall(nr_close_range, first, last, flags));
    }

    static long rl_ficlone(int to, int from)
    {
        RESULT(ioctl(to, _IOW(0x94, 9, int), from));
    }

    static long rl_syncfs(int fd)
    {
        RESULT(syncfs(fd));
    }

    /* The owner, the mode and the time of a file that was just made; 1: the owner is not mapped,
       2: the file system refuses it, and nothing was changed.
       A look costs less than a change that changes nothing, which the journal gets all the same. */
    static long finish_file(int fd, unsigned mode, unsigned uid, unsigned gid, int64_t when[2])
    {
        struct timespec both[2] = {{.tv_sec = when[0], .tv_nsec = when[1]},
                                   {.tv_sec = when[0], .tv_nsec = when[1]}};
        struct stat found;
        if (fstat(fd, &found) < 0)
            return -errno;
        if ((uid != (unsigned)-1 && uid != found.st_uid)
            || (gid != (unsigned)-1 && gid != found.st_gid)) {
            if (fchown(fd, uid, gid) < 0)
                return errno == EINVAL ? 1 : errno == EPERM ? 2 : -errno;
            found.st_mode &= 01777; /* that took the setuid bits away, so they are set again */
        }
        if ((found.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
            return -errno;
        return futimens(fd, both) < 0 ? -errno : 0;
    }

    static long rl_new_file(int dirfd, const char *name, const char *data, size_t size,
                            unsigned mode, unsigned uid, unsigned gid, int64_t when[2])
    {
        /* nobody else may look into it before it has its owner, unless everybody may afterwards */
        unsigned first = (mode & 07066) == 044 ? mode : 0600;
        int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        int fd = openat(dirfd, name, flags, first);
        long result = fd < 0 ? -errno : 0;
        while (!result && size) {
            ssize_t written = write(fd, data, size);
            if (written > 0) {
                data += written;
                size -= (size_t)written;
            } else if (written == 0 || errno != EINTR) {
                result = written ? -errno : -EIO;
            }
        }
        if (!result)
            result = finish_file(fd, mode, uid, gid, when);
        /* NFS and quotas report some errors only here */
        if (fd >= 0 && close(fd) < 0 && !result && errno != EINTR)
            result = -errno;
        return result;
    }
    """,
    py_limited_api=True,
    extra_link_args=["-s"],
)
