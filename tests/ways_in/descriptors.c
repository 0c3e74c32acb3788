/* Attempts by way of what the caller had: its terminal, its descriptors, its keys, its settings. */
#include "attack.h"

#include <dirent.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

/* ---------------------------------------------------------------- the terminal */

/* The test's terminal has a line speed that no engine gives to its own. */
static bool is_the_hosts(int fd)
{
    struct termios now;
    return fd >= 0 && tcgetattr(fd, &now) == 0 && cfgetospeed(&now) == B110;
}

static bool types_into(int fd)
{
    if (!is_the_hosts(fd))
        return false;
    char line[100];
    snprintf(line, sizeof line, "%s\n", trying);
    for (const char *key = line; *key; key++)
        if (ioctl(fd, TIOCSTI, key) < 0)
            return false;
    return true;
}

static enum outcome typed(bool done)
{
    if (done)
        note("typed into the caller's terminal");
    return done ? BROKE : HELD;
}

static enum outcome terminal_of_the_session(void)
{
    return typed(types_into(open("/dev/tty", O_RDWR | O_CLOEXEC)));
}

static enum outcome terminal_descriptors(void)
{
    bool done = false;
    for (int fd = 0; fd < 4096; fd++)
        done |= isatty(fd) && types_into(fd);
    return typed(done);
}

static enum outcome terminal_by_name(void)
{
    static const char *const names[] = {"/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0",
                                        "/dev/hvc0", "/dev/pts/ptmx", "/dev/vcs1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(standin(names[i]), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        bool own = strcmp(names[i], "/dev/console") == 0 || strcmp(names[i], "/dev/pts/ptmx") == 0;
        if (fd >= 0 && (!own || types_into(fd))) {
            note("%s can be opened", names[i]);
            return BROKE;
        }
    }
    char path[64];
    for (int number = 0; number < 64; number++) {
        snprintf(path, sizeof path, "/dev/pts/%d", number);
        if (types_into(open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)))
            return typed(true);
    }
    return HELD;
}

/* What stays behind types when the command has returned.  The test looks what came. */
static enum outcome terminal_afterwards(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    pid_t attack = getppid();
    if (is_the_hosts(fd) && fork() == 0) {
        signal(SIGHUP, SIG_IGN);
        alarm(20);
        while (kill(attack, 0) == 0)
            usleep(2000);
        types_into(fd);
        _exit(0);
    }
    return HELD;
}

static enum outcome terminal_settings(void)
{
    struct winsize size = {.ws_row = 7, .ws_col = 7};
    int fds[] = {open("/dev/tty", O_RDWR | O_CLOEXEC), 0, 1, 2};
    for (int i = 0; i < 4; i++)
        if (is_the_hosts(fds[i]) && ioctl(fds[i], TIOCSWINSZ, &size) == 0) {
            note("changed the caller's terminal");
            return BROKE;
        }
    return HELD;
}

static enum outcome terminal_stolen(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (is_the_hosts(fd) && ioctl(fd, TIOCSCTTY, 1) == 0)
            return BROKE;
    return HELD;
}

/* pastes what is selected on a console */
static enum outcome terminal_linux(void)
{
    char code = 3;
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCLINUX, &code) >= 0) {
            note("TIOCLINUX");
            return BROKE;
        }
    return HELD;
}

static enum outcome process_group(void)
{
    signal(SIGURG, SIG_IGN);
    kill(0, SIGURG); /* what the test has in the caller's group tells */
    return HELD;
}

/* ---------------------------------------------------------------- descriptors */

static enum outcome descriptors_inherited(void)
{
    char path[64], target[4096];
    /* the mark of the last number that can be had; nothing of ours is open there */
    for (int fd = 3; fd < 65536; fd++) {
        if (fcntl(fd, F_GETFD) < 0 || fd < 3 + told.preserved)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strncmp(target, told.results, strlen(told.results)) == 0)
            continue; /* the report */
        note("%d is %s", fd, target);
        return BROKE;
    }
    return HELD;
}

static enum outcome descriptors_lead_out(void)
{
    char path[8192] = "../../../../../../../../../../../../../../../..";
    strncat(path, told.secret, sizeof path - 100);
    for (int fd = 0; fd < 65536; fd++)
        if ((fd < 3 || fd >= 3 + told.preserved) && fcntl(fd, F_GETFD) >= 0 &&
            gives_token(openat(fd, path, O_RDONLY | O_CLOEXEC))) {
            note("the host's files below descriptor %d", fd);
            return BROKE;
        }
    return HELD;
}

static enum outcome directory_leads_out(void)
{
    char where[4096], path[8192] = "../../../../../../../../../../../../../../../..";
    strncat(path, told.secret, sizeof path - 100);
    bool outside = syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/';
    if (outside || gives_token(open(path, O_RDONLY | O_CLOEXEC))) {
        note("the working directory is the host's");
        return BROKE;
    }
    return HELD;
}

static enum outcome stdin_written(void)
{
    char line[100];
    int length = snprintf(line, sizeof line, "%s\n", trying);
    int fd = open("/proc/self/fd/0", O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && write(fd, line, (size_t)length) != length)
        note("%s", strerror(errno));
    return HELD; /* the test looks at the file */
}

static enum outcome stdout_read(void)
{
    bool read = gives_token(open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (read)
        note("what the file held before");
    return read ? BROKE : HELD;
}

static enum outcome stdout_cut(void)
{
    struct stat status;
    if (fstat(1, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        ftruncate(1, 0) == 0)
        note("cut the file");
    return HELD; /* the test looks at the file */
}

/* /proc/self/fd/N of a pipe opens either end */
static enum outcome stderr_other_end(void)
{
    bool read = gives_token(open("/proc/self/fd/2", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (read)
        note("what others had written into the pipe");
    return read ? BROKE : HELD;
}

static enum outcome flags_shared(void)
{
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    return HELD; /* the test looks at its own descriptor */
}

/* ---------------------------------------------------------------- keys */

static long keyctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

static enum outcome key_read(long key)
{
    char data[200];
    if (key < 0)
        return HELD;
    long got = keyctl(KEYCTL_READ, (unsigned long)key, (unsigned long)data, sizeof data, 0);
    bool token = got > 0 && memmem(data, (size_t)got, told.token, strlen(told.token));
    if (token)
        note("read key %ld of the caller", key);
    return token ? BROKE : HELD;
}

static enum outcome key_of_the_session(void)
{
    return key_read(keyctl(KEYCTL_SEARCH, (unsigned long)KEY_SPEC_SESSION_KEYRING,
                           (unsigned long)"user", (unsigned long)"ways-in", 0));
}

static enum outcome key_of_the_user(void)
{
    const int rings[] = {KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING,
                         KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_THREAD_KEYRING};
    /* what is linked here is ours to read */
    keyctl(KEYCTL_LINK, (unsigned long)KEY_SPEC_USER_KEYRING,
           (unsigned long)KEY_SPEC_SESSION_KEYRING, 0, 0);
    for (int i = 0; i < 4; i++)
        if (key_read(keyctl(KEYCTL_SEARCH, (unsigned long)rings[i], (unsigned long)"user",
                            (unsigned long)"ways-in-user", 0)) == BROKE)
            return BROKE;
    return HELD;
}

static enum outcome key_requested(void)
{
    return key_read(syscall(SYS_request_key, "user", "ways-in", NULL, 0));
}

static enum outcome key_listed(void)
{
    char line[300];
    FILE *keys = fopen("/proc/keys", "re");
    while (keys && fgets(line, sizeof line, keys))
        if (strstr(line, "ways-in")) {
            note("/proc/keys shows the caller's");
            return BROKE;
        }
    return HELD;
}

/* ---------------------------------------------------------------- what else crosses */

static enum outcome mask_of_the_caller(void)
{
    mode_t mask = umask(0);
    note("%03o", mask);
    return mask == 027 ? BROKE : HELD;
}

static enum outcome signals_of_the_caller(void)
{
    for (int number = 32; number <= 34; number++) {
        struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } now;
        int one = number == 34 ? SIGUSR2 : number;
        if (syscall(SYS_rt_sigaction, one, NULL, &now, 8) == 0 && now.handler == (void *)1) {
            note("%d is ignored", one);
            return BROKE;
        }
    }
    return HELD;
}

static enum outcome environment_of_the_caller(void)
{
    extern char **environ;
    for (char **word = environ; *word; word++)
        if (strstr(*word, told.token)) {
            note("%.30s", *word);
            return BROKE;
        }
    return HELD;
}

static enum outcome capabilities_beyond(void)
{
    char data[8192];
    unsigned long long has[3];
    static const char *const names[] = {"CapPrm:", "CapEff:", "CapInh:"};
    if (told.caps < 0) {
        note("no set was asked for");
        return NOT_APPLICABLE;
    }
    if (small_file("/proc/self/status", data, sizeof data) < 0)
        return HELD;
    for (int i = 0; i < 3; i++) {
        char *at = strstr(data, names[i]);
        has[i] = at ? strtoull(at + 7, NULL, 16) : 0;
        if (has[i] & ~(unsigned long long)told.caps) {
            note("%s %llx", names[i], has[i]);
            return BROKE;
        }
    }
    return HELD;
}

static enum outcome no_filter(void)
{
    char data[8192];
    if (small_file("/proc/self/status", data, sizeof data) < 0)
        return HELD;
    bool none = strstr(data, "Seccomp:\t0");
    if (none)
        note("no filter of system calls");
    return none ? BROKE : HELD;
}

static enum outcome no_user_namespace(void)
{
    char data[500];
    unsigned long inside = 1, outside = 1, count = 0;
    if (small_file("/proc/self/uid_map", data, sizeof data) < 0)
        return HELD;
    if (sscanf(data, "%lu %lu %lu", &inside, &outside, &count) == 3 && count == 4294967295UL) {
        note("the host's own ids");
        return BROKE;
    }
    return HELD;
}

const struct attempt descriptor_attempts[] = {
    {"terminal-of-the-session", terminal_of_the_session},
    {"terminal-descriptors", terminal_descriptors},
    {"terminal-by-name", terminal_by_name},
    {"terminal-afterwards", terminal_afterwards},
    {"terminal-settings", terminal_settings},
    {"terminal-stolen", terminal_stolen},
    {"terminal-TIOCLINUX", terminal_linux},
    {"process-group", process_group},
    {"descriptors-inherited", descriptors_inherited},
    {"descriptors-lead-out", descriptors_lead_out},
    {"directory-leads-out", directory_leads_out},
    {"stdin-written", stdin_written},
    {"stdout-read", stdout_read},
    {"stdout-cut", stdout_cut},
    {"stderr-other-end", stderr_other_end},
    {"flags-shared", flags_shared},
    {"key-of-the-session", key_of_the_session},
    {"key-of-the-user", key_of_the_user},
    {"key-requested", key_requested},
    {"key-listed", key_listed},
    {"caller-umask", mask_of_the_caller},
    {"caller-signals", signals_of_the_caller},
    {"caller-environment", environment_of_the_caller},
    {"capabilities-beyond", capabilities_beyond},
    {"no-filter", no_filter},
    {"no-user-namespace", no_user_namespace},
    {NULL, NULL},
};
