/* Attempts by system calls that only root of the host may use, or nobody in a container. */
#include "attack.h"

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        note("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

bool own_user_namespace(void)
{
    char map[64];
    unsigned uid = geteuid(), gid = getegid();
    if (syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWCGROUP) < 0)
        return false;
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", gid);
    write_text("/proc/self/gid_map", map);
    return true;
}

/* Each has arguments that are wrong, and are looked at after the question who asks. */
static enum outcome module_loaded(void)
{
    return refused(syscall(SYS_init_module, NULL, 0, ""), "init_module");
}
static enum outcome module_from_file(void)
{
    return refused(syscall(SYS_finit_module, -1, "", 0), "finit_module");
}
static enum outcome module_removed(void)
{
    return refused(syscall(SYS_delete_module, "no-such-module-here", O_NONBLOCK), "delete_module");
}
static enum outcome kernel_replaced(void)
{
    return refused(syscall(SYS_kexec_load, 0, 0, NULL, 0xffff0000L), "kexec_load");
}
static enum outcome rebooted(void)
{
    if (!shares_namespace("pid")) {
        note("it would end the container");
        return HELD;
    }
    return refused(syscall(SYS_reboot, 1, 2, 3, NULL), "reboot");
}
static enum outcome swap_on(void) { return refused(syscall(SYS_swapon, NULL, 0), "swapon"); }
static enum outcome swap_off(void) { return refused(syscall(SYS_swapoff, NULL), "swapoff"); }
static enum outcome accounted(void)
{
    return refused(syscall(SYS_acct, "/no/such/directory/at/all"), "acct");
}
static enum outcome clock_set(void)
{
    struct timex wrong = {.modes = ADJ_TICK, .tick = 1};
    return refused(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &wrong), "clock_adjtime");
}
static enum outcome time_set(void)
{
    struct timex wrong = {.modes = ADJ_TICK, .tick = 1};
    return refused(syscall(SYS_adjtimex, &wrong), "adjtimex");
}
/* To what it is: whoever may set it loses a microsecond. */
static enum outcome clock_stepped(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return refused(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), "clock_settime");
}
static enum outcome zone_set(void)
{
    struct timezone wrong = {.tz_minuteswest = 99999};
    return refused(syscall(SYS_settimeofday, NULL, &wrong), "settimeofday");
}
/* The time namespace is the host's: nobody here may take part in it by right, or move its clocks. */
static enum outcome time_entered(void)
{
    int fd = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
    return refused(fd < 0 ? -1 : setns(fd, 0), "setns of a time namespace");
}
static enum outcome time_offsets(void)
{
    int fd = open(standin("/proc/self/timens_offsets"), O_WRONLY | O_CLOEXEC);
    return refused(fd < 0 ? -1 : write(fd, "monotonic 0 0\n", 14), "timens_offsets");
}
static enum outcome quota_set(void)
{
    return refused(syscall(SYS_quotactl, 0x800007 << 8, "/dev/none", 0, NULL), "quotactl");
}
static enum outcome ports_of_the_machine(void)
{
#ifdef SYS_iopl
    return refused(syscall(SYS_iopl, 3), "iopl");
#else
    note("no such call on this machine");
    return NOT_APPLICABLE;
#endif
}
static enum outcome kernel_log_read(void)
{
    return refused(syscall(SYS_syslog, 3, process_memory, 0), "syslog");
}
static enum outcome kernel_log_level(void)
{
    return refused(syscall(SYS_syslog, 8, NULL, 99), "syslog");
}

/* Doors to the kernel in which holes were found again and again. */
static enum outcome bpf_program(void)
{
    struct bpf_insn end[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)end,
                                 .insn_cnt = 2, .license = (uintptr_t)"GPL"};
    return refused(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes), "bpf");
}
static enum outcome performance_counters(void)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes,
                                         .config = PERF_COUNT_SW_CPU_CLOCK};
    return refused(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0), "perf_event_open");
}
static enum outcome page_faults(void)
{
    return refused(syscall(SYS_userfaultfd, 0), "userfaultfd");
}
static enum outcome rings(void)
{
    struct { unsigned entries[30]; } settings = {0};
    return refused(syscall(SYS_io_uring_setup, 1, &settings), "io_uring_setup");
}
static enum outcome cryptography_sockets(void)
{
    return refused(socket(38, SOCK_SEQPACKET, 0), "AF_ALG");
}
static enum outcome hypervisor_sockets(void)
{
    return refused(socket(40, SOCK_STREAM, 0), "AF_VSOCK");
}
static enum outcome files_watched(void)
{
    return refused(syscall(SYS_fanotify_init, FAN_CLASS_CONTENT, O_RDONLY), "fanotify_init");
}
static enum outcome cookies(void)
{
    return refused(syscall(SYS_lookup_dcookie, 0, process_memory, 0), "lookup_dcookie");
}
static enum outcome namespaces_nested(void)
{
    bool made = own_user_namespace();
    if (made)
        note("a user namespace of its own");
    return made ? BROKE : HELD;
}

/* The same calls by their other numbers, which a filter may have forgotten. */
static enum outcome calls_of_32_bits(void)
{
#ifdef __x86_64__
    long result;
    /* unshare is 310 there */
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(310), "b"(CLONE_NEWUSER) : "memory");
    note("unshare: %ld", result);
    return result == 0 ? BROKE : HELD;
#else
    note("no such calls on this machine");
    return NOT_APPLICABLE;
#endif
}

/* Only one of two that wait for the same is asked for more than it may have. */
static enum outcome priority_raised(void)
{
    return refused(setpriority(PRIO_PROCESS, 0, -10), "setpriority");
}
static enum outcome real_time(void)
{
    struct sched_param parameters = {.sched_priority = 1};
    return refused(sched_setscheduler(0, SCHED_FIFO, &parameters), "sched_setscheduler");
}
static enum outcome limit_raised(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max += 1;
    if (limit.rlim_max == 0) {
        note("it has none");
        return NOT_APPLICABLE;
    }
    return refused(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL), "prlimit");
}
static enum outcome oom_score_lowered(void)
{
    /* below 0 only with a right of the host's */
    int fd = open(standin("/proc/self/oom_score_adj"), O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "-500", 4) == 4;
    if (done)
        note("-500");
    return done ? BROKE : HELD;
}

/* More processes than were allowed, by a few.  They end with this one. */
static enum outcome processes_without_end(void)
{
    enum { MORE = 8, MOST = 200 };
    pid_t made[MOST];
    int count = 0, wanted = (int)told.pids + MORE;
    if (told.pids <= 0 || wanted > MOST) {
        note("no limit was asked for");
        return NOT_APPLICABLE;
    }
    for (; count < wanted; count++) {
        made[count] = fork();
        if (made[count] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
        if (made[count] < 0)
            break;
    }
    note("%d processes, then: %s", count, count < wanted ? strerror(errno) : "no end");
    for (int i = 0; i < count; i++) {
        kill(made[i], SIGKILL);
        waitpid(made[i], NULL, 0);
    }
    return count < wanted ? HELD : BROKE;
}

/* ---------------------------------------------------------------- as if nothing protected it */

void pretend_success(void)
{
    static const int calls[] = {
        SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot,
        SYS_swapon, SYS_swapoff, SYS_acct, SYS_clock_adjtime, SYS_adjtimex, SYS_quotactl,
        SYS_clock_settime, SYS_settimeofday,
#ifdef SYS_iopl
        SYS_iopl,
#endif
        SYS_syslog, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup,
        SYS_fanotify_init, SYS_lookup_dcookie, SYS_setpriority,
        SYS_sched_setscheduler, SYS_prlimit64, SYS_setns, SYS_chroot, SYS_umount2, SYS_mount,
        SYS_mknod, SYS_mknodat, SYS_open_by_handle_at, SYS_unshare, SYS_kcmp,
        SYS_process_vm_writev, SYS_sched_setaffinity, SYS_pidfd_getfd,
    };
    const size_t count = sizeof calls / sizeof *calls;
    struct sock_filter code[2 * sizeof calls / sizeof *calls + 20];
    size_t n = 0;
#define STEP(...) code[n++] = (struct sock_filter)__VA_ARGS__
#ifdef __x86_64__
    /* the calls of 32-bit programs have other numbers */
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc000003e, 1, 0));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO));
#endif
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (size_t i = 0; i < count; i++) {
        STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1));
        STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO));
    }
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSCTTY, 0, 1));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
    STEP(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 38, 1, 0));
    STEP(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 40, 0, 1));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO));
    STEP(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("attack: seccomp");
        exit(1);
    }
}

const struct attempt kernel_attempts[] = {
    {"module-loaded", module_loaded},
    {"module-from-file", module_from_file},
    {"module-removed", module_removed},
    {"kernel-replaced", kernel_replaced},
    {"rebooted", rebooted},
    {"swap-on", swap_on},
    {"swap-off", swap_off},
    {"accounting", accounted},
    {"clock-set", clock_set},
    {"time-set", time_set},
    {"clock-stepped", clock_stepped},
    {"time-zone-set", zone_set},
    {"time-namespace-entered", time_entered},
    {"time-offsets-written", time_offsets},
    {"quota-set", quota_set},
    {"io-ports", ports_of_the_machine},
    {"kernel-log-read", kernel_log_read},
    {"kernel-log-level", kernel_log_level},
    {"bpf", bpf_program},
    {"perf-event", performance_counters},
    {"userfaultfd", page_faults},
    {"io-uring", rings},
    {"crypto-sockets", cryptography_sockets},
    {"vsock", hypervisor_sockets},
    {"fanotify", files_watched},
    {"dcookies", cookies},
    {"user-namespace-nested", namespaces_nested},
    {"calls-of-32-bits", calls_of_32_bits},
    {"priority-raised", priority_raised},
    {"real-time", real_time},
    {"limit-raised", limit_raised},
    {"oom-score-lowered", oom_score_lowered},
    {"processes-without-end", processes_without_end},
    {NULL, NULL},
};
