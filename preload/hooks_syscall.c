/*
 * hooks_syscall.c: memory calls that a program makes by libc's syscall().
 *
 * Only the numbers below come to C code, where they are written down like the libc call of that
 * name. All others go to the kernel by the same few instructions as in libc, without a frame: a
 * clone on a new stack returns through whatever lies there.
 */
#include "collect/sys.h"
#include "format/event.h"
#include "preload/file_release.h"
#include "preload/hooks_process.h"
#include "preload/lock_all.h"
#include "preload/mapping.h"
#include "preload/raw_call.h"
#include "preload/real.h"
#include "preload/retreat.h"
#include "preload/segments.h"
#include "preload/stacks.h"
#include "preload/start.h"
#include "preload/state.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct call {
	struct vmt_raw_call raw;
	const void *frame; /* of the function that the program called */
};

static long
make(const struct call *call)
{
	return vmt_raw_call_make(&call->raw);
}

/* After a call that was refused for want of room. */
static bool
is_worth_another_try(const struct vmt_raw_call *raw)
{
	uint64_t old_length = (uint64_t)raw->words[1];
	uint64_t new_length = (uint64_t)raw->words[2];

	switch (raw->number) {
	case SYS_mmap:
		return vmt_retreat_from(
		    old_length, vmt_retreat_mmap_want((int)raw->words[2], (int)raw->words[3]));
	case SYS_mremap:
		return vmt_retreat_from(new_length > old_length ? new_length - old_length : 0,
					VMT_RETREAT_WRITABLE);
	case SYS_mprotect:
		return vmt_retreat_from(raw->words[2] & PROT_WRITE ? old_length : 0,
					raw->words[2] & PROT_WRITE ? VMT_RETREAT_WRITABLE
								   : VMT_RETREAT_SPLIT);
	case SYS_shmat:
		return vmt_retreat_from(vmt_segments_bytes((int)raw->words[0]), VMT_RETREAT_SHARED);
	case SYS_fallocate:
	case SYS_ftruncate:
		return false;
	default:
		return vmt_retreat_from(0, VMT_RETREAT_SPLIT);
	}
}

/* By how much the break should have grown and did not. */
static uint64_t
missing_break(const struct vmt_raw_call *raw, long result)
{
	uint64_t wanted = (uint64_t)raw->words[0];

	return raw->number == SYS_brk && wanted > (uint64_t)result ? wanted - (uint64_t)result : 0;
}

/* A call that put something in a place of its choice is not made again: see map in hooks_map.c. */
static bool
chose_its_place(const struct vmt_raw_call *raw)
{
	return (raw->number == SYS_mmap && (raw->words[3] & MAP_FIXED)) ||
	       (raw->number == SYS_mremap && (raw->words[3] & MREMAP_FIXED));
}

static bool
is_short_of_room(const struct vmt_raw_call *raw, long result)
{
	uint64_t missing = missing_break(raw, result);

	if (chose_its_place(raw))
		return false;
	if (missing != 0)
		return vmt_retreat_from(missing, VMT_RETREAT_WRITABLE);
	if (result == (raw->number == SYS_madvise ? -EAGAIN : -ENOMEM))
		return is_worth_another_try(raw);
	return false;
}

static long
make_memory_call(const struct call *call)
{
	long result;

	if (vmt_state_enter()) {
		vmt_hooks_process_add_note(VMT_NOTE_RAW_SYSCALLS);
		result = vmt_raw_call_record(&call->raw, vmt_stacks_capture(call->frame));
		vmt_state_leave();
	} else {
		result = vmt_raw_call_pass(&call->raw);
	}
	return is_short_of_room(&call->raw, result) ? vmt_raw_call_pass(&call->raw) : result;
}

static long
make_exec(const struct call *call)
{
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(call->frame);
	long result = make(call);

	vmt_hooks_process_end_exec(&exec, (int)-result, call->frame);
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
	if (call->raw.words[0] == PR_SET_SECCOMP)
		return make_seccomp(call, call->raw.words[1] == SECCOMP_MODE_STRICT);
	if (call->raw.words[0] == PR_SET_TSC)
		vmt_hooks_process_tsc((unsigned long)call->raw.words[1]);
	return make(call);
}

/* mlockall and munlockall, once they have been made. */
static long
note_lock_all(const struct call *call, uint8_t kind, long result)
{
	uint32_t flags = kind == VMT_EVENT_MLOCK ? (uint32_t)call->raw.words[0] : 0;

	if (vmt_state_enter()) {
		vmt_mapping_note(kind, 0, 0, flags, result, vmt_stacks_capture(call->frame));
		vmt_state_leave();
	}
	return result;
}

static long
route(const struct call *call)
{
	switch (call->raw.number) {
	case SYS_exit_group:
		vmt_start_finish((int)call->raw.words[0], VMT_EXIT_UNDERSCORE);
		vmt_hooks_process_give_back();
		return make(call);
	case SYS_execve:
	case SYS_execveat:
		return make_exec(call);
	case SYS_seccomp:
		if (call->raw.words[0] >= SECCOMP_GET_ACTION_AVAIL)
			return make(call);
		return make_seccomp(call, call->raw.words[0] == SECCOMP_SET_MODE_STRICT);
	case SYS_prctl:
		return make_prctl(call);
	case SYS_mlockall:
		return note_lock_all(call, VMT_EVENT_MLOCK, vmt_lock_all((int)call->raw.words[0]));
	case SYS_munlockall:
		return note_lock_all(call, VMT_EVENT_MUNLOCK, vmt_lock_all_undo());
	case SYS_fallocate:
		if (!vmt_file_release_is_one((uint32_t)call->raw.words[1]))
			return make(call);
		return make_memory_call(call);
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
			(call).raw.words[index] = va_arg(rest, long);                              \
		va_end(rest);                                                                      \
	} while (0)

#if defined(__x86_64__)
__attribute__((used)) static long
routed_syscall(long number, ...)
{
	struct call call = {.raw = {.number = number}, .frame = __builtin_frame_address(0)};
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
	ROUTED(__NR_pkey_mprotect)
	ROUTED(__NR_process_madvise)
	ROUTED(__NR_map_shadow_stack)
	ROUTED(__NR_mlock)
	ROUTED(__NR_mlock2)
	ROUTED(__NR_munlock)
	ROUTED(__NR_remap_file_pages)
	ROUTED(__NR_fallocate)
	ROUTED(__NR_ftruncate)
	ROUTED(__NR_shmat)
	ROUTED(__NR_shmdt)
	ROUTED(__NR_mlockall)
	ROUTED(__NR_munlockall)
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
	       number == SYS_pkey_mprotect || number == SYS_process_madvise ||
	       number == __NR_map_shadow_stack || number == SYS_mlock || number == SYS_mlock2 ||
	       number == SYS_mlockall || number == SYS_munlock || number == SYS_munlockall ||
	       number == SYS_remap_file_pages || number == SYS_fallocate ||
	       number == SYS_ftruncate || number == SYS_shmat || number == SYS_shmdt ||
	       number == SYS_execve || number == SYS_execveat || number == SYS_exit_group ||
	       number == SYS_seccomp || number == SYS_prctl;
}

VMT_EXPORT long
syscall(long number, ...)
{
	struct call call = {.raw = {.number = number}, .frame = __builtin_frame_address(0)};
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
