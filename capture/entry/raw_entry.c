#include "capture/entry/raw_entry.h"

#include "capture/core/call_stacks.h"
#include "capture/core/guard.h"
#include "capture/core/same_thread.h"
#include "capture/entry/exec_call.h"
#include "capture/entry/filter.h"
#include "capture/entry/route.h"
#include "capture/go/go_patch.h"
#include "capture/go/go_stack.h"
#include "capture/record/birth.h"
#include "capture/stacks/alternate_stacks.h"
#include "capture/stacks/stack_bounds.h"
#include "capture/trace/open.h"
#include "format/raw_calls.h"

#include <stddef.h>

#if defined(__x86_64__)

/* The registers of the caller as the entry pushes them. */
struct registers {
	uint64_t exit;
	uint64_t number;
	uint64_t r9;
	uint64_t r8;
	uint64_t r10;
	uint64_t rdx;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t rbp;
	uint64_t rsp;
};

_Static_assert(offsetof(struct vmt_call_stacks, free) == 0 &&
		   offsetof(struct vmt_call_stacks, base) == 8 &&
		   offsetof(struct vmt_call_stacks, first_top) == 16 &&
		   offsetof(struct vmt_call_stacks, missed) == 24 &&
		   offsetof(struct vmt_call_stacks, counter) == 32 &&
		   offsetof(struct vmt_call_stacks, notes) == 40 && VMT_NOTE_SECCOMP == 4 &&
		   VMT_CALL_STACK_SHIFT == 16 && VMT_ALTERNATE_STACK_CALL == 131,
	       "as in the entries");
_Static_assert(offsetof(struct vmt_raw_entry_site, exit) == 0 &&
		   offsetof(struct vmt_raw_entry_site, bypass) == 8,
	       "as in vmt_raw_entry_site");
_Static_assert(VMT_GO_PATCH_SITE_SHIFT == 16, "as in vmt_raw_entry_go");

__attribute__((cold, noinline)) static void
await_collector(void)
{
	uint32_t outer;

	vmt_atomic_store_relaxed(&vmt_recording.awaits_collector, 0);
	if (!vmt_guard_hold(&outer))
		return;
	vmt_open_await_collector();
	vmt_guard_let_go(outer);
}

static struct vmt_raw_call
call_of(const struct registers *registers)
{
	return (struct vmt_raw_call){
	    .number = (long)registers->number,
	    .words = {(long)registers->rdi, (long)registers->rsi, (long)registers->rdx,
		      (long)registers->r10, (long)registers->r8, (long)registers->r9},
	};
}

static struct vmt_route_caller
caller_of(const struct registers *registers)
{
	return (struct vmt_route_caller){
	    .place = {.pc = registers->exit, .sp = registers->rsp, .rbp = registers->rbp}};
}

/* Returns what the kernel did. */
static long
handle(const struct registers *registers)
{
	struct vmt_raw_call call = call_of(registers);
	struct vmt_route_caller caller = caller_of(registers);

	if (vmt_atomic_load_relaxed(&vmt_recording.awaits_collector))
		await_collector();
	return vmt_route(&call, &caller);
}

__attribute__((used)) static long
handle_go(const struct registers *registers)
{
	struct vmt_raw_call call = call_of(registers);
	struct vmt_route_caller caller = caller_of(registers);

	vmt_call_stacks_begin(registers->rsp);
	if (vmt_exec_call_is_told(call.number))
		return vmt_exec_call_told(&call, &caller);
	return handle(registers);
}

/* A number of LATER: nothing was done, and the entry makes the call itself. */
#define LATER UINT64_MAX

static void
note_alternate(long wanted)
{
#if defined(VMT_THREAD_ON_STACK)
	vmt_alternate_stacks_note((uint64_t)wanted);
#else
	(void)wanted;
#endif
}

static long
make_later(struct registers *registers)
{
	registers->number = LATER;
	return 0;
}

/* No filter is installed while signals are blocked: it may forbid to let them through again. An
 * alternate stack is refused by the stack that the call is made on. */
__attribute__((used)) static long
handle_site(struct registers *registers)
{
	struct vmt_raw_call call = call_of(registers);
	struct vmt_route_caller caller = caller_of(registers);

	vmt_call_stacks_begin(registers->rsp);
	if (vmt_birth_is_one(call.number))
		return vmt_route_birth(&call, &caller);
	if (vmt_exec_call_is_told(call.number))
		return vmt_exec_call_told(&call, &caller);
	if (call.number == VMT_ALTERNATE_STACK_CALL) {
		note_alternate(call.words[0]);
		return make_later(registers);
	}
	if (!vmt_route_filters((long)registers->number, (long)registers->rdi))
		return handle(registers);
	vmt_filter_begin(&(struct vmt_filter){.strict = false});
	return make_later(registers);
}

#if defined(VMT_THREAD_ON_STACK)
__attribute__((used)) static bool is_quick; /* calls may be recorded on the caller's stack */

void
vmt_raw_entry_set_up(bool hides_alternates)
{
	vmt_alternate_stacks_set_up(!hides_alternates);
	is_quick = vmt_thread_base == VMT_THREAD_BASE_READ && vmt_go_runtimes_count == 0;
}

static void
know(struct vmt_thread *thread)
{
	if (!vmt_same_thread_is(thread))
		vmt_same_thread_renew(thread);
	if (thread->generation != vmt_guard_owner->generation)
		vmt_guard_introduce_slow(thread);
}

/* The calling thread's state, if it can be found and nobody is inside by it, and the stack has
 * room; else NULL. */
static struct vmt_thread *
take_caller_stack(uint64_t sp)
{
	struct vmt_thread *thread = vmt_thread_find();

	if (!thread || thread->depth != 0 || vmt_threads_inside_is_distrusted() ||
	    vmt_atomic_load_acquire(&vmt_guard_owner->state) != VMT_OWNER_RECORDING)
		return NULL;
	if (thread->heap_depth == 0)
		know(thread);
	return vmt_stack_bounds_is_roomy(sp, vmt_guard_owner->pid) &&
		       !vmt_alternate_stacks_may_be_used(thread)
		   ? thread
		   : NULL;
}

/* Nothing was done: the entry goes on with a stack of ours. */
#define ON_OUR_STACK (UINT64_C(1) << 32)

__attribute__((used)) static long
handle_quick(struct registers *registers)
{
	struct vmt_thread *thread = take_caller_stack(registers->rsp);
	uint32_t outer;
	long result;

	if (!thread) {
		registers->number |= ON_OUR_STACK;
		return 0;
	}
	outer = thread->in_raw_call;
	thread->in_raw_call = 1;
	result = handle(registers);
	thread->in_raw_call = outer;
	return result;
}

/*
 * mmap, mprotect, munmap and madvise of a range that is apart from the caller's stack around rsp
 * are recorded on that stack, as a hook of the C library's functions would be, with signals let
 * through. A handler that interrupts has its calls recorded on a stack of ours. r11 and rsp as they
 * came lie at the top. A range ends with 64 KiB, as far as the frames reach. Lengths that wrap are
 * refused by the kernel.
 */
#define TRY_QUICK                                                                                  \
	"	cmpb $0, is_quick(%rip)\n"                                                               \
	"	je 20f\n"                                                                                \
	"	cmpl $9, %eax\n"                                                                         \
	"	je 10f\n"                                                                                \
	"	cmpl $10, %eax\n"                                                                        \
	"	je 10f\n"                                                                                \
	"	cmpl $11, %eax\n"                                                                        \
	"	je 10f\n"                                                                                \
	"	cmpl $28, %eax\n"                                                                        \
	"	jne 20f\n"                                                                               \
	"10:	cmpq %rsp, %rdi\n"                                                                    \
	"	ja 11f\n"                                                                                \
	"	leaq 65536(%rsi), %rcx\n"                                                                \
	"	addq %rdi, %rcx\n"                                                                       \
	"	jc 20f\n"                                                                                \
	"	cmpq %rcx, %rsp\n"                                                                       \
	"	jb 20f\n"                                                                                \
	"11:	movq %rsp, %rcx\n"                                                                    \
	"	leaq -128(%rsp), %rsp\n"                                                                 \
	"	andq $-16, %rsp\n"                                                                       \
	"	pushq %r11\n"                                                                            \
	"	pushq %r11\n"                                                                            \
	"	pushq %rcx\n"                                                                            \
	"	movq (%r11), %r11\n"                                                                     \
	"	movl %eax, %eax\n" RUN_HANDLER("handle_quick") "	btq $32, %rcx\n"                  \
							       "	jc 12f\n"                         \
							       "	movq (%rsp), %rsp\n"              \
							       "	jmpq *%r11\n"                     \
							       "12:	movl %ecx, %eax\n"             \
							       "	movq 8(%rsp), %r11\n"             \
							       "	movq (%rsp), %rsp\n"              \
							       "20:\n"
#else
#define TRY_QUICK ""
#endif

/*
 * rcx is free, nothing may be pushed yet. Takes the lowest free stack, so that few of them are ever
 * touched.
 */
#define TAKE_STACK                                                                                 \
	"1:	bsfq vmt_call_stacks(%rip), %rcx\n"                                                    \
	"	jz 2f\n"                                                                                 \
	"	lock btrq %rcx, vmt_call_stacks(%rip)\n"                                                 \
	"	jnc 1b\n"                                                                                \
	"	shlq $16, %rcx\n"                                                                        \
	"	addq 16+vmt_call_stacks(%rip), %rcx\n"                                                   \
	"	movq %rsp, -8(%rcx)\n"                                                                   \
	"	leaq -8(%rcx), %rsp\n"

#if defined(VMT_THREAD_ON_STACK) /* the code has no vector registers */
#define SAVE_VECTORS ""
#define RESTORE_VECTORS ""
#else
#define SAVE_VECTORS                                                                               \
	"	subq $512, %rsp\n"                                                                       \
	"	fxsave64 (%rsp)\n"
#define RESTORE_VECTORS                                                                            \
	"	fxrstor64 (%rsp)\n"                                                                      \
	"	addq $512, %rsp\n"
#endif

/* On its own stack, with the exit in r11, which comes back; the result is in rax. The direction
 * flag is clear for compiled code, and afterwards as it was. */
#define RUN_HANDLER(handler)                                                                       \
	"	pushq %rbp\n"                                                                            \
	"	pushq %rdi\n"                                                                            \
	"	pushq %rsi\n"                                                                            \
	"	pushq %rdx\n"                                                                            \
	"	pushq %r10\n"                                                                            \
	"	pushq %r8\n"                                                                             \
	"	pushq %r9\n"                                                                             \
	"	pushq %rax\n"                                                                            \
	"	pushq %r11\n"                                                                            \
	"	movq %rsp, %rdi\n" SAVE_VECTORS "	pushfq\n"                                        \
	"	pushq $0\n"                                                                              \
	"	cld\n"                                                                                   \
	"	xorl %ebp, %ebp\n"                                                                       \
	"	call " handler "\n"                                                                \
	"	popq %rcx\n"                                                                             \
	"	popq %rcx\n"                                                                             \
	"	btl $10, %ecx\n"                                                                         \
	"	jnc 99f\n"                                                                               \
	"	std\n"                                                                                   \
	"99:\n" RESTORE_VECTORS "	popq %r11\n"                                                     \
	"	popq %rcx\n"                                                                             \
	"	popq %r9\n"                                                                              \
	"	popq %r8\n"                                                                              \
	"	popq %r10\n"                                                                             \
	"	popq %rdx\n"                                                                             \
	"	popq %rsi\n"                                                                             \
	"	popq %rdi\n"                                                                             \
	"	popq %rbp\n"

/* rcx: an address on the stack. Once its bit is set again it is another thread's: nothing is read
 * from it after that. */
#define GIVE_STACK_BACK                                                                            \
	"	subq 8+vmt_call_stacks(%rip), %rcx\n"                                                    \
	"	shrq $16, %rcx\n"                                                                        \
	"	lock btsq %rcx, vmt_call_stacks(%rip)\n"

/*
 * A handler of the program must not run on a stack of ours: it may need a larger one, may look
 * where it runs, and on the alternate stack the kernel would think that the thread has left it. So
 * signals are blocked while the stack is ours, by calls that are made on the caller's. Below its
 * 128 bytes that are the caller's too lie then, from the lowest: the mask, r10, rdx, rsi, rdi, rax,
 * r11. They are written again afterwards, as the call may have emptied that page. After a munmap it
 * may be gone: all is kept on our stack then, which is given back last. Else it is given back
 * first, as a handler may never return.
 */
#define KEPT "184"
#define SET_MASK /* rsi: the new one; rdx: where the old one goes */                               \
	"	movl $14, %eax\n"                                                                        \
	"	movl $2, %edi\n"                                                                         \
	"	movl $8, %r10d\n"                                                                        \
	"	syscall\n"
#define LOAD_KEPT                                                                                  \
	"	movq 8(%rsp), %r10\n"                                                                    \
	"	movq 16(%rsp), %rdx\n"                                                                   \
	"	movq 24(%rsp), %rsi\n"                                                                   \
	"	movq 32(%rsp), %rdi\n"                                                                   \
	"	movq 40(%rsp), %rax\n"                                                                   \
	"	movq 48(%rsp), %r11\n"

/* Once the program has a filter of system calls, nothing else runs: the calls that are missed are
 * counted where the trace has them, if it is this process's. */
_Static_assert(offsetof(struct vmt_guard, no_syscalls) == 0 &&
		   offsetof(struct vmt_owner, state) == 0 && VMT_OWNER_RECORDING == 2,
	       "as in vmt_raw_entry_site");

/* At the top of our stack: the caller's stack pointer, the mask, the call's number. */
__asm__(".pushsection .rodata\n"
	".balign 8\n"
	"every_signal:\n"
	"	.quad -1\n"
	".popsection\n"
	".pushsection .text\n"
	".globl vmt_raw_entry_site\n"
	".hidden vmt_raw_entry_site\n"
	".type vmt_raw_entry_site, @function\n"
	"vmt_raw_entry_site:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	cmpb $0, vmt_guard(%rip)\n"
	"	jne 3f\n" TRY_QUICK "	leaq -128(%rsp), %rsp\n"
	"	pushq %r11\n"
	"	pushq %rax\n"
	"	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %r10\n"
	"	pushq $0\n"
	"	leaq every_signal(%rip), %rsi\n"
	"	movq %rsp, %rdx\n" SET_MASK "	testq %rax, %rax\n"
	"	jnz 4f\n"
	"1:	bsfq vmt_call_stacks(%rip), %rcx\n"
	"	jz 2f\n"
	"	lock btrq %rcx, vmt_call_stacks(%rip)\n"
	"	jnc 1b\n"
	"	shlq $16, %rcx\n"
	"	addq 16+vmt_call_stacks(%rip), %rcx\n"
	"	movq (%rsp), %r11\n"
	"	movq %r11, -16(%rcx)\n"
	"	leaq " KEPT "(%rsp), %r11\n"
	"	movq %r11, -24(%rcx)\n" LOAD_KEPT "	movl %eax, %eax\n"
	"	movq %rax, -8(%rcx)\n"
	"	leaq -24(%rcx), %rsp\n"
	"	movq (%r11), %r11\n" RUN_HANDLER(
	    "handle_site") "	incq %rcx\n"
			   "	jz 7f\n"
			   "	movq %rsp, %rcx\n"
			   "	movq (%rcx), %rsp\n"
			   "	cmpl $11, 16(%rcx)\n"
			   "	je 5f\n"
			   "	leaq -" KEPT "(%rsp), %rsp\n"
			   "	movq %r11, 48(%rsp)\n"
			   "	movq %rax, 40(%rsp)\n"
			   "	movq %rdi, 32(%rsp)\n"
			   "	movq %rsi, 24(%rsp)\n"
			   "	movq %rdx, 16(%rsp)\n"
			   "	movq %r10, 8(%rsp)\n"
			   "	movq 8(%rcx), %rax\n"
			   "	movq %rax, (%rsp)\n" GIVE_STACK_BACK "	movq %rsp, %rsi\n"
			   "	xorl %edx, %edx\n" SET_MASK LOAD_KEPT "	leaq " KEPT "(%rsp), %rsp\n"
			   "	jmpq *%r11\n"
			   "5:	movq %rdi, -8(%rcx)\n"
			   "	movq %rsi, -16(%rcx)\n"
			   "	movq %rdx, -24(%rcx)\n"
			   "	movq %r10, -32(%rcx)\n"
			   "	movq %r9, -40(%rcx)\n"
			   "	movq %rax, -48(%rcx)\n"
			   "	movq %r11, -56(%rcx)\n"
			   "	movq %rcx, %r9\n"
			   "	leaq 8(%rcx), %rsi\n"
			   "	xorl %edx, %edx\n" SET_MASK "	movq %r9, %rcx\n"
			   "	movq -8(%rcx), %rdi\n"
			   "	movq -16(%rcx), %rsi\n"
			   "	movq -24(%rcx), %rdx\n"
			   "	movq -32(%rcx), %r10\n"
			   "	movq -40(%rcx), %r9\n"
			   "	movq -48(%rcx), %rax\n"
			   "	movq -56(%rcx), %r11\n" GIVE_STACK_BACK "	jmpq *%r11\n"
			   "7:	movq %rsp, %rcx\n"
			   "	movq (%rcx), %rsp\n"
			   "	leaq -" KEPT "(%rsp), %rsp\n"
			   "	movq %r11, 48(%rsp)\n"
			   "	movq 16(%rcx), %rax\n"
			   "	movq %rax, 40(%rsp)\n"
			   "	movq %rdi, 32(%rsp)\n"
			   "	movq %rsi, 24(%rsp)\n"
			   "	movq %rdx, 16(%rsp)\n"
			   "	movq %r10, 8(%rsp)\n"
			   "	movq 8(%rcx), %rax\n"
			   "	movq %rax, (%rsp)\n" GIVE_STACK_BACK "	movq %rsp, %rsi\n"
			   "	xorl %edx, %edx\n" SET_MASK LOAD_KEPT "	syscall\n"
			   "	cmpl $131, 40(%rsp)\n"
			   "	je 9f\n"
			   "	movq 40+vmt_call_stacks(%rip), %rcx\n"
			   "	testq %rax, %rax\n"
			   "	js 8f\n"
			   "	jrcxz 9f\n"
			   "	lock orl $4, (%rcx)\n"
			   "	jmp 9f\n"
			   "8:	movb $0, vmt_guard(%rip)\n"
			   "9:	movq 48(%rsp), %r11\n"
			   "	leaq " KEPT "(%rsp), %rsp\n"
			   "	jmpq *%r11\n"
			   "2:	movq %rsp, %rsi\n"
			   "	xorl %edx, %edx\n" SET_MASK
			   "4:	lock incq 24+vmt_call_stacks(%rip)\n" LOAD_KEPT "	leaq " KEPT
			   "(%rsp), %rsp\n"
			   "	jmpq *8(%r11)\n"
			   "3:	lock incq 24+vmt_call_stacks(%rip)\n"
			   "	movq vmt_guard_owner(%rip), %rcx\n"
			   "	cmpl $2, (%rcx)\n"
			   "	jne 6f\n"
			   "	movq 32+vmt_call_stacks(%rip), %rcx\n"
			   "	jrcxz 6f\n"
			   "	lock incq (%rcx)\n"
			   "6:	jmpq *8(%r11)\n"
			   "	.cfi_endproc\n"
			   ".size vmt_raw_entry_site, . - vmt_raw_entry_site\n"
			   ".popsection\n");

/* eax holds the site's number and the call's. The Go runtime has its handlers on stacks of their
 * own, and makes no such call in one. */
__asm__(".pushsection .text\n"
	".globl vmt_raw_entry_go\n"
	".hidden vmt_raw_entry_go\n"
	".type vmt_raw_entry_go, @function\n"
	"vmt_raw_entry_go:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n" TAKE_STACK "	movl %eax, %ecx\n"
	"	shrl $16, %ecx\n"
	"	leaq vmt_go_patch_exits(%rip), %r11\n"
	"	movq (%r11,%rcx,8), %r11\n"
	"	movzwl %ax, %eax\n" RUN_HANDLER(
	    "handle_go") "	movq %rsp, %rcx\n"
			 "	movq (%rsp), %rsp\n" GIVE_STACK_BACK "	jmpq *%r11\n"
			 "2:	lock incq 24+vmt_call_stacks(%rip)\n"
			 "	movl %eax, %ecx\n"
			 "	shrl $16, %ecx\n"
			 "	leaq vmt_go_patch_bypasses(%rip), %r11\n"
			 "	jmpq *(%r11,%rcx,8)\n"
			 "	.cfi_endproc\n"
			 ".size vmt_raw_entry_go, . - vmt_raw_entry_go\n"
			 ".popsection\n");

#else

void
vmt_raw_entry_go(void)
{
}

void
vmt_raw_entry_site(void)
{
}

#endif
