/*
 * target_memory.h: reads and writes the memory of another process
 *
 * Through /proc/PID/mem, whose writes also reach text that the process itself may only execute:
 * the kernel makes a private copy of the page then. Who may trace the process may do this
 * (ptrace(2), "access mode checks"). A descriptor stays tied to the address space that it was
 * opened on: after an exec every transfer fails with -EIO or gets nothing. Threads of the process
 * may run meanwhile; what they write at the same time is seen in part. Thread and signal safe on
 * separate targets. Errors: negative errno.
 *
 * Each page that goes through /proc/PID/mem waits for the lock that the process's own calls change
 * mappings under (mem_rw, Linux fs/proc/base.c): tens of milliseconds each beside hundreds of
 * threads that map. process_vm_readv waits once for about a thousand pages.
 */
#ifndef VMT_TARGET_MEMORY_H
#define VMT_TARGET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vmt_target {
	pid_t pid;
	int mem_fd; /* /proc/PID/mem, for reading and writing; closed at exec. -1 = closed */
	/* Set by the caller: more than a page is read by process_vm_readv where that can be. Not by
	 * who runs under the program's own filter of system calls. */
	bool reads_at_once;
};

/* -ENOENT, -ESRCH: no such process. -EACCES, -EPERM: the caller may not trace it. */
int vmt_target_open(struct vmt_target *target, pid_t pid);
void vmt_target_close(struct vmt_target *target);

/* All of the bytes, or none that the caller may use. -EIO: not all of them are mapped. */
int vmt_target_read(const struct vmt_target *target, uint64_t address, void *to, size_t bytes);

/* As much of it as there is from the address on: how many bytes, 0 where nothing is mapped. */
size_t vmt_target_read_some(const struct vmt_target *target, uint64_t address, void *to,
			    size_t bytes);

/* -EIO also where part of it was written: not all of the bytes are mapped, or the kernel lets
 * nobody write what the process may not write (proc_mem.force_override=never). */
int vmt_target_write(const struct vmt_target *target, uint64_t address, const void *from,
		     size_t bytes);

/* Takes a change back: writes `old` where `changed` lies, and only there. Other bytes are the
 * process's own, which may have mapped something else there since; bytes that are not mapped are
 * gone with the change. Both are no error. Of at most VMT_TARGET_CHANGE_BYTES. No thread may run
 * meanwhile. */
#define VMT_TARGET_CHANGE_BYTES 4096u
int vmt_target_take_back(const struct vmt_target *target, uint64_t address, const void *changed,
			 const void *old, size_t bytes);

#endif
