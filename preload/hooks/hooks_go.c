#include "preload/hooks/hooks_go.h"

#include "base/atomic.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/go/go_patch.h"
#include "capture/record/mapping.h"
#include "capture/record/raw_call.h"
#include "capture/stacks/capture.h"
#include "format/event.h"
#include "preload/hooks/hooks_process.h"
#include "preload/trace/finish.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#if defined(__x86_64__)

#define STACKS 64u
#define STACK_SHIFT 16 /* 64 KiB: a signal handler may have to run on it, too */

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

/* The registers of the caller as the entry pushes them. */
struct registers {
	uint64_t packed; /* site and number */
	uint64_t r9;
	uint64_t r8;
	uint64_t r10;
	uint64_t rdx;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t rbp;
	uint64_t rsp;
};

/* What the entry uses. Bit i set: stack i is free. */
struct pool {
	uint64_t free;
	uint64_t base;
	uint64_t first_top; /* end of stack 0 */
	uint64_t missed;
};

__attribute__((used)) static struct pool pool;

_Static_assert(offsetof(struct pool, base) == 8 && offsetof(struct pool, first_top) == 16 &&
		   offsetof(struct pool, missed) == 24,
	       "as in vmt_hooks_go_entry");
_Static_assert(VMT_GO_PATCH_SITE_SHIFT == 16, "as in vmt_hooks_go_entry");

void
vmt_hooks_go_set_up(void)
{
	unsigned char *stacks = vmt_own_memory_map_listed((size_t)STACKS << STACK_SHIFT);

	if (!stacks)
		return;
	pool.base = (uint64_t)stacks;
	pool.first_top = pool.base + (UINT64_C(1) << STACK_SHIFT);
	vmt_atomic_store_release(&pool.free, UINT64_MAX);
}

static bool
installs_filter(const struct vmt_raw_call *call, struct vmt_hooks_seccomp *seccomp)
{
	if (call->number == SYS_seccomp) {
		seccomp->strict = call->words[0] == SECCOMP_SET_MODE_STRICT;
		return call->words[0] < SECCOMP_GET_ACTION_AVAIL;
	}
	seccomp->strict = call->words[1] == SECCOMP_MODE_STRICT;
	return call->number == SYS_prctl && call->words[0] == PR_SET_SECCOMP;
}

static bool
is_recorded(const struct vmt_raw_call *call)
{
	if (call->number == SYS_prctl)
		return call->words[0] == PR_SET_VMA && call->words[1] == PR_SET_VMA_ANON_NAME;
	return call->number != SYS_seccomp;
}

static void
publish_missed(void)
{
	uint64_t missed = vmt_atomic_load_relaxed(&pool.missed);

	if (missed != 0)
		vmt_atomic_store_relaxed(&vmt_recording.head->go.missed_calls, missed);
}

/* The site's function has no frame: its caller's return address lies at rsp. */
static uint32_t
capture(const struct registers *registers)
{
	uint64_t site = registers->packed >> VMT_GO_PATCH_SITE_SHIFT;
	struct vmt_capture_start place = {
	    .pc = vmt_go_patch_exits[site], .sp = registers->rsp, .rbp = registers->rbp};

	return vmt_capture_stack_from(&place);
}

static long
record_once(struct vmt_raw_call *call, const struct registers *registers)
{
	uint32_t stack;
	long result;

	if (!vmt_guard_enter())
		return vmt_raw_call_pass(call);
	stack = capture(registers);
	publish_missed();
	result = vmt_raw_call_record(call, stack);
	if (call->number == SYS_prctl)
		vmt_mapping_note(VMT_EVENT_NAME, (uint64_t)call->words[2], (uint64_t)call->words[3],
				 0, result, stack);
	vmt_guard_leave();
	return result;
}

static long
record(struct vmt_raw_call *call, const struct registers *registers)
{
	long result = record_once(call, registers);

	return vmt_raw_call_retreat(call, result) ? record_once(call, registers) : result;
}

/* Returns what the kernel did. Keeps errno: a signal handler of the runtime may have come here. */
__attribute__((used)) static long
handle(const struct registers *registers)
{
	struct vmt_raw_call call = {
	    .number = (long)(registers->packed & VMT_GO_PATCH_NUMBER_MASK),
	    .words = {(long)registers->rdi, (long)registers->rsi, (long)registers->rdx,
		      (long)registers->r10, (long)registers->r8, (long)registers->r9},
	};
	int saved_errno = errno;
	struct vmt_hooks_seccomp seccomp = {.strict = false};
	long result;

	if (call.number == SYS_exit_group)
		vmt_finish((int)call.words[0], VMT_EXIT_UNDERSCORE);
	if (call.number == SYS_prctl && call.words[0] == PR_SET_TSC)
		vmt_hooks_process_tsc((unsigned long)call.words[1]);
	if (installs_filter(&call, &seccomp)) {
		vmt_hooks_process_seccomp_begin(&seccomp);
		result = vmt_raw_call_make(&call);
		vmt_hooks_process_seccomp_end(&seccomp, result);
	} else if (call.number != SYS_exit_group && is_recorded(&call)) {
		result = record(&call, registers);
	} else {
		result = vmt_raw_call_make(&call);
	}
	errno = saved_errno;
	return result;
}

/*
 * On entry eax holds site and number, rcx and r11 are free; nothing may be pushed yet. Takes the
 * lowest free stack, so that few of them are ever touched. Once its bit is set again the stack is
 * another thread's: nothing is read from it after that.
 */
__asm__(".pushsection .text\n"
	".globl vmt_hooks_go_entry\n"
	".hidden vmt_hooks_go_entry\n"
	".type vmt_hooks_go_entry, @function\n"
	"vmt_hooks_go_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"1:	movq pool(%rip), %r11\n"
	"	bsfq %r11, %rcx\n"
	"	jz 2f\n"
	"	lock btrq %rcx, pool(%rip)\n"
	"	jnc 1b\n"
	"	shlq $16, %rcx\n"
	"	addq 16+pool(%rip), %rcx\n"
	"	movq %rsp, -8(%rcx)\n"
	"	leaq -8(%rcx), %rsp\n"
	"	pushq %rbp\n"
	"	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %r10\n"
	"	pushq %r8\n"
	"	pushq %r9\n"
	"	movl %eax, %eax\n"
	"	pushq %rax\n"
	"	movq %rsp, %rdi\n"
	"	subq $520, %rsp\n"
	"	fxsave64 (%rsp)\n"
	"	xorl %ebp, %ebp\n"
	"	call handle\n"
	"	fxrstor64 (%rsp)\n"
	"	addq $520, %rsp\n"
	"	popq %rcx\n"
	"	popq %r9\n"
	"	popq %r8\n"
	"	popq %r10\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	popq %rbp\n"
	"	shrl $16, %ecx\n"
	"	leaq vmt_go_patch_exits(%rip), %r11\n"
	"	movq (%r11,%rcx,8), %r11\n"
	"	movq %rsp, %rcx\n"
	"	movq (%rsp), %rsp\n"
	"	subq 8+pool(%rip), %rcx\n"
	"	shrq $16, %rcx\n"
	"	lock btsq %rcx, pool(%rip)\n"
	"	jmpq *%r11\n"
	"2:	lock incq 24+pool(%rip)\n"
	"	movl %eax, %ecx\n"
	"	shrl $16, %ecx\n"
	"	leaq vmt_go_patch_bypasses(%rip), %r11\n"
	"	jmpq *(%r11,%rcx,8)\n"
	"	.cfi_endproc\n"
	".size vmt_hooks_go_entry, . - vmt_hooks_go_entry\n"
	".popsection\n");

#else

void
vmt_hooks_go_set_up(void)
{
}

void
vmt_hooks_go_entry(void)
{
}

#endif
