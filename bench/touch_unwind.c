/*
 * touch_unwind.c: what does the walk of one copied stack cost?
 *
 * A sample of this program's own stack, of 10 and of 30 frames without frame pointers, most of them
 * of one recursive function, is walked as the collector walks those of others: with every rule
 * remembered (the lowest of ROUNDS rounds of WALKS walks), and for the first time, when the tables
 * are read out of the files. Usage: touch_unwind [ROUNDS].
 */
#include "collect/touch_unwind.h"

#include "base/procfs.h"
#include "base/ticks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define WALKS 100000u
#define COPY_BYTES 8192u

static struct vmt_touch_thread thread;
static unsigned char copy[COPY_BYTES];
static struct vmt_frame_rules rules;
static struct vmt_touch_unwind unwind;
static struct vmt_touch_stack stack;
static volatile unsigned sink;

/* As much as there is. */
static uint64_t
copy_stack(void)
{
	uint64_t bytes = COPY_BYTES;

	for (; bytes > 0; bytes -= 8) {
		struct iovec to = {copy, bytes};
		struct iovec from = {(void *)(uintptr_t)thread.sp, bytes};

		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)bytes)
			break;
	}
	return bytes;
}

__attribute__((noinline)) static void
take_sample(void)
{
	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"
			 : "=r"(thread.ip), "=r"(thread.sp), "=r"(thread.bp));
	thread.copy = copy;
	thread.copy_wanted = COPY_BYTES;
	thread.copy_bytes = copy_stack();
}

__attribute__((noinline)) static void
nest(unsigned depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		nest(depth - 1);
	else
		take_sample();
	sink += (unsigned)room[0];
}

static uint64_t
time_walks(unsigned walks)
{
	uint64_t begin = vmt_ticks_monotonic_ns();

	for (unsigned i = 0; i < walks; i++)
		vmt_touch_unwind_walk(&unwind, &thread, VMT_STACK_MAX_FRAMES, &stack);
	return vmt_ticks_monotonic_ns() - begin;
}

/* take_sample, main, three of the C library and the program's start are frames, too. */
static void
measure(unsigned frames, unsigned rounds)
{
	uint64_t best = UINT64_MAX;
	uint64_t cold = UINT64_MAX;

	nest(frames - 7);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t first_ns;
		uint64_t warm_ns;

		vmt_frame_rules_free(&rules);
		first_ns = time_walks(1);
		warm_ns = time_walks(WALKS) / WALKS;
		cold = first_ns < cold ? first_ns : cold;
		best = warm_ns < best ? warm_ns : best;
	}
	printf("%2u frames%s: %5llu ns a sample, %llu us for the first one\n", stack.count,
	       stack.end == VMT_TOUCH_STACK_COMPLETE ? "" : ", not complete",
	       (unsigned long long)best, (unsigned long long)cold / 1000);
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	int maps_fd = vmt_procfs_open(0, "maps");
	if (!vmt_touch_unwind_open(&unwind, &rules, (uint32_t)getpid(), maps_fd))
		return 1;
	measure(10, rounds);
	measure(30, rounds);
	return 0;
}
