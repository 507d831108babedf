/*
 * hooks_syscall.c: memory calls that a program makes by libc's syscall().
 *
 * Only the numbers below come to C code, where they are written down like the libc call of that
 * name. All others go to the kernel by the same few instructions as in libc, without a frame: a
 * clone on a new stack returns through whatever lies there.
 */
#include "collect/sys.h"
#include "format/event.h"
#include "preload/hooks_process.h"
#include "preload/mapping.h"
#include "preload/real.h"
#include "preload/segments.h"
#include "preload/stacks.h"
#include "preload/start.h"
#include "preload/state.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

struct call {
	long number;
	long words[6];
	const void *frame; /* of the function that the program called */
};

static long
make(const struct call *call)
{
	const long *words = call->words;

	return vmt_sys_call6(call->number, words[0], words[1], words[2], words[3], words[4],
			     words[5]);
}

static long
record_mmap(const struct call *call, uint32_t stack)
{
	const long *words = call->words;
	struct vmt_mapping_request request = {
	    .address = (uint64_t)words[0],
	    .length = (uint64_t)words[1],
	    .protection = (int)words[2],
	    .flags = (int)words[3],
	    .fd = (int)words[4],
	    .offset = (uint64_t)words[5],
	};

	return vmt_mapping_mmap(&request, stack);
}

static long
record_mremap(const struct call *call, uint32_t stack)
{
	const long *words = call->words;
	struct vmt_mapping_move move = {
	    .old_address = (uint64_t)words[0],
	    .old_length = (uint64_t)words[1],
	    .new_length = (uint64_t)words[2],
	    .flags = (int)words[3],
	    .new_address = (uint64_t)words[4],
	};

	return vmt_mapping_mremap(&move, stack);
}

/* The raw call returns the break there is afterwards, moved or not. */
static long
record_brk(const struct call *call, uint32_t stack)
{
	struct vmt_segments_brk moved = {.new_break = (uint64_t)call->words[0]};
	long result;

	if (moved.new_break == 0)
		return make(call);
	moved.old_break = (uint64_t)vmt_sys_call1(SYS_brk, 0);
	moved.committed_bytes =
	    vmt_segments_brk_begin(moved.old_break, moved.new_break, &moved.marks, stack);
	result = make(call);
	moved.error = (uint64_t)result == moved.new_break ? 0 : ENOMEM;
	vmt_segments_brk_end(&moved, stack);
	return result;
}

static long
record(const struct call *call, uint32_t stack)
{
	const long *words = call->words;
	uint64_t address = (uint64_t)words[0];
	uint64_t length = (uint64_t)words[1];

	switch (call->number) {
	case SYS_mmap:
		return record_mmap(call, stack);
	case SYS_munmap:
		return vmt_mapping_munmap(address, length, stack);
	case SYS_mremap:
		return record_mremap(call, stack);
	case SYS_madvise:
		return vmt_mapping_madvise(address, length, (int)words[2], stack);
	case SYS_mprotect:
		return vmt_mapping_mprotect(address, length, (int)words[2], -1, stack);
	case SYS_brk:
		return record_brk(call, stack);
	case SYS_shmat:
		return vmt_segments_shmat((int)words[0], length, (int)words[2], stack);
	case SYS_shmdt:
		return vmt_segments_shmdt(address, stack);
	default:
		return make(call);
	}
}

static long
make_memory_call(const struct call *call)
{
	long result;

	if (!vmt_state_enter())
		return make(call);
	vmt_hooks_process_add_note(VMT_NOTE_RAW_SYSCALLS);
	result = record(call, vmt_stacks_capture(call->frame));
	vmt_state_leave();
	return result;
}

static long
make_exec(const struct call *call)
{
	bool written = vmt_hooks_process_write_exec(call->frame);
	long result = make(call);

	if (written)
		vmt_hooks_process_undo_exec((int)-result, call->frame);
	return result;
}

/* seccomp, or prctl's PR_SET_SECCOMP. */
static long
make_seccomp(const struct call *call, bool strict)
{
	struct vmt_hooks_seccomp seccomp = {.strict = strict};
	long result;

	vmt_hooks_process_seccomp_begin(&seccomp);
	result = make(call);
	vmt_hooks_process_seccomp_end(&seccomp, result);
	return result;
}

static long
make_prctl(const struct call *call)
{
	if (call->words[0] == PR_SET_SECCOMP)
		return make_seccomp(call, call->words[1] == SECCOMP_MODE_STRICT);
	if (call->words[0] == PR_SET_TSC)
		vmt_hooks_process_tsc((unsigned long)call->words[1]);
	return make(call);
}

static long
route(const struct call *call)
{
	switch (call->number) {
	case SYS_exit_group:
		vmt_start_finish((int)call->words[0], VMT_EXIT_UNDERSCORE);
		return make(call);
	case SYS_execve:
	case SYS_execveat:
		return make_exec(call);
	case SYS_seccomp:
		if (call->words[0] >= SECCOMP_GET_ACTION_AVAIL)
			return make(call);
		return make_seccomp(call, call->words[0] == SECCOMP_SET_MODE_STRICT);
	case SYS_prctl:
		return make_prctl(call);
	default:
		return make_memory_call(call);
	}
}

__attribute__((used)) static long
fail_syscall(int error)
{
	errno = error;
	return -1;
}

#define COLLECT_WORDS(call, last)                                                                  \
	do {                                                                                       \
		va_list rest;                                                                      \
                                                                                                   \
		va_start(rest, last);                                                              \
		for (int index = 0; index < 6; index++)                                            \
			(call).words[index] = va_arg(rest, long);                                  \
		va_end(rest);                                                                      \
	} while (0)

#if defined(__x86_64__)
__attribute__((used)) static long
routed_syscall(long number, ...)
{
	struct call call = {.number = number, .frame = __builtin_frame_address(0)};
	int saved_errno = errno;
	long result;

	COLLECT_WORDS(call, number);
	result = route(&call);
	if (result < 0 && result >= -4095)
		return fail_syscall((int)-result);
	errno = saved_errno;
	return result;
}

#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)
#define ROUTED(number)                                                                             \
	"	cmpq $" TEXT(number) ", %rdi\n"                                                    \
				     "	je routed_syscall\n"

__asm__(".pushsection .text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	.cfi_startproc\n"
	"	endbr64\n" /* clang-format off */
	ROUTED(__NR_mmap)
	ROUTED(__NR_munmap)
	ROUTED(__NR_mremap)
	ROUTED(__NR_madvise)
	ROUTED(__NR_mprotect)
	ROUTED(__NR_brk)
	ROUTED(__NR_shmat)
	ROUTED(__NR_shmdt)
	ROUTED(__NR_execve)
	ROUTED(__NR_execveat)
	ROUTED(__NR_exit_group)
	ROUTED(__NR_seccomp)
	ROUTED(__NR_prctl) /* clang-format on */
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	movq %rdx, %rsi\n"
	"	movq %rcx, %rdx\n"
	"	movq %r8, %r10\n"
	"	movq %r9, %r8\n"
	"	movq 8(%rsp), %r9\n"
	"	syscall\n"
	"	cmpq $-4095, %rax\n"
	"	jae 1f\n"
	"	ret\n"
	"1:	negl %eax\n"
	"	movl %eax, %edi\n"
	"	jmp fail_syscall\n"
	"	.cfi_endproc\n"
	".size syscall, . - syscall\n"
	".popsection\n");
#else
static bool
is_routed(long number)
{
	return number == SYS_mmap || number == SYS_munmap || number == SYS_mremap ||
	       number == SYS_madvise || number == SYS_mprotect || number == SYS_brk ||
	       number == SYS_shmat || number == SYS_shmdt || number == SYS_execve ||
	       number == SYS_execveat || number == SYS_exit_group || number == SYS_seccomp ||
	       number == SYS_prctl;
}

VMT_EXPORT long
syscall(long number, ...)
{
	struct call call = {.number = number, .frame = __builtin_frame_address(0)};
	int saved_errno = errno;
	long result;

	COLLECT_WORDS(call, number);
	result = is_routed(number) ? route(&call) : make(&call);
	if (result < 0 && result >= -4095)
		return fail_syscall((int)-result);
	errno = saved_errno;
	return result;
}
#endif
