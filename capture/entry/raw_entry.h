/*
 * raw_entry.h: where a raw system call of the program goes instead of into the kernel
 *
 * Two entries, one a kind of stub. The stubs of capture/go/go_patch.h jump to vmt_raw_entry_go.
 * All others jump to vmt_raw_entry_site, with the number in eax, the address of their site in r11,
 * rcx free, and every other register as the kernel would see it. The call is made, and written down
 * (route.h); the entry goes on to the site's exit with rax as the kernel's.
 *
 * A goroutine's stack may be nearly full, and C code may unmap the one that it runs on: so an entry
 * takes one of our own (capture/core/call_stacks.h). When all are taken (counted) it goes on to the
 * site's bypass, with eax as it was: there the call is made unrecorded. vmt_raw_entry_site blocks
 * all signals meanwhile, by a call before and one after, and uses 184 bytes below the caller's
 * stack pointer; once the program has a filter of system calls its calls are made unrecorded. All
 * registers but rax, rcx and r11 come back as they were. Vector registers: in the library those of
 * SSE, as the Go runtime's functions may change all the others; code compiled with
 * VMT_THREAD_ON_STACK touches none of them.
 *
 * Code compiled with VMT_THREAD_ON_STACK that knows the thread pointer, in a program without Go,
 * spares most calls of the caller's that: mmap, mprotect, munmap and madvise of a range away from
 * rsp, made on the main thread's stack or near the top of another thread's, are recorded on that
 * stack with signals let through. They take up to 4 KiB of it, as those that go through a hook do.
 *
 * Async-signal-safe: a handler that interrupts takes another stack.
 */
#ifndef VMT_RAW_ENTRY_H
#define VMT_RAW_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

/* A place in the program's text. */
struct vmt_raw_entry_site {
	uint64_t exit;	 /* behind the system call */
	uint64_t bypass; /* makes it, with the number in bits 0..15 of eax */
};

#if defined(VMT_THREAD_ON_STACK)
/* At the end of set-up, once Go and the way to the thread pointer are known. hides_alternates: some
 * calls of sigaltstack don't come here. */
void vmt_raw_entry_set_up(bool hides_alternates);
#endif

/* Not to be called from C. */
void vmt_raw_entry_go(void);
void vmt_raw_entry_site(void);

#endif
