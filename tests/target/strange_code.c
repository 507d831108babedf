/* Allocates from code that no walker knows, on stacks that are none: generated code with and
 * without frame pointers, callers that left garbage in rbp, a stack of garbage whose neighbour page
 * cannot be read. Only the number of calls is certain; that it lives on is the point. */
#include "tests/target/truth.h"

#define ROUNDS 500

static uint64_t seed = 88172645463325252u;

static uint64_t
random_word(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static NOINLINE void
use_block(void)
{
	void *volatile block = malloc(9000);

	free(block);
}

static NOINLINE void
use_range(void)
{
	void *range = truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	munmap(range, PAGE);
}

static NOINLINE void
use_both(void)
{
	use_block();
	use_range();
}

#if defined(__x86_64__)
/* push rbp or rbx; [mov rbp, rsp] or [sub-like padding]; call rdi; pop; ret */
static const unsigned char with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
static const unsigned char without_frame[] = {0x53, 0x48, 0x83, 0xec, 0x20, 0xff, 0xd7,
					      0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3};

static void
run_generated(const unsigned char *code, size_t bytes)
{
	unsigned char *page = (unsigned char *)truth_mapped(
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	union {
		unsigned char *bytes;
		void (*call)(void (*callee)(void));
	} generated = {page};

	memcpy(page, code, bytes);
	if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0)
		truth_die("mprotect");
	generated.call(use_both);
	munmap(page, PAGE);
}

/* Hand-written, without any CFI; rbp is what the caller says. */
__asm__(".pushsection .text\n"
	"call_with_rbp:\n"
	"	pushq %rbp\n"
	"	movq %rsi, %rbp\n"
	"	call *%rdi\n"
	"	popq %rbp\n"
	"	ret\n"
	"call_on_stack:\n"
	"	pushq %rbx\n"
	"	movq %rsp, %rbx\n"
	"	movq %rsi, %rsp\n"
	"	call *%rdi\n"
	"	movq %rbx, %rsp\n"
	"	popq %rbx\n"
	"	ret\n"
	".popsection\n");
extern void call_with_rbp(void (*callee)(void), uint64_t rbp);
extern void call_on_stack(void (*callee)(void), void *stack);

static void
run_with_garbage(void)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);
	const uint64_t wild[] = {random_word(),
				 random_word() & ~UINT64_C(7),
				 here + (random_word() & 0xffff),
				 here - (random_word() & 0xffff),
				 UINT64_MAX - 7,
				 8,
				 (uintptr_t)use_both};

	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++)
		call_with_rbp(use_both, wild[i]);
}

/* The last 64 words of the stack, up to where nothing can be read, are noise: some of it addresses
 * of code, some of the stack itself. */
static void
run_on_garbage(void)
{
	static char *stack;
	uint64_t *top;

	if (!stack)
		stack = truth_mapped(
		    mmap(NULL, 17 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	mprotect(stack, 16 * PAGE, PROT_READ | PROT_WRITE);
	top = (uint64_t *)(void *)(stack + 16 * PAGE) - 64;
	for (int i = 0; i < 64; i++) {
		uint64_t word = random_word();

		top[i] = word % 4 == 0	 ? (uintptr_t)use_both + word % 256
			 : word % 4 == 1 ? (uintptr_t)(top + word % 80)
			 : word % 4 == 2 ? (uintptr_t)malloc + word % 64
					 : word;
	}
	call_on_stack(use_both, top);
}
#endif

int
main(void)
{
	size_t calls = 0;

#if defined(__x86_64__)
	for (int i = 0; i < ROUNDS; i++) {
		run_generated(with_frame, sizeof(with_frame));
		run_generated(without_frame, sizeof(without_frame));
		run_with_garbage();
		run_on_garbage();
	}
	calls = ROUNDS * 10;
#endif
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "use_block",
	    .count = calls,
	    .total_reserved_bytes = calls * 9000,
	    .released_bytes = calls * 9000,
	});
	truth_site(&(struct truth_site){
	    .kind = "mmap",
	    .function = "use_range",
	    .count = calls,
	    .total_reserved_bytes = calls * PAGE,
	    .released_bytes = calls * PAGE,
	});
	return truth_end("strange_code");
}
