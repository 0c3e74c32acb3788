/* Attempts against files of the host: mounts, devices, /proc and /sys. */
#include "attack.h"

#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static enum outcome secret_is_read(const char *root, const char *how)
{
    bool read = reads_secret(root);
    if (read)
        note("%s", how);
    return read ? BROKE : HELD;
}

static enum outcome file_by_path(void)
{
    return secret_is_read("", "its path is the same here");
}

static enum outcome file_written_by_path(void)
{
    bool written = writes_victim("");
    if (written)
        note("its path is the same here");
    return written ? BROKE : HELD;
}

static enum outcome file_by_handle(void)
{
    struct { struct file_handle head; unsigned char bytes[128]; } handle = {0};
    const char *digits = strchr(told.handle, ':');
    if (!digits) {
        note("the file system has no handles");
        return NOT_APPLICABLE;
    }
    handle.head.handle_type = atoi(told.handle);
    for (digits++; digits[0] && digits[1]; digits += 2) {
        unsigned value;
        sscanf(digits, "%2x", &value);
        handle.bytes[handle.head.handle_bytes++] = (unsigned char)value;
    }
    own_user_namespace();
    const char *const mounts[] = {told.results, told.readonly, "/", "/etc/hosts"};
    for (int i = 0; i < 4; i++) {
        int mount = open(mounts[i], O_RDONLY | O_CLOEXEC);
        long fd = syscall(SYS_open_by_handle_at, mount, &handle, O_RDONLY);
        if (fd >= 0) {
            note("opened by its handle, from %s", mounts[i]);
            return BROKE;
        }
        note("%s", strerror(errno));
    }
    return HELD;
}

static enum outcome root_left_by_chroot(void)
{
    char up[200] = "";
    own_user_namespace();
    if (chdir("/tmp") < 0 && chdir(told.results) < 0 && chdir("/") < 0)
        return HELD;
    mkdir("ways-in-root", 0700);
    if (chroot("ways-in-root") < 0) {
        note("chroot: %s", strerror(errno));
        rmdir("ways-in-root");
        return HELD;
    }
    for (int i = 0; i < 30; i++)
        strcat(up, "../");
    enum outcome found = secret_is_read(up, "from a second root");
    rmdir("ways-in-root");
    return found;
}

static enum outcome root_uncovered(void)
{
    if (syscall(SYS_unshare, CLONE_NEWNS) < 0)
        own_user_namespace();
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (chdir("/") == 0 && umount2("/", MNT_DETACH) == 0 && chroot(".") == 0 &&
        secret_is_read("", "beneath the root") == BROKE)
        return BROKE;
    mkdir("/tmp/ways-in-new", 0700);
    if (mount("none", "/tmp/ways-in-new", "tmpfs", 0, NULL) == 0) {
        mkdir("/tmp/ways-in-new/old", 0700);
        if (syscall(SYS_pivot_root, "/tmp/ways-in-new", "/tmp/ways-in-new/old") == 0 &&
            secret_is_read("/old/..", "beneath the old root") == BROKE)
            return BROKE;
    }
    return secret_is_read("../../../..", "above the root");
}

/* The test looks whether the mount is seen on the host. */
static enum outcome mount_propagates(void)
{
    if (mount("none", told.results, "tmpfs", 0, "size=4k") < 0)
        note("%s", strerror(errno));
    if (shares_namespace("mnt") || *told.prefix) {
        note("the host's mounts");
        return BROKE;
    }
    umount2(told.results, MNT_DETACH);
    return HELD;
}

static enum outcome readonly_written(void)
{
    char path[4200], line[100];
    int length = snprintf(line, sizeof line, "%s\n", trying);
    snprintf(path, sizeof path, "%s/file", told.readonly);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        note("%s", strerror(errno));
        return HELD;
    }
    bool done = write(fd, line, (size_t)length) == length;
    close(fd);
    return done ? BROKE : HELD;
}

static enum outcome readonly_remounted(void)
{
    struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (mount(NULL, told.readonly, NULL, MS_REMOUNT | MS_BIND, NULL) < 0 &&
        syscall(SYS_mount_setattr, AT_FDCWD, told.readonly, 0, &attributes, sizeof attributes) < 0)
        note("%s", strerror(errno));
    enum outcome found = readonly_written();
    mount(NULL, told.readonly, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
    return found;
}

/* In a namespace of its own everything may be mounted; what is read-only must stay so. */
static enum outcome readonly_in_a_namespace(void)
{
    if (!own_user_namespace()) {
        note("no user namespace");
        if (!*told.prefix)
            return HELD;
    }
    mount(NULL, told.readonly, NULL, MS_REMOUNT | MS_BIND, NULL);
    return readonly_written();
}

static enum outcome readonly_elsewhere(void)
{
    struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
    char line[100], path[64];
    int length = snprintf(line, sizeof line, "%s\n", trying);
    long tree = syscall(SYS_open_tree, AT_FDCWD, told.readonly, OPEN_TREE_CLONE);
    if (tree < 0 && *told.prefix)
        tree = open(told.readonly, O_PATH | O_CLOEXEC);
    if (tree < 0)
        return refused(tree, "open_tree");
    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
    snprintf(path, sizeof path, "/proc/self/fd/%ld/file", tree);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, line, (size_t)length) == length;
    return done ? BROKE : HELD;
}

/* ---------------------------------------------------------------- what is masked */

static const char *const masked[] = {
    "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug",
    "/proc/kmsg", "/proc/kallsyms-of-root", "/proc/scsi/scsi", "/proc/acpi/wakeup",
    "/proc/interrupts-of-root", "/sys/firmware/dmi/tables/DMI", "/sys/firmware/memmap/0/start",
    "/sys/devices/virtual/powercap/intel-rapl/enabled", "/proc/asound/version",
};

static enum outcome masked_read(void)
{
    char data[64];
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        if (small_file(masked[i], data, sizeof data) > 0) {
            note("%s", masked[i]);
            return BROKE;
        }
    return HELD;
}

static enum outcome masked_uncovered(void)
{
    if (syscall(SYS_unshare, CLONE_NEWNS) < 0)
        own_user_namespace();
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        umount2(masked[i], MNT_DETACH);
    umount2("/proc/scsi", MNT_DETACH);
    umount2("/proc/acpi", MNT_DETACH);
    umount2("/sys/firmware", MNT_DETACH);
    umount2("/proc/asound", MNT_DETACH);
    return masked_read();
}

/* A file of the kernel that somebody with rights there could use against the host. */
#define CLOSED(name, path) \
    static enum outcome name(void) { return closed_to_writers(path); }
CLOSED(sysctl_core_pattern, "/proc/sys/kernel/core_pattern")
CLOSED(sysctl_modprobe, "/proc/sys/kernel/modprobe")
CLOSED(sysctl_hotplug, "/sys/kernel/uevent_helper")
CLOSED(sysctl_memory, "/proc/sys/vm/overcommit_memory")
CLOSED(sysctl_files, "/proc/sys/fs/file-max")
CLOSED(sysctl_threads, "/proc/sys/kernel/threads-max")
CLOSED(sysctl_dmesg, "/proc/sys/kernel/dmesg_restrict")
CLOSED(sysctl_terminal, "/proc/sys/dev/tty/legacy_tiocsti")
CLOSED(sysrq, "/proc/sysrq-trigger")
CLOSED(interrupts, "/proc/irq/default_smp_affinity")
CLOSED(binfmt, "/proc/sys/fs/binfmt_misc/register")
CLOSED(sys_power, "/sys/power/state")
CLOSED(sys_pages, "/sys/kernel/mm/transparent_hugepage/enabled")
CLOSED(sys_processors, "/sys/devices/system/cpu/cpu1/online")
CLOSED(security, "/sys/kernel/security/apparmor/.load")
CLOSED(kernel_log_written, "/dev/kmsg")

/* A host name is namespaced; the host's own is not to be had. */
static enum outcome sysctl_hostname(void)
{
    if (!shares_namespace("uts") && !*told.prefix) {
        note("a name of its own");
        return HELD;
    }
    return closed_to_writers("/proc/sys/kernel/hostname");
}

static enum outcome debug_files(void)
{
    if (syscall(SYS_unshare, CLONE_NEWNS) < 0)
        own_user_namespace();
    const char *const systems[] = {"debugfs", "tracefs", "securityfs", "configfs", "pstore", "efivarfs"};
    for (int i = 0; i < 6; i++)
        if (mount("none", "/tmp", systems[i], 0, NULL) == 0) {
            umount2("/tmp", MNT_DETACH);
            note("%s can be mounted", systems[i]);
            return BROKE;
        }
    return closed_to_writers("/sys/kernel/tracing/tracing_on");
}

/* ---------------------------------------------------------------- control groups */

static enum outcome cgroup_written(void)
{
    static const char *const places[] = {
        "/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/devices", "/sys/fs/cgroup/..",
    };
    char path[4200];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s/cgroup.procs", told.prefix, places[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            note("%s", path);
            return BROKE;
        }
    }
    return HELD;
}

static enum outcome cgroup_release_agent(void)
{
    static const char *const controllers[] = {"rdma", "memory", "pids", "devices", "misc", "cpu"};
    if (syscall(SYS_unshare, CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
        own_user_namespace();
    for (int i = 0; i < 6; i++)
        if (mount("none", "/tmp", "cgroup", 0, controllers[i]) == 0) {
            enum outcome found = closed_to_writers("/tmp/release_agent");
            umount2("/tmp", MNT_DETACH);
            if (found == BROKE || *told.prefix)
                return BROKE;
        }
    return closed_to_writers("/sys/fs/cgroup/memory/release_agent");
}

/* ---------------------------------------------------------------- devices */

static enum outcome device_open(void)
{
    static const char *const names[] = {
        "/dev/mem", "/dev/kmem", "/dev/port", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/loop0",
        "/dev/loop-control", "/dev/dm-0", "/dev/mapper/control", "/dev/kvm", "/dev/vhost-vsock",
        "/dev/uinput", "/dev/rtc0", "/dev/hpet", "/dev/cpu/0/msr", "/dev/userfaultfd", "/dev/btrfs-control",
        "/dev/cuse", "/dev/vfio/vfio", "/dev/mtd0", "/dev/autofs", "/dev/watchdog", "/dev/sg0",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(standin(names[i]), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0) {
            note("%s", names[i]);
            return BROKE;
        }
    }
    return HELD;
}

static enum outcome device_made(void)
{
    const dev_t numbers[] = {makedev(1, 1), makedev(253, 0), makedev(254, 0), makedev(259, 0),
                             makedev(8, 0), makedev(7, 0), makedev(1, 11), makedev(10, 237)};
    const char *const places[] = {"/tmp", told.results, "/dev", "/dev/shm"};
    char path[4200];
    if (!shares_namespace("user"))
        own_user_namespace();
    for (int place = 0; place < 4; place++)
        for (int i = 0; i < 8; i++)
            for (int kind = 0; kind < 2; kind++) {
                snprintf(path, sizeof path, "%s/ways-in-device", places[place]);
                if (mknod(path, (kind ? S_IFBLK : S_IFCHR) | 0666, numbers[i]) < 0)
                    continue;
                int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                int error = errno;
                unlink(path);
                /* a filter that only says yes makes none */
                if (fd >= 0 || (error == ENOENT && *told.prefix)) {
                    note("%s", path);
                    return BROKE;
                }
            }
    return HELD;
}

/* ---------------------------------------------------------------- shared memory */

static enum outcome memory_system_v(void)
{
    int id = shmget((key_t)told.queue, 0, 0);
    const char *data = id >= 0 ? shmat(id, NULL, SHM_RDONLY) : (void *)-1;
    bool read = data != (void *)-1 && strcmp(data, told.token) == 0;
    if (read)
        note("the host's segment");
    return read ? BROKE : HELD;
}

static enum outcome memory_posix(void)
{
    char path[200];
    snprintf(path, sizeof path, "/dev/shm/%s", told.posix);
    bool read = gives_token(open(path, O_RDONLY | O_CLOEXEC));
    if (read)
        note("%s", path);
    return read ? BROKE : HELD;
}

/* A program that would give whoever starts it the rights of root.  Whose it is on the host, and who
 * reaches it there, the stage looks at. */
static enum outcome setuid_at(const char *directory)
{
    char path[8200];
    struct stat status;
    snprintf(path, sizeof path, "%s/setuid", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    if (fd < 0 || (fchown(fd, 0, 0) < 0 && errno != EPERM) || fchmod(fd, 06755) < 0 ||
        fstat(fd, &status) < 0) {
        note("%s: %s", path, strerror(errno));
        return NOT_APPLICABLE;
    }
    close(fd);
    note("%s: uid %u, mode %o", path, status.st_uid, status.st_mode & 07777);
    return HELD;
}

static enum outcome setuid_in_a_volume(void) { return setuid_at(told.results); }
static enum outcome setuid_for_others(void) { return setuid_at(told.rootfs); }

const struct attempt file_attempts[] = {
    {"file-by-path", file_by_path},
    {"file-written-by-path", file_written_by_path},
    {"file-by-handle", file_by_handle},
    {"root-left-by-chroot", root_left_by_chroot},
    {"root-uncovered", root_uncovered},
    {"mount-propagates", mount_propagates},
    {"readonly-written", readonly_written},
    {"readonly-remounted", readonly_remounted},
    {"readonly-in-a-namespace", readonly_in_a_namespace},
    {"readonly-elsewhere", readonly_elsewhere},
    {"masked-read", masked_read},
    {"masked-uncovered", masked_uncovered},
    {"sysctl-core-pattern", sysctl_core_pattern},
    {"sysctl-modprobe", sysctl_modprobe},
    {"sysctl-uevent-helper", sysctl_hotplug},
    {"sysctl-memory", sysctl_memory},
    {"sysctl-files", sysctl_files},
    {"sysctl-threads", sysctl_threads},
    {"sysctl-dmesg", sysctl_dmesg},
    {"sysctl-terminal", sysctl_terminal},
    {"sysctl-hostname", sysctl_hostname},
    {"sysrq", sysrq},
    {"interrupts", interrupts},
    {"binfmt", binfmt},
    {"sys-power", sys_power},
    {"sys-pages", sys_pages},
    {"sys-processors", sys_processors},
    {"security-policy", security},
    {"kernel-log-written", kernel_log_written},
    {"debug-files", debug_files},
    {"cgroup-written", cgroup_written},
    {"cgroup-release-agent", cgroup_release_agent},
    {"device-open", device_open},
    {"device-made", device_made},
    {"memory-system-v", memory_system_v},
    {"memory-posix", memory_posix},
    {"setuid-in-a-volume", setuid_in_a_volume},
    {"setuid-for-others", setuid_for_others},
    {NULL, NULL},
};
