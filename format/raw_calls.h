/*
 * raw_calls.h: the numbers of the system calls that are worth catching in a program's own code
 *
 * Those by which memory is taken, given back or changed, and what else the recorder has to see:
 * the end of the process, filters of system calls, and names of memory (capture/entry/route.h). And
 * those by which threads, processes and programs begin, or a thread gets an alternate signal stack.
 */
#ifndef VMT_RAW_CALLS_H
#define VMT_RAW_CALLS_H

#include <stdint.h>
#include <sys/syscall.h>

static const uint16_t vmt_raw_calls[] = {
    SYS_mmap,	  SYS_mprotect,	  SYS_munmap,		SYS_brk,	SYS_mremap, SYS_madvise,
    SYS_shmat,	  SYS_shmdt,	  SYS_ftruncate,	SYS_fallocate,	SYS_mlock,  SYS_munlock,
    SYS_mlockall, SYS_munlockall, SYS_remap_file_pages, SYS_exit_group, SYS_prctl,  SYS_seccomp,
    325, /* mlock2, on x86-64; older headers lack what follows */
    329, /* pkey_mprotect */
    440, /* process_madvise */
    453, /* map_shadow_stack */
    131, /* sigaltstack */
};

/* No memory call: a trace that lacks it lacks nothing. */
#define VMT_ALTERNATE_STACK_CALL SYS_sigaltstack

/* Those that return in a new thread or process, too. */
static const uint16_t vmt_birth_calls[] = {SYS_clone, SYS_fork, SYS_vfork, 435 /* clone3 */};

/* Those by which another program takes this one's place. They are told to the recorder before they
 * are made, and once more when they have failed, by numbers of no call's that have 16 bits. */
static const uint16_t vmt_exec_calls[] = {SYS_execve, SYS_execveat};

#define VMT_EXEC_TAG 0x8000u
#define VMT_EXEC_FAILED 0x4000u
#define VMT_EXEC_AT 0x2000u    /* execveat */
#define VMT_EXEC_ERROR 0x0fffu /* the errno of one that has failed (MAX_ERRNO) */
#define VMT_EXEC_BITS (VMT_EXEC_FAILED | VMT_EXEC_AT | VMT_EXEC_ERROR)

/* Results of birth calls in the parent, where they are told to the recorder by a number of no
 * call's. */
#define VMT_BIRTH_TAG 0x40000000u
#define VMT_BIRTH_KIND_SHIFT 24u	    /* an index into vmt_birth_calls */
#define VMT_BIRTH_RESULT UINT32_C(0x3fffff) /* as many as the kernel has (PID_MAX_LIMIT) */

#endif
