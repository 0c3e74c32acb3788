/* What a process sees of itself, as JSON: the only file in the root file system of some tests.
 *
 *   probe                    everything
 *   probe WORD ARG ...       tries one thing after the other, one line of JSON each:
 *     open PATH FLAGS        r, w or c (create); the error number, or 0
 *     stat PATH              mode, uid, gid, major and minor
 *     read PATH              the first kilobyte
 *     list PATH              names
 *     call NUMBER A B C      a system call with numbers; result and error number
 *     call32 NUMBER A B C    the same as a program of 32 bits would make it (x86)
 *     stdin PATH             what comes on standard input goes to PATH
 *     wait                   for ever
 *     fail                   ends with status 9
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static void text(const char *value)
{
    putchar('"');
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 32)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void field(const char *name, const char *value)
{
    printf(", \"%s\": ", name);
    text(value);
}

static void file(const char *name, const char *path)
{
    static char data[1 << 16];
    size_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && done < sizeof data - 1 && (got = read(fd, data + done, sizeof data - 1 - done)) > 0;)
        done += (size_t)got;
    data[done] = 0;
    field(name, data);
    if (fd >= 0)
        close(fd);
}

static void words(const char *name, char **values)
{
    printf(", \"%s\": [", name);
    for (int i = 0; values[i]; i++) {
        printf("%s", i ? ", " : "");
        text(values[i]);
    }
    putchar(']');
}

static void ids(void)
{
    uid_t u[3];
    gid_t g[3], groups[64];
    getresuid(&u[0], &u[1], &u[2]);
    getresgid(&g[0], &g[1], &g[2]);
    printf("{\"uids\": [%u, %u, %u], \"gids\": [%u, %u, %u], \"groups\": [", u[0], u[1], u[2], g[0], g[1], g[2]);
    int count = getgroups(64, groups);
    for (int i = 0; i < count; i++)
        printf("%s%u", i ? ", " : "", groups[i]);
    putchar(']');
}

static void limits(void)
{
    printf(", \"rlimits\": [");
    for (int i = 0; i < 16; i++) {
        struct rlimit limit;
        getrlimit(i, &limit);
        printf("%s[%lld, %lld]", i ? ", " : "", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    putchar(']');
}

static void priorities(void)
{
    struct { unsigned size, policy; unsigned long long flags; int nice; unsigned priority;
             unsigned long long runtime, deadline, period; } attributes = {0};
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
    long io = syscall(SYS_ioprio_get, 1, 0);
    int memory = -1;
    syscall(SYS_get_mempolicy, &memory, NULL, 0, NULL, 0);
    printf(", \"memory_policy\": %d", memory);
    printf(", \"policy\": %u, \"policy_flags\": %llu, \"nice\": %d, \"ioprio\": [%ld, %ld], \"processors\": %d",
           attributes.policy, attributes.flags, attributes.nice, io >> 13, io & 8191, CPU_COUNT(&set));
}

static void namespaces(void)
{
    static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    char path[64], target[64];
    printf(", \"namespaces\": {");
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        printf("%s\"%s\": \"%s\"", i ? ", " : "", names[i], target);
    }
    putchar('}');
}

static void descriptors(void)
{
    printf(", \"descriptors\": [");
    for (int fd = 0, first = 1; fd < 8192; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("%s%d", first ? "" : ", ", fd);
            first = 0;
        }
    putchar(']');
}

static void everything(char **argv, char **environment)
{
    char where[4096] = "";
    struct utsname name;
    struct winsize size = {0};
    ids();
    mode_t mask = umask(0);
    umask(mask);
    syscall(SYS_getcwd, where, sizeof where);
    uname(&name);
    printf(", \"umask\": %u, \"pid\": %d, \"session\": %d, \"personality\": %d, \"dumpable\": %d", mask, getpid(),
           getsid(0), personality(0xffffffff), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    field("cwd", where);
    field("hostname", name.nodename);
    field("domainname", name.domainname);
    words("args", argv);
    words("env", environment);
    limits();
    priorities();
    namespaces();
    descriptors();
    file("status", "/proc/self/status");
    file("uid_map", "/proc/self/uid_map");
    file("gid_map", "/proc/self/gid_map");
    file("mounts", "/proc/self/mountinfo");
    file("oom_score_adj", "/proc/self/oom_score_adj");
    file("timens_offsets", "/proc/self/timens_offsets");
    file("cgroup", "/proc/self/cgroup");
    ioctl(0, TIOCGWINSZ, &size);
    printf(", \"terminal\": %d, \"size\": [%d, %d]}\n", isatty(0), size.ws_row, size.ws_col);
}

static long call32(const long *n)
{
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(n[0]), "b"(n[1]), "c"(n[2]), "d"(n[3]) : "memory");
    return result;
#else
    return -ENOSYS;
#endif
}

static int try_further(char **argv, int left)
{
    const char *what = argv[0];
    if (strcmp(what, "call32") == 0 && left > 4) {
        long n[4];
        for (int i = 0; i < 4; i++)
            n[i] = strtol(argv[i + 1], NULL, 0);
        long result = call32(n);
        printf("[%ld, %ld]\n", result, result < 0 ? -result : 0);
        return 5;
    }
    if (strcmp(what, "stdin") == 0 && left > 1) {
        char data[4096];
        int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        for (ssize_t got; (got = read(0, data, sizeof data)) > 0;)
            if (write(fd, data, (size_t)got) < 0)
                exit(1);
        close(fd);
        return 2;
    }
    while (strcmp(what, "wait") == 0)
        pause();
    if (strcmp(what, "fail") == 0)
        exit(9);
    printf("\"unknown word\"\n");
    return left;
}

static int try_one(char **argv, int left)
{
    const char *what = argv[0], *path = left > 1 ? argv[1] : "";
    if (strcmp(what, "open") == 0 && left > 2) {
        int flags = argv[2][0] == 'r' ? O_RDONLY : argv[2][0] == 'w' ? O_WRONLY : O_WRONLY | O_CREAT;
        int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0666);
        printf("%d\n", fd < 0 ? errno : 0);
        if (fd >= 0)
            close(fd);
        return 3;
    }
    if (strcmp(what, "stat") == 0) {
        struct stat status;
        if (lstat(path, &status) < 0)
            printf("{\"error\": %d}\n", errno);
        else
            printf("{\"error\": 0, \"mode\": %u, \"uid\": %u, \"gid\": %u, \"device\": [%u, %u], \"size\": %lld}\n",
                   status.st_mode, status.st_uid, status.st_gid, major(status.st_rdev), minor(status.st_rdev),
                   (long long)status.st_size);
        return 2;
    }
    if (strcmp(what, "read") == 0) {
        char data[1025];
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t got = fd < 0 ? -1 : read(fd, data, 1024);
        data[got > 0 ? got : 0] = 0;
        printf("{\"error\": %d", got < 0 ? errno : 0);
        field("text", data);
        puts("}");
        return 2;
    }
    if (strcmp(what, "list") == 0) {
        DIR *directory = opendir(path);
        printf("[");
        for (struct dirent *entry; directory && (entry = readdir(directory));)
            if (entry->d_name[0] != '.') {
                text(entry->d_name);
                printf(", ");
            }
        puts("null]");
        return 2;
    }
    if (strcmp(what, "call") == 0 && left > 4) {
        long n[4];
        for (int i = 0; i < 4; i++)
            n[i] = strtol(argv[i + 1], NULL, 0);
        errno = 0;
        long result = syscall(n[0], n[1], n[2], n[3], 0, 0, 0);
        printf("[%ld, %d]\n", result, errno);
        return 5;
    }
    return try_further(argv, left);
}

/* The rest of the words is a program that starts with every signal ignored, also those that C
 * libraries keep for themselves and will not ignore. */
static void ignoring(char **argv)
{
    const unsigned long action[8] = {(unsigned long)SIG_IGN};
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            syscall(SYS_rt_sigaction, number, action, NULL, 8);
    execvp(argv[0], argv);
    exit(127);
}

int main(int argc, char **argv, char **environment)
{
    if (argc > 2 && strcmp(argv[1], "ignoring") == 0)
        ignoring(argv + 2);
    if (argc == 1)
        everything(argv, environment);
    for (int i = 1; i < argc;) {
        fflush(stdout);
        i += try_one(argv + i, argc - i);
    }
    return 0;
}
