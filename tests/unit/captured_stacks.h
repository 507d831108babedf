/*
 * captured_stacks.h: one stack, captured by every walker there is.
 *
 * Whatever calls capture() leaves in `captured` what our walker, libunwind and the frame pointers
 * say. Functions with and without frame pointers stand ready to be walked through.
 */
#ifndef CAPTURED_STACKS_H
#define CAPTURED_STACKS_H

#include "capture/modules/modules.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/last_walk.h"
#include "preload/libc/libunwind.h"
#include "tests/unit/memory_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#define LIMIT 128u
#if defined(__clang__)
#define NOINLINE __attribute__((noinline, unused))
#define NO_FRAME_POINTER NOINLINE
#else
#define NOINLINE __attribute__((noinline, noclone, unused))
#define NO_FRAME_POINTER __attribute__((noinline, noclone, unused, optimize("omit-frame-pointer")))
#endif

struct captured {
	uint64_t ours[LIMIT];
	uint64_t theirs[LIMIT];
	uint64_t frame_pointers[LIMIT];
	uint32_t our_count;
	uint32_t their_count;
	uint32_t frame_pointers_count;
	uint32_t limit;
};

static struct captured captured;
static volatile unsigned sink;

/* Has this thread remember its walks from the next one on. */
static inline void
remember_from_here(void)
{
	vmt_thread_mine()->walks = VMT_LAST_WALK_CLAIM_AT - 1;
}

/* Walks that go by the last one find what a full one finds: met for the first time and again. */
NOINLINE static void
assert_remembered(const void *frame, uint32_t limit)
{
	uint64_t full[LIMIT];
	uint64_t remembered[LIMIT];
	uint32_t wanted = limit < VMT_LAST_WALK_FRESH ? limit : VMT_LAST_WALK_FRESH;
	uint32_t count = vmt_capture_walk(frame, full, wanted);

	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(vmt_capture_walk_remembering(frame, remembered, wanted), count);
		assert_memory_equal(remembered, full, count * sizeof(*full));
	}
}

/* Stands for a hook: its caller is the innermost frame. */
NOINLINE static void
capture(void)
{
	const void *frame = __builtin_frame_address(0);

	assert_true(vmt_capture_choose(VMT_CAPTURE_WALK_FP));
	captured.frame_pointers_count =
	    vmt_capture_walk(frame, captured.frame_pointers, captured.limit);
	assert_true(vmt_capture_choose(VMT_CAPTURE_WALK_CFI));
	captured.our_count = vmt_capture_walk(frame, captured.ours, captured.limit);
	assert_remembered(frame, captured.limit);
	captured.their_count = vmt_libunwind_walk(frame, captured.theirs, captured.limit);
	sink++;
}

/* Frames of a signal: the walker gives addresses that lie one past, libunwind exact ones. */
static inline void
assert_same_stacks(uint32_t least, uint32_t struck)
{
	uint32_t differ = 0;

	assert_true(captured.our_count >= least);
	assert_int_equal(captured.our_count, captured.their_count);
	for (uint32_t i = 0; i < captured.our_count; i++) {
		if (captured.ours[i] == captured.theirs[i])
			continue;
		assert_int_equal(captured.ours[i], captured.theirs[i] + 1);
		differ++;
	}
	assert_int_equal(differ, struck);
}

NOINLINE static void
nested(unsigned depth)
{
	if (depth == 0)
		capture();
	else
		nested(depth - 1);
	sink++;
}

NO_FRAME_POINTER static void
bare_small(unsigned depth)
{
	if (depth == 0)
		capture();
	else
		bare_small(depth - 1);
	sink++;
}

NO_FRAME_POINTER static void
bare_large(unsigned depth)
{
	volatile char buffer[3000];

	buffer[depth] = 1;
	bare_small(depth);
	sink += (unsigned)buffer[depth];
}

NO_FRAME_POINTER static unsigned
bare_many(unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned g,
	  unsigned h)
{
	unsigned kept = a * b + c * d + e * f + g * h;

	bare_large(a);
	sink += a + b * c + d * e + f * g + h;
	return kept + sink;
}

static inline char *
make_stack(size_t bytes)
{
	char *memory = mmap(NULL, bytes + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mprotect(memory + 4096, bytes, PROT_READ | PROT_WRITE), 0);
	return memory + 4096;
}

static inline void
drop_stack(char *memory, size_t bytes)
{
	munmap(memory - 4096, bytes + 2 * 4096);
}

/* Group set-up. */
static inline int
captured_stacks_set_up(void **state)
{
	(void)state;
	memory_trace_begin();
	vmt_capture_set_up();
	vmt_modules_refresh();
	captured.limit = LIMIT;
	remember_from_here();
	return vmt_libunwind_open() ? 0 : -1;
}

#endif
