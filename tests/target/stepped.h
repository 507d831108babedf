/*
 * stepped.h: what a test that steps a thread through a hook shares with the program it does it to.
 *
 * One page of a file that both map. The worker does what `wanted` counts up to, `kind` being what;
 * the test waits for `done`. The victim stops at a breakpoint before each of its calls.
 */
#ifndef STEPPED_H
#define STEPPED_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum stepped_work {
	STEPPED_BURST, /* `amount` times a block and a mapping, made and released */
	STEPPED_SPAWN, /* a new victim: its id is in `victim` when it is done */
	STEPPED_END,
};

struct stepped {
	uint32_t wanted;
	uint32_t done;
	uint32_t kind; /* enum stepped_work */
	uint32_t amount;
	uint32_t victim;	/* thread id */
	uint32_t started;	/* the victim may start */
	uint64_t after_break;	/* address behind the breakpoint */
	uint64_t exit_call;	/* address of a system call instruction */
	uint64_t library_start; /* [start, end): code of the library under test */
	uint64_t library_end;
	uint64_t bursts; /* blocks and mappings that the worker made: as many of either */
	uint64_t calls;	 /* that victims came back from */
};

/* Until *word is no longer `old`; false: seconds have passed. */
static inline int
stepped_wait(uint32_t *word, uint32_t old, unsigned seconds)
{
	struct timespec limit = {(time_t)seconds, 0};

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == old)
		if (syscall(SYS_futex, word, FUTEX_WAIT, old, &limit, NULL, 0) != 0 &&
		    __atomic_load_n(word, __ATOMIC_ACQUIRE) == old && limit.tv_sec-- == 0)
			return 0;
	return 1;
}

static inline void
stepped_advance(uint32_t *word)
{
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#endif
