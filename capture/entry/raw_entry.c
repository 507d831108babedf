#include "capture/entry/raw_entry.h"

#include "base/atomic.h"
#include "capture/core/guard.h"
#include "capture/core/own_memory.h"
#include "capture/entry/route.h"
#include "capture/go/go_patch.h"

#include <stddef.h>

#if defined(__x86_64__)

#define STACKS 64u
#define STACK_SHIFT 16 /* 64 KiB: a signal handler may have to run on it, too */
#define STACK_BYTES (UINT64_C(1) << STACK_SHIFT)

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
	       "as in the entries");
_Static_assert(offsetof(struct vmt_raw_entry_site, exit) == 0 &&
		   offsetof(struct vmt_raw_entry_site, bypass) == 8,
	       "as in vmt_raw_entry_site");
_Static_assert(VMT_GO_PATCH_SITE_SHIFT == 16, "as in vmt_raw_entry_go");

/* Where a thread's state lies at the end of its stack, each is aligned to its size. */
#if defined(VMT_THREAD_ON_STACK)
_Static_assert(VMT_THREAD_STACK_BYTES == STACK_BYTES, "the thread's state is found by that");
#define ALIGNMENT_BYTES STACK_BYTES
#else
#define ALIGNMENT_BYTES 1
#endif

void
vmt_raw_entry_set_up(void)
{
	unsigned char *memory =
	    vmt_own_memory_map_listed(STACKS * STACK_BYTES + ALIGNMENT_BYTES - 1);

	if (!memory)
		return;
	pool.base = ((uint64_t)memory + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);
	pool.first_top = pool.base + STACK_BYTES;
	vmt_atomic_store_release(&pool.free, UINT64_MAX);
}

/* The stack was another thread's before. */
static void
begin_thread(void)
{
#if defined(VMT_THREAD_ON_STACK)
	*vmt_thread_mine() = (struct vmt_thread){.depth = 0};
#endif
}

static void
publish_missed(void)
{
	uint64_t missed = vmt_atomic_load_relaxed(&pool.missed);
	uint32_t outer;

	if (missed == 0 || !vmt_guard_hold(&outer))
		return;
	vmt_atomic_store_relaxed(&vmt_recording.head->go.missed_calls, missed);
	vmt_guard_let_go(outer);
}

/* Returns what the kernel did. */
__attribute__((used)) static long
handle(const struct registers *registers)
{
	struct vmt_raw_call call = {
	    .number = (long)registers->number,
	    .words = {(long)registers->rdi, (long)registers->rsi, (long)registers->rdx,
		      (long)registers->r10, (long)registers->r8, (long)registers->r9},
	};
	struct vmt_route_caller caller = {
	    .place = {.pc = registers->exit, .sp = registers->rsp, .rbp = registers->rbp}};

	begin_thread();
	publish_missed();
	return vmt_route(&call, &caller);
}

/*
 * rcx is free, nothing may be pushed yet. Takes the lowest free stack, so that few of them are ever
 * touched.
 */
#define TAKE_STACK                                                                                 \
	"1:	bsfq pool(%rip), %rcx\n"                                                               \
	"	jz 2f\n"                                                                                 \
	"	lock btrq %rcx, pool(%rip)\n"                                                            \
	"	jnc 1b\n"                                                                                \
	"	shlq $16, %rcx\n"                                                                        \
	"	addq 16+pool(%rip), %rcx\n"                                                              \
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

/* On its own stack, with the exit in r11. Once the stack's bit is set again it is another thread's:
 * nothing is read from it after that. */
__asm__(".pushsection .text\n"
	".type run_handler, @function\n"
	"run_handler:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	pushq %rbp\n"
	"	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %r10\n"
	"	pushq %r8\n"
	"	pushq %r9\n"
	"	pushq %rax\n"
	"	pushq %r11\n"
	"	movq %rsp, %rdi\n" SAVE_VECTORS "	xorl %ebp, %ebp\n"
	"	call handle\n" RESTORE_VECTORS "	popq %r11\n"
	"	popq %rcx\n"
	"	popq %r9\n"
	"	popq %r8\n"
	"	popq %r10\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	popq %rbp\n"
	"	movq %rsp, %rcx\n"
	"	movq (%rsp), %rsp\n"
	"	subq 8+pool(%rip), %rcx\n"
	"	shrq $16, %rcx\n"
	"	lock btsq %rcx, pool(%rip)\n"
	"	jmpq *%r11\n"
	"	.cfi_endproc\n"
	".size run_handler, . - run_handler\n"
	".popsection\n");

__asm__(".pushsection .text\n"
	".globl vmt_raw_entry_site\n"
	".hidden vmt_raw_entry_site\n"
	".type vmt_raw_entry_site, @function\n"
	"vmt_raw_entry_site:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n" TAKE_STACK "	movq (%r11), %r11\n"
	"	movl %eax, %eax\n"
	"	jmp run_handler\n"
	"2:	lock incq 24+pool(%rip)\n"
	"	jmpq *8(%r11)\n"
	"	.cfi_endproc\n"
	".size vmt_raw_entry_site, . - vmt_raw_entry_site\n"
	".popsection\n");

/* eax holds the site's number and the call's. */
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
	"	movzwl %ax, %eax\n"
	"	jmp run_handler\n"
	"2:	lock incq 24+pool(%rip)\n"
	"	movl %eax, %ecx\n"
	"	shrl $16, %ecx\n"
	"	leaq vmt_go_patch_bypasses(%rip), %r11\n"
	"	jmpq *(%r11,%rcx,8)\n"
	"	.cfi_endproc\n"
	".size vmt_raw_entry_go, . - vmt_raw_entry_go\n"
	".popsection\n");

#else

void
vmt_raw_entry_set_up(void)
{
}

void
vmt_raw_entry_go(void)
{
}

void
vmt_raw_entry_site(void)
{
}

#endif
