/* Attempts against processes of the host, and of whoever enters the container. */
#include "attack.h"

#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

void each_process(bool (*look)(pid_t pid))
{
    DIR *all = opendir("/proc");
    for (struct dirent *one; all && (one = readdir(all));) {
        pid_t pid = atoi(one->d_name);
        if (pid > 0 && look(pid))
            break;
    }
    if (all)
        closedir(all);
}

/* This test's own: others may run beside it. */
static bool names_host_process(pid_t pid)
{
    char path[64], data[1024];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    long length = small_file(path, data, sizeof data);
    if (length <= 0 || strcmp(data, "ways-in-process") != 0)
        return false;
    const char *end = strrchr(told.secret, '/');
    return !end || memmem(data, (size_t)length, told.secret, (size_t)(end - told.secret));
}

static pid_t seen;

static bool look_for_it(pid_t pid)
{
    if (names_host_process(pid))
        seen = pid;
    return seen != 0;
}

pid_t host_process(void)
{
    char path[64];
    seen = 0;
    each_process(look_for_it);
    if (seen)
        return seen;
    /* without /proc its number may still do; another process may have that one here */
    snprintf(path, sizeof path, "/proc/%ld", told.process);
    if (access(path, F_OK) < 0 && (kill((pid_t)told.process, 0) == 0 || errno == EPERM))
        return (pid_t)told.process;
    return 0;
}

/* The attempts below need its number; where it has none here, they have failed. */
#define NEED_PROCESS(pid)                                                                         \
    pid_t pid = host_process();                                                                   \
    if (!pid) {                                                                                   \
        note("no process of the host has a number here");                                         \
        return HELD;                                                                              \
    }

static enum outcome process_seen(void)
{
    pid_t pid = host_process();
    if (pid)
        note("process %d of the host", pid);
    return pid && names_host_process(pid) ? BROKE : HELD;
}

static enum outcome process_signalled(void)
{
    NEED_PROCESS(pid)
    return refused(kill(pid, SIGUSR1), "kill");
}

static enum outcome process_traced(void)
{
    NEED_PROCESS(pid)
    enum outcome found = refused(ptrace(PTRACE_SEIZE, pid, 0, 0), "ptrace");
    return found;
}

static enum outcome process_memory_read(void)
{
    NEED_PROCESS(pid)
    char data[64] = "";
    struct iovec here = {data, sizeof data}, there = {process_memory, sizeof data};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) > 0 && strstr(data, told.token)) {
        note("process_vm_readv");
        return BROKE;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pread(fd, data, sizeof data, (off_t)(uintptr_t)process_memory) > 0 &&
        memmem(data, sizeof data, told.token, strlen(told.token))) {
        note("%s", path);
        return BROKE;
    }
    return HELD;
}

static enum outcome process_memory_written(void)
{
    NEED_PROCESS(pid)
    char data[] = "";
    struct iovec here = {data, 1}, there = {process_memory + sizeof process_memory - 1, 1};
    return refused(process_vm_writev(pid, &here, 1, &there, 1, 0), "process_vm_writev");
}

static enum outcome process_environment(void)
{
    NEED_PROCESS(pid)
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    bool read = gives_token(open(path, O_RDONLY | O_CLOEXEC));
    if (read)
        note("%s", path);
    return read ? BROKE : HELD;
}

static enum outcome process_descriptors(void)
{
    NEED_PROCESS(pid)
    long fd = syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return refused(fd, "pidfd_open");
    return refused(syscall(SYS_pidfd_getfd, fd, 0, 0), "pidfd_getfd");
}

static enum outcome process_compared(void)
{
    NEED_PROCESS(pid)
    return refused(syscall(SYS_kcmp, pid, pid, 0, 0, 0), "kcmp");
}

static enum outcome process_oom_score(void)
{
    NEED_PROCESS(pid)
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
    return closed_to_writers(path);
}

static enum outcome process_priority(void)
{
    NEED_PROCESS(pid)
    return refused(setpriority(PRIO_PROCESS, (id_t)pid, 1), "setpriority");
}

static enum outcome process_processors(void)
{
    NEED_PROCESS(pid)
    cpu_set_t set;
    if (sched_getaffinity(pid, sizeof set, &set) < 0)
        return HELD;
    return refused(sched_setaffinity(pid, sizeof set, &set), "sched_setaffinity");
}

static enum outcome process_limits(void)
{
    NEED_PROCESS(pid)
    struct rlimit limit = {0, 0};
    if (prlimit(pid, RLIMIT_CORE, NULL, &limit) < 0)
        return refused(-1, "prlimit");
    return refused(prlimit(pid, RLIMIT_CORE, &limit, NULL), "prlimit");
}

/* ---------------------------------------------------------------- by way of /proc */

static const char *below;
static bool write_there, done;

static bool root_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, below);
    done = write_there ? writes_victim(path) : reads_secret(path);
    if (done)
        note("%s", path);
    return done;
}

static enum outcome through(const char *what, bool write)
{
    below = what;
    write_there = write;
    done = false;
    each_process(root_of);
    return done ? BROKE : HELD;
}

static enum outcome root_read(void) { return through("root", false); }
static enum outcome root_written(void) { return through("root", true); }
static enum outcome directory_read(void)
{
    return through("cwd/../../../../../../../../../../..", false);
}

static bool descriptors_of(pid_t pid)
{
    char path[64], inner[400];
    if (pid == getpid() || pid == getppid())
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *all = opendir(path);
    for (struct dirent *one; !done && all && (one = readdir(all));) {
        snprintf(inner, sizeof inner, "/proc/%d/fd/%s/../../../../../../../../../../..", pid,
                 one->d_name);
        done = one->d_name[0] != '.' && reads_secret(inner);
    }
    if (done)
        note("%s", inner);
    if (all)
        closedir(all);
    return done;
}

static enum outcome others_descriptors(void)
{
    done = false;
    each_process(descriptors_of);
    return done ? BROKE : HELD;
}

/* A program that a process runs and that is no file of ours: the runtime's. */
static bool foreign_program(pid_t pid, int flags, int *fd)
{
    char path[64], target[4096];
    struct stat by_link, by_name;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0 || stat(path, &by_link) < 0)
        return false;
    target[length] = 0;
    if (strncmp(target, "/busybox", 8) == 0 || strncmp(target, "/attack", 7) == 0 ||
        strstr(target, "/ways-in/"))
        return false;
    if (stat(target, &by_name) == 0 && by_name.st_ino == by_link.st_ino)
        return false;
    *fd = open(path, flags | O_CLOEXEC);
    return true;
}

/* Writes the byte that is there: whoever can do that can write others.  While it runs a program is
 * busy, and can be written as soon as it has ended, unless it is sealed. */
static bool writable(pid_t pid, int fd, int error)
{
    char first, path[64];
    if (fd >= 0)
        return pread(fd, &first, 1, 0) == 1 && pwrite(fd, &first, 1, 0) == 1;
    if (error != ETXTBSY)
        return false;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    int seals = fcntl(fd, F_GET_SEALS);
    close(fd);
    return fd >= 0 && !(seals >= 0 && seals & F_SEAL_WRITE);
}

static bool program_of(pid_t pid)
{
    int fd = -1;
    done = foreign_program(pid, O_RDWR, &fd) && writable(pid, fd, errno);
    if (fd >= 0)
        close(fd);
    if (done)
        note("/proc/%d/exe", pid);
    return done;
}

static enum outcome runtime_written(void)
{
    done = false;
    each_process(program_of);
    return done ? BROKE : HELD;
}

/* ---------------------------------------------------------------- namespaces of the host */

static const char *kind;

static bool namespace_of(pid_t pid)
{
    char path[64], own[64];
    struct stat theirs, ours;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
    snprintf(own, sizeof own, "/proc/self/ns/%s", kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool other = fd >= 0 && fstat(fd, &theirs) == 0 && stat(own, &ours) == 0 &&
                 is_the_hosts_namespace(kind, theirs.st_ino) &&
                 (theirs.st_ino != ours.st_ino || *told.prefix);
    if (other && setns(fd, 0) == 0) {
        done = true;
        note("entered %s", path);
    }
    if (fd >= 0)
        close(fd);
    return done;
}

static enum outcome enter(const char *what)
{
    kind = what;
    done = false;
    each_process(namespace_of);
    return done ? BROKE : HELD;
}

static enum outcome enter_mnt(void) { return enter("mnt"); }
static enum outcome enter_user(void) { return enter("user"); }
static enum outcome enter_net(void) { return enter("net"); }
static enum outcome enter_pid(void) { return enter("pid"); }
static enum outcome enter_ipc(void) { return enter("ipc"); }
static enum outcome enter_cgroup(void) { return enter("cgroup"); }

/* ---------------------------------------------------------------- whoever enters */

static const char *lurk_path;
static unsigned lurk_told;
static struct stat own_root;

static void tell(unsigned bit, const char *name, const char *what, pid_t pid)
{
    char line[300];
    if (lurk_told & bit)
        return;
    lurk_told |= bit;
    int fd = open(lurk_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    int length = snprintf(line, sizeof line, "%s\tbroke\t%s of %d\n", name, what, pid);
    if (write(fd, line, (size_t)length) != length)
        _exit(1);
    close(fd);
}

static bool lurk_at(pid_t pid)
{
    char path[64];
    int fd = -1;
    if (pid == getpid())
        return false;
    snprintf(path, sizeof path, "/proc/%d/root", pid);
    if (reads_secret(path))
        tell(1, "entering-root", "the host's files below the root", pid);
    trying = "entering-root-written";
    if (writes_victim(path))
        tell(2, "entering-root-written", "the host's files below the root", pid);
    snprintf(path, sizeof path, "/proc/%d/cwd/../../../../../../../../..", pid);
    if (reads_secret(path))
        tell(4, "entering-directory", "the host's files below the directory", pid);
    if (foreign_program(pid, O_RDWR, &fd)) {
        if (writable(pid, fd, errno))
            tell(8, "entering-program", "the program", pid);
        if (fd >= 0)
            close(fd);
        snprintf(path, sizeof path, "/proc/%d/mem", pid);
        fd = open(path, O_RDWR | O_CLOEXEC);
        int again = -1;
        if (fd >= 0 && foreign_program(pid, O_PATH, &again))
            tell(16, "entering-memory", "the memory", pid);
        if (fd >= 0)
            close(fd);
        if (again >= 0)
            close(again);
        again = -1;
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
            if (foreign_program(pid, O_PATH, &again))
                tell(32, "entering-traced", "ptrace", pid);
            /* to be let go it has to stop */
            int status;
            if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0 && waitpid(pid, &status, __WALL) == pid)
                ptrace(PTRACE_DETACH, pid, 0, 0);
            if (again >= 0)
                close(again);
        }
    }
    done = false;
    write_there = false;
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        char data[8192];
        ssize_t got = read(fd, data, sizeof data);
        if (got > 0 && memmem(data, (size_t)got, "WAYS_IN_SECRET=", 15))
            tell(64, "entering-environment", "the environment", pid);
        close(fd);
    }
    descriptors_of(pid);
    if (done)
        tell(128, "entering-descriptors", "a directory of the host", pid);
    return false;
}

int lurk(const char *path)
{
    lurk_path = path;
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (stat("/", &own_root) < 0)
        return 1;
    /* the file exists as soon as it looks */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    fchmod(fd, 0666);
    close(fd);
    for (;;) {
        struct stat now;
        /* the test empties the file before each way in */
        if (stat(path, &now) == 0 && now.st_size == 0)
            lurk_told = 0;
        each_process(lurk_at);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ; /* as the first process it has orphans */
        sched_yield();
    }
}

const struct attempt process_attempts[] = {
    {"process-seen", process_seen},
    {"process-signalled", process_signalled},
    {"process-traced", process_traced},
    {"process-memory-read", process_memory_read},
    {"process-memory-written", process_memory_written},
    {"process-environment", process_environment},
    {"process-descriptors", process_descriptors},
    {"process-compared", process_compared},
    {"process-oom-score", process_oom_score},
    {"process-priority", process_priority},
    {"process-processors", process_processors},
    {"process-limits", process_limits},
    {"root-of-others-read", root_read},
    {"root-of-others-written", root_written},
    {"directory-of-others", directory_read},
    {"descriptors-of-others", others_descriptors},
    {"runtime-written", runtime_written},
    {"enter-mnt", enter_mnt},
    {"enter-user", enter_user},
    {"enter-net", enter_net},
    {"enter-pid", enter_pid},
    {"enter-ipc", enter_ipc},
    {"enter-cgroup", enter_cgroup},
    {NULL, NULL},
};
