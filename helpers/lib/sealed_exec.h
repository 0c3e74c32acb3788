/* Run a program from a sealed copy of itself in memory. */
#ifndef ROOTLESS_SEALED_EXEC_H
#define ROOTLESS_SEALED_EXEC_H
/* A container can reach the program that becomes its first process by /proc/1/exe, or have it run
 * again by naming /proc/self/exe as its command or interpreter, and then write to the file if its
 * owner is mapped (CVE-2019-5736).  A memfd with all seals cannot be written by anyone. */
int exec_sealed(const char *path, char *const argv[], char *const environment[]); /* -1 and errno */
int is_sealed(void);                                                              /* 1 if we are such a copy */
#endif
