/*
 * copied_stack.h: the registers and a copy of the stack of a thread, as a sample has them; x86-64
 *
 * copied_stack_take leaves in `copied` what the kernel would: the registers of its caller's callee
 * and the stack from there on, and beside it what the C library's unwinder says of the same place.
 * begin(pid), walk(limit), end() walk it with the modules of a process.
 */
#ifndef COPIED_STACK_H
#define COPIED_STACK_H

#include "base/procfs.h"
#include "collect/touch_unwind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#define COPY_BYTES 8192u
#define NOINLINE __attribute__((noinline, unused))
#if defined(__clang__)
#define NO_FRAME_POINTER NOINLINE
#else
#define NO_FRAME_POINTER __attribute__((noinline, noclone, unused, optimize("omit-frame-pointer")))
#endif

struct copied {
	struct vmt_touch_thread thread;
	unsigned char bytes[COPY_BYTES];
	uint64_t expected[VMT_STACK_MAX_FRAMES]; /* from the same function's own frame on */
	uint32_t expected_count;
};

static volatile unsigned sink;

/* For _Unwind_Backtrace, called in the function whose frame is to come first. */
static inline _Unwind_Reason_Code
copied_stack_note(struct _Unwind_Context *context, void *to)
{
	struct copied *copied = to;

	if (copied->expected_count == VMT_STACK_MAX_FRAMES || _Unwind_GetIP(context) == 0)
		return _URC_END_OF_STACK;
	copied->expected[copied->expected_count++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

/* As much of the stack as there is, at most `wanted`: page after page, as the kernel does. */
static inline void
copied_stack_fill(struct copied *copied, pid_t pid, uint64_t wanted)
{
	uint64_t at = 0;

	copied->thread.copy = copied->bytes;
	copied->thread.copy_wanted = wanted;
	while (at < wanted) {
		uint64_t from = copied->thread.sp + at;
		uint64_t page_left = 4096 - from % 4096;
		uint64_t bytes = wanted - at < page_left ? wanted - at : page_left;
		struct iovec to = {copied->bytes + at, bytes};
		struct iovec remote = {(void *)(uintptr_t)from, bytes};

		if (process_vm_readv(pid, &to, 1, &remote, 1, 0) != (ssize_t)bytes)
			break;
		at += bytes;
	}
	copied->thread.copy_bytes = at;
}

NOINLINE static void
copied_stack_take(struct copied *copied, uint64_t wanted)
{
	struct vmt_touch_thread *thread = &copied->thread;

	*thread = (struct vmt_touch_thread){.ip = 0};
	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2"
			 : "=r"(thread->ip), "=r"(thread->sp), "=r"(thread->bp));
	copied_stack_fill(copied, getpid(), wanted);
	copied->expected_count = 0;
	_Unwind_Backtrace(copied_stack_note, copied);
	sink++;
}

/* All frames but the first, of which the reference has another address in the same function. */
static inline void
assert_frames(const struct vmt_touch_stack *stack, const struct copied *copied, uint32_t skipped)
{
	for (uint32_t i = 1; i + skipped < stack->count; i++)
		assert_int_equal(stack->frames[i + skipped], copied->expected[i]);
}

static struct copied copied;
static struct vmt_frame_rules rules;
static struct vmt_touch_unwind unwind;
static struct vmt_touch_stack stack;
static int maps_fd;

static inline void
begin(pid_t pid)
{
	maps_fd = vmt_procfs_open((uint32_t)pid, "maps");
	assert_true(maps_fd >= 0);
	assert_true(vmt_touch_unwind_open(&unwind, &rules, (uint32_t)pid, maps_fd));
}

static inline void
end(void)
{
	vmt_touch_unwind_close(&unwind);
	vmt_frame_rules_rest(&rules);
	close(maps_fd);
}

/* As if nothing had been read yet. */
static inline void
forget_rules(void)
{
	vmt_frame_rules_free(&rules);
}

static inline void
walk(uint32_t limit)
{
	vmt_touch_unwind_walk(&unwind, &copied.thread, limit, &stack);
}

NOINLINE static void
take_copy(void)
{
	copied_stack_take(&copied, COPY_BYTES);
	sink++;
}

static inline void
assert_complete(void)
{
	walk(VMT_STACK_MAX_FRAMES);
	assert_int_equal(stack.end, VMT_TOUCH_STACK_COMPLETE);
	assert_int_equal(stack.count, copied.expected_count);
	assert_frames(&stack, &copied, 0);
}

static uint64_t wanted_bytes;

NO_FRAME_POINTER static void
nest(unsigned depth)
{
	volatile char room[40];

	room[0] = (char)depth;
	if (depth > 0)
		nest(depth - 1);
	else
		copied_stack_take(&copied, wanted_bytes);
	sink += (unsigned)room[0];
}

NOINLINE static void
nest_from_here(unsigned depth, uint64_t wanted)
{
	wanted_bytes = wanted;
	nest(depth);
	sink++;
}

/* Code made at run time that calls a function, with a frame pointer or with something else in its
 * register. */
NOINLINE static void (*make_code(bool frame_pointer))(void (*)(void))
{
	static const unsigned char bare[] = {0x55, 0xbd, 0x34, 0x12, 0x00, 0x00, 0x48, 0x83, 0xec,
					     0x10, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x10, 0x5d, 0xc3};
	static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	union {
		unsigned char *bytes;
		void (*call)(void (*callee)(void));
	} code = {memory};

	assert_ptr_not_equal(memory, MAP_FAILED);
	if (frame_pointer)
		memcpy(memory, framed, sizeof(framed));
	else
		memcpy(memory, bare, sizeof(bare));
	return code.call;
}

#endif
