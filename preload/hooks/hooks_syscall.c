/*
 * hooks_syscall.c: memory calls that a program makes by libc's syscall().
 *
 * Only the numbers below come to C code, where they are written down like the libc call of that
 * name. All others go to the kernel by the same few instructions as in libc, without a frame: a
 * clone on a new stack returns through whatever lies there. Before a clone it is noted whether the
 * child will use this thread's state; one that is made by inline assembly cannot be seen.
 */
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/entry/route.h"
#include "capture/trace/finish.h"
#include "format/event.h"
#include "format/head.h"
#include "preload/hooks/hooks_process.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/uio.h>

struct call {
	struct vmt_raw_call raw;
	const void *frame; /* of the function that the program called */
};

static long
make(const struct call *call)
{
	return vmt_raw_call_make(&call->raw);
}

static long
make_exec(const struct call *call)
{
	bool beside = call->raw.number == SYS_execveat;
	const struct vmt_static_exec what = {
	    .directory = beside ? (int)call->raw.words[0] : AT_FDCWD,
	    .path = (const char *)
			call->raw.words[beside ? 1 : 0], /* NOLINT(performance-no-int-to-ptr) */
	};
	struct vmt_hooks_exec exec = vmt_hooks_process_begin_exec(&what, call->frame);
	long result = make(call);

	vmt_hooks_process_end_exec(&exec, (int)-result, call->frame);
	return result;
}

static long
route(struct call *call)
{
	struct vmt_route_caller caller = {.frame = call->frame, .notes = VMT_NOTE_RAW_SYSCALLS};

	switch (call->raw.number) {
	case SYS_exit_group:
		vmt_finish((int)call->raw.words[0], VMT_EXIT_UNDERSCORE);
		vmt_hooks_process_give_back();
		return make(call);
	case SYS_execve:
	case SYS_execveat:
		return make_exec(call);
	case SYS_unshare:
		vmt_hooks_process_change_mounts((uint64_t)call->raw.words[0]);
		return make(call);
	case SYS_setns:
		vmt_hooks_process_change_mounts(CLONE_NEWNS);
		return make(call);
	default:
		return vmt_route(&call->raw, &caller);
	}
}

__attribute__((used)) static long
fail_syscall(int error)
{
	errno = error;
	return -1;
}

/* clone: the flags; clone3: where they stand, which the kernel reads for us and may refuse. */
__attribute__((used)) static void
note_clone(long number, uint64_t first)
{
	uint64_t flags = first;
	struct iovec from = {(void *)(uintptr_t)first, sizeof(flags)};
	struct iovec to = {&flags, sizeof(flags)};

	if (number == SYS_clone3 &&
	    (!vmt_guard_syscalls_allowed() ||
	     vmt_sys_call6(SYS_process_vm_readv, vmt_sys_call0(SYS_getpid), (long)&to, 1,
			   (long)&from, 1, 0) != (long)sizeof(flags)))
		flags = CLONE_VM;
	vmt_hooks_process_clone(flags);
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
	if (vmt_sys_is_error(result))
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
	ROUTED(__NR_unshare)
	ROUTED(__NR_setns)
	ROUTED(__NR_seccomp)
	ROUTED(__NR_prctl) /* clang-format on */
	"	cmpq $" TEXT(__NR_clone) ", %rdi\n"
					 "	je 2f\n"
					 "	cmpq $" TEXT(
					     __NR_clone3) ", %rdi\n"
							  "	je 2f\n"
							  "3:	movq %rdi, %rax\n"
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
							  "2:	pushq %rdi\n"
							  "	pushq %rsi\n"
							  "	pushq %rdx\n"
							  "	pushq %rcx\n"
							  "	pushq %r8\n"
							  "	pushq %r9\n"
							  "	subq $8, %rsp\n"
							  "	.cfi_adjust_cfa_offset 56\n"
							  "	call note_clone\n"
							  "	addq $8, %rsp\n"
							  "	popq %r9\n"
							  "	popq %r8\n"
							  "	popq %rcx\n"
							  "	popq %rdx\n"
							  "	popq %rsi\n"
							  "	popq %rdi\n"
							  "	.cfi_adjust_cfa_offset -56\n"
							  "	jmp 3b\n"
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
	       number == SYS_unshare || number == SYS_setns || number == SYS_seccomp ||
	       number == SYS_prctl;
}

VMT_EXPORT long
syscall(long number, ...)
{
	struct call call = {.raw = {.number = number}, .frame = __builtin_frame_address(0)};
	int saved_errno = errno;
	long result;

	COLLECT_WORDS(call, number);
	if (number == SYS_clone || number == SYS_clone3)
		note_clone(number, (uint64_t)call.raw.words[0]);
	result = is_routed(number) ? route(&call) : make(&call);
	if (vmt_sys_is_error(result))
		return fail_syscall((int)-result);
	errno = saved_errno;
	return result;
}
#endif
