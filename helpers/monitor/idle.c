/* A monitor waits for nearly all of its life, and there is one for each container.  What it has run so
 * far stays mapped meanwhile: with a C library that is linked in whole, seven times what it needs of its
 * own.  These pages are clean copies of the program's file, so they are let go of, and come back from
 * the page cache one fault at a time when something happens. */
#define _GNU_SOURCE
#include "monitor/idle.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOMENT = 100, REGIONS = 8 }; /* milliseconds */

struct region { uintptr_t start; size_t length; };

static struct region region[REGIONS];
static int regions = -1;

/* System calls of the library lie on pages of their own, and each brings its neighbours along. */
static inline __attribute__((always_inline)) long call5(long number, long a, long b, long c, long d, long e)
{
#if defined __x86_64__ && !defined __ILP32__
    long result;
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
#elif defined __aarch64__
    register long call __asm__("x8") = number, first __asm__("x0") = a, second __asm__("x1") = b, third __asm__("x2") = c,
                  fourth __asm__("x3") = d, fifth __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(first) : "r"(call), "r"(second), "r"(third), "r"(fourth), "r"(fifth) : "memory");
    return first;
#else
    long result = syscall(number, a, b, c, d, e);
    return result < 0 ? -errno : result;
#endif
}

#if defined SYS_ppoll && defined __LP64__ /* otherwise its times have one size here and another there */
/* On a page that is not let go of together with others: what the processor runs while we wait. */
static __attribute__((section(".text.idle"), aligned(4096), noinline)) long
wait_alone(struct pollfd *polled, nfds_t count, const struct timespec *limit)
{
    for (int i = 0; i < regions; i++)
        call5(SYS_madvise, (long)region[i].start, (long)region[i].length, MADV_DONTNEED, 0, 0);
    return call5(SYS_ppoll, (long)polled, (long)count, (long)limit, 0, 8);
}

/* A file on a server may be gone when its pages are wanted again, an update from another machine will do
 * (ESTALE, and SIGBUS here): what is mapped then is better kept. */
static int is_remote(void)
{
    static const unsigned magic[] = {
        0x6969 /* NFS */,       0xFF534D42 /* CIFS */, 0xFE534D42 /* SMB2 */, 0x517B /* SMB */,      0x0BD00BD0 /* Lustre */,
        0x47504653 /* GPFS */,  0x00C36400 /* Ceph */, 0x5346414F /* AFS */,  0x19830326 /* BeeGFS */, 0x65735546 /* FUSE */,
    };
    struct statfs found;
    if (statfs("/proc/self/exe", &found) < 0)
        return 1;
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
        if ((unsigned)found.f_type == magic[i])
            return 1;
    return 0;
}

/* The segments that are never written to, so that letting go loses nothing. */
static void find_regions(void)
{
    extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), bias = 0;
    const ElfW(Phdr) *segment = (const void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);
    regions = 0;
    if (is_remote())
        return;
    for (int i = 0, first = 1; i < __ehdr_start.e_phnum && regions < REGIONS; i++) {
        if (segment[i].p_type != PT_LOAD)
            continue;
        if (first)
            bias = (uintptr_t)&__ehdr_start - (segment[i].p_vaddr - segment[i].p_offset);
        first = 0;
        if (segment[i].p_flags & PF_W)
            continue;
        uintptr_t start = (bias + segment[i].p_vaddr) & ~(page - 1);
        uintptr_t end = (bias + segment[i].p_vaddr + segment[i].p_memsz + page - 1) & ~(page - 1);
        region[regions++] = (struct region){start, end - start};
    }
    /* a mapping of its own: a fault maps the neighbours within the same mapping as well */
    madvise((void *)((uintptr_t)wait_alone & ~(page - 1)), page, MADV_RANDOM);
}

int idle_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    if (timeout >= 0 && timeout <= 2 * MOMENT)
        return poll(polled, count, timeout);
    int events = poll(polled, count, MOMENT);
    if (events)
        return events;
    if (regions < 0)
        find_regions();
    int rest = timeout - MOMENT;
    struct timespec limit = {rest / 1000, rest % 1000 * 1000000L};
    long result = wait_alone(polled, count, timeout < 0 ? NULL : &limit);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return (int)result;
}
#else
int idle_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    return poll(polled, count, timeout);
}
#endif
