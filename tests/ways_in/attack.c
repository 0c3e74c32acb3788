/* What a process in a container tries against its host: one static program, a table of attempts.
 *
 *   attack [KEY=VALUE ...]         all attempts, one after the other, each in a child of its own;
 *                                  a line for each: name, tab, held | broke | not applicable, tab, why
 *     out=PATH                     where the lines go (written whole, then renamed); default: stdout
 *     pretend=1                    the kernel says yes to everything: shows that attempts can fail
 *     only=NAME                    one attempt
 *   attack lurk PATH KEY=VALUE ... stays, and looks at every process that enters
 *   attack process PATH KEY NAME   waits as a process of the host, with shared memory of both kinds;
 *                                  what hits it is told in PATH
 *   attack handle PATH             the handle of a file, as handle= wants it
 *   attack serve PORT TOKEN        says the token to whoever comes to any address
 *   attack exchange A B            exchanges two names for ever
 *   attack list                    the names
 *
 * Whatever is done must not harm the host when it succeeds: files of the system are opened and not
 * written, calls have arguments that are refused after the question who may.
 */
#include "attack.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

struct told told = {.token = "", .secret = "", .victim = "", .results = "", .readonly = "",
                    .abstract = "", .runtime = "", .prefix = "", .handle = "", .posix = "",
                    .hosts = "", .caps = -1, .rootfs = ""};
const char *trying;
char process_memory[64] = "-";
static char *found; /* shared with the children */

static const struct attempt *const tables[] = {
    descriptor_attempts, process_attempts, file_attempts, kernel_attempts, network_attempts,
};

void note(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    vsnprintf(found, 200, format, words);
    va_end(words);
}

long small_file(const char *path, char *data, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, data, room - 1);
    close(fd);
    data[got > 0 ? got : 0] = 0;
    return got;
}

bool gives_token(int fd)
{
    char data[4096];
    if (fd < 0)
        return false;
    ssize_t got = read(fd, data, sizeof data);
    close(fd);
    return got > 0 && memmem(data, (size_t)got, told.token, strlen(told.token));
}

bool reads_secret(const char *root)
{
    char path[8192];
    snprintf(path, sizeof path, "%s%s", root, told.secret);
    return gives_token(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

bool writes_victim(const char *root)
{
    char path[8192], line[100];
    snprintf(path, sizeof path, "%s%s", root, told.victim);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return false;
    int length = snprintf(line, sizeof line, "%s\n", trying);
    bool done = write(fd, line, (size_t)length) == length;
    close(fd);
    return done;
}

enum outcome refused(long result, const char *what)
{
    int error = result < 0 ? errno : 0;
    note("%s: %s", what, error ? strerror(error) : "done");
    bool no = error == EPERM || error == EACCES || error == ENOSYS || error == EOPNOTSUPP ||
              error == EAFNOSUPPORT || error == ENODEV || error == ENOENT || error == ENXIO ||
              error == ESRCH;
    return no ? HELD : BROKE;
}

const char *standin(const char *path)
{
    static char made[8192];
    snprintf(made, sizeof made, "%s%s", told.prefix, path);
    return made;
}

enum outcome closed_to_writers(const char *path)
{
    int fd = open(standin(path), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        note("%s: %s", path, strerror(errno));
        return HELD;
    }
    close(fd);
    note("%s can be opened for writing", path);
    return BROKE;
}

bool is_the_hosts_namespace(const char *kind, unsigned long inode)
{
    char word[64];
    snprintf(word, sizeof word, "%s:%lu,", kind, inode);
    return strstr(told.hosts, word) != NULL;
}

bool shares_namespace(const char *kind)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    return stat(path, &status) == 0 && is_the_hosts_namespace(kind, status.st_ino);
}

static void try_one(FILE *out, const struct attempt *attempt)
{
    static const char *const words[] = {"held", "broke", "not applicable"};
    trying = attempt->name;
    found[0] = 0;
    fflush(out);
    pid_t child = fork();
    if (child == 0) {
        alarm(4);
        _exit((int)attempt->try());
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) <= NOT_APPLICABLE)
        fprintf(out, "%s\t%s\t%s\n", attempt->name, words[WEXITSTATUS(status)], found);
    else if (WIFSIGNALED(status))
        fprintf(out, "%s\theld\tended by signal %d %s\n", attempt->name, WTERMSIG(status), found);
    else
        fprintf(out, "%s\tbroke\tended with %d\n", attempt->name, WEXITSTATUS(status));
}

static void hear(const char *word)
{
    const struct { const char *key; const char **text; long *number; } keys[] = {
        {"token", &told.token, NULL},       {"secret", &told.secret, NULL},
        {"victim", &told.victim, NULL},     {"results", &told.results, NULL},
        {"readonly", &told.readonly, NULL}, {"abstract", &told.abstract, NULL},
        {"runtime", &told.runtime, NULL},   {"prefix", &told.prefix, NULL},
        {"handle", &told.handle, NULL},     {"posix", &told.posix, NULL},
        {"process", NULL, &told.process},   {"port", NULL, &told.port},
        {"preserved", NULL, &told.preserved}, {"queue", NULL, &told.queue},
        {"caps", NULL, &told.caps},         {"hosts", &told.hosts, NULL},
        {"pids", NULL, &told.pids},         {"rootfs", &told.rootfs, NULL},
    };
    const char *value = strchr(word, '=');
    for (size_t i = 0; value && i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i].key) == (size_t)(value - word) &&
            strncmp(word, keys[i].key, (size_t)(value - word)) == 0) {
            if (keys[i].text)
                *keys[i].text = value + 1;
            else
                *keys[i].number = strtol(value + 1, NULL, 0);
        }
}

static const char *hit;
static int segment;
static char shared[200];

static void on_signal(int number)
{
    char line[2] = {number == SIGUSR1 ? '1' : '2', '\n'};
    int fd = open(hit, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (write(fd, line, 2) != 2)
        _exit(1);
    close(fd);
}

static void on_end(int number)
{
    (void)number;
    shmctl(segment, IPC_RMID, NULL);
    unlink(shared);
    _exit(0);
}

/* A process of the host's.  Its memory and its environment hold the token. */
static _Noreturn void process(const char *path, const char *key, const char *name)
{
    hit = path;
    snprintf(process_memory, sizeof process_memory, "%s", getenv("WAYS_IN_SECRET"));
    segment = shmget((key_t)atol(key), 4096, IPC_CREAT | 0600);
    char *data = shmat(segment, NULL, 0);
    if (data != (void *)-1)
        strcpy(data, process_memory);
    snprintf(shared, sizeof shared, "/dev/shm/%s", name);
    int fd = open(shared, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (write(fd, process_memory, strlen(process_memory)) < 0)
        perror(shared);
    close(fd);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_handler = on_end;
    sigaction(SIGTERM, &action, NULL);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

static _Noreturn void serve(const char *port, const char *token)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0rootless-stand-in"};
    int all = socket(AF_INET6, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(all, (void *)&six, sizeof six) < 0 || listen(all, 8) < 0 ||
        bind(other, (void *)&name, sizeof name) < 0 || listen(other, 8) < 0) {
        perror("attack: serve");
        exit(1);
    }
    puts("ready");
    fflush(stdout);
    for (int fd; (fd = accept(all, NULL, NULL)) >= 0; close(fd))
        if (write(fd, token, strlen(token)) < 0)
            continue;
    exit(1);
}

static int handle(const char *path)
{
    struct { struct file_handle head; unsigned char bytes[128]; } one = {.head.handle_bytes = 128};
    int mount;
    if (name_to_handle_at(AT_FDCWD, path, &one.head, &mount, 0) < 0)
        return 1;
    printf("%d:", one.head.handle_type);
    for (unsigned i = 0; i < one.head.handle_bytes; i++)
        printf("%02x", one.bytes[i]);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv)
{
    const char *out = NULL, *only = NULL;
    bool pretending = false;
    found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 1; i < argc; i++) {
        hear(argv[i]);
        if (strncmp(argv[i], "out=", 4) == 0)
            out = argv[i] + 4;
        if (strncmp(argv[i], "only=", 5) == 0)
            only = argv[i] + 5;
        pretending |= strcmp(argv[i], "pretend=1") == 0;
    }
    if (argc > 4 && strcmp(argv[1], "process") == 0)
        process(argv[2], argv[3], argv[4]);
    if (argc > 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2], argv[3]);
    if (argc > 2 && strcmp(argv[1], "handle") == 0)
        return handle(argv[2]);
    if (argc > 2 && strcmp(argv[1], "lurk") == 0)
        return lurk(argv[2]);
    while (argc > 3 && strcmp(argv[1], "exchange") == 0)
        syscall(SYS_renameat2, AT_FDCWD, argv[2], AT_FDCWD, argv[3], 2);
    bool names = argc > 1 && strcmp(argv[1], "list") == 0;
    char partial[4096];
    snprintf(partial, sizeof partial, "%s.part", out ? out : "");
    mode_t mask = umask(0);
    FILE *to = out ? fopen(partial, "we") : stdout;
    umask(mask);
    if (!to) {
        fprintf(stderr, "attack: %s: %s\n", partial, strerror(errno));
        return 1;
    }
    if (pretending)
        pretend_success();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct attempt *one = tables[i]; one->name; one++) {
            if (names)
                puts(one->name);
            else if (!only || strcmp(only, one->name) == 0)
                try_one(to, one);
        }
    fflush(to);
    if (out && rename(partial, out) < 0) {
        perror("attack: rename");
        return 1;
    }
    return 0;
}
