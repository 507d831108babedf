/*
 * near_code.h: runs pieces of machine code with chosen registers, and says what they left
 *
 * Two pages near each other: one for the code, one for its stubs. Both can be written and
 * executed, which no page of a traced program ever is.
 */
#ifndef NEAR_CODE_H
#define NEAR_CODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define NEAR_PAGE_BYTES 65536u

/* rsp is not chosen. */
enum {
	NEAR_RAX,
	NEAR_RBX,
	NEAR_RCX,
	NEAR_RDX,
	NEAR_RSI,
	NEAR_RDI,
	NEAR_RBP,
	NEAR_R8,
	NEAR_R9,
	NEAR_R10,
	NEAR_R11,
	NEAR_R12,
	NEAR_R13,
	NEAR_R14,
	NEAR_R15,
	NEAR_REGISTERS
};

struct near_registers {
	uint64_t words[NEAR_REGISTERS];
	uint64_t flags;
	uint64_t stack; /* afterwards: how far rsp was moved */
};

struct near_pages {
	uint8_t *code;
	uint8_t *stubs;
	size_t bytes; /* of each */
};

static inline struct near_pages
near_pages_map(void)
{
	uint8_t *both = mmap(NULL, 2 * NEAR_PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(both != MAP_FAILED);
	return (struct near_pages){both, both + NEAR_PAGE_BYTES, NEAR_PAGE_BYTES};
}

static inline void
near_pages_unmap(struct near_pages *pages)
{
	assert_int_equal(munmap(pages->code, 2 * NEAR_PAGE_BYTES), 0);
}

/* registers: in rdi; code: in rsi; the caller's own are kept. The code has a stack of its own. */
void near_run_on_stack(struct near_registers *registers, const uint8_t *code, uint64_t *stack);

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
	"near_run_on_stack:\n"
	"	push	%rbx\n"
	"	push	%rbp\n"
	"	push	%r12\n"
	"	push	%r13\n"
	"	push	%r14\n"
	"	push	%r15\n"
	"	mov	%rsp, near_saved_stack(%rip)\n"
	"	mov	%rdi, near_saved_registers(%rip)\n"
	"	mov	%rsi, near_saved_code(%rip)\n"
	"	mov	%rdx, %rsp\n"
	"	mov	%rdx, near_chosen_stack(%rip)\n"
	"	pushq	15 * 8(%rdi)\n"
	"	popfq\n"
	"	mov	0 * 8(%rdi), %rax\n"
	"	mov	1 * 8(%rdi), %rbx\n"
	"	mov	2 * 8(%rdi), %rcx\n"
	"	mov	3 * 8(%rdi), %rdx\n"
	"	mov	4 * 8(%rdi), %rsi\n"
	"	mov	6 * 8(%rdi), %rbp\n"
	"	mov	7 * 8(%rdi), %r8\n"
	"	mov	8 * 8(%rdi), %r9\n"
	"	mov	9 * 8(%rdi), %r10\n"
	"	mov	10 * 8(%rdi), %r11\n"
	"	mov	11 * 8(%rdi), %r12\n"
	"	mov	12 * 8(%rdi), %r13\n"
	"	mov	13 * 8(%rdi), %r14\n"
	"	mov	14 * 8(%rdi), %r15\n"
	"	mov	5 * 8(%rdi), %rdi\n"
	"	call	*near_saved_code(%rip)\n"
	"	mov	%rdi, near_saved_rdi(%rip)\n"
	"	mov	near_saved_registers(%rip), %rdi\n"
	"	mov	%rax, 0 * 8(%rdi)\n"
	"	mov	%rbx, 1 * 8(%rdi)\n"
	"	mov	%rcx, 2 * 8(%rdi)\n"
	"	mov	%rdx, 3 * 8(%rdi)\n"
	"	mov	%rsi, 4 * 8(%rdi)\n"
	"	mov	%rbp, 6 * 8(%rdi)\n"
	"	mov	%r8, 7 * 8(%rdi)\n"
	"	mov	%r9, 8 * 8(%rdi)\n"
	"	mov	%r10, 9 * 8(%rdi)\n"
	"	mov	%r11, 10 * 8(%rdi)\n"
	"	mov	%r12, 11 * 8(%rdi)\n"
	"	mov	%r13, 12 * 8(%rdi)\n"
	"	mov	%r14, 13 * 8(%rdi)\n"
	"	mov	%r15, 14 * 8(%rdi)\n"
	"	mov	%rsp, %rbx\n"
	"	mov	near_saved_stack(%rip), %rsp\n"
	"	pushfq\n"
	"	popq	15 * 8(%rdi)\n"
	"	cld\n"
	"	sub	near_chosen_stack(%rip), %rbx\n"
	"	mov	%rbx, 16 * 8(%rdi)\n"
	"	mov	near_saved_rdi(%rip), %rax\n"
	"	mov	%rax, 5 * 8(%rdi)\n"
	"	pop	%r15\n"
	"	pop	%r14\n"
	"	pop	%r13\n"
	"	pop	%r12\n"
	"	pop	%rbp\n"
	"	pop	%rbx\n"
	"	ret\n"
	".local near_saved_stack, near_saved_registers, near_saved_code, "
	"near_chosen_stack\n"
	".local near_saved_rdi\n"
	".comm near_saved_stack, 8\n"
	".comm near_saved_registers, 8\n"
	".comm near_saved_code, 8\n"
	".comm near_chosen_stack, 8\n"
	".comm near_saved_rdi, 8\n"
	".popsection\n");

/* Runs the code, which ends with a ret. below: the bytes below its stack pointer afterwards. */
static inline void
near_run(const uint8_t *code, struct near_registers *registers, uint8_t below[128])
{
	static _Alignas(16) uint64_t stack[512];

	memset(stack, 0x5a, sizeof(stack));
	near_run_on_stack(registers, code, stack + 500);
	memcpy(below, (const uint8_t *)(stack + 499) - 128, 128); /* 499: the return address */
}
#endif

#endif
