/* An allocator and its caller in one piece, as a compiler may make them that sees both (-fipa-ra):
 * the caller, in assembly, has values in every general register that the ABI lets a function
 * change and in all vector registers, and goes by the functions touching none of them but what
 * they must. It calls again and again, and tells how many calls broke a register.
 *
 * NAME_MALLOC, NAME_FREE: what the functions are called.
 *
 * Arguments: how many rounds; "ask": each byte of the input makes it do so many rounds, and it
 * answers with 0, or with 1 once a register was broken. A round is 1000 blocks made and freed. */
#if defined(__x86_64__)

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if !defined(NAME_MALLOC)
#define NAME_MALLOC malloc
#define NAME_FREE free
#endif

#define BLOCKS 1000

/* rax rcx rdx rsi r8 r9 r10 r11, and xmm0 to 15 or ymm0 to 15. */
struct registers {
	uint64_t general[8];
	uint64_t padding[8];
	uint8_t vectors[16][32];
};

struct registers given;
struct registers found;
uint64_t has_ymm;
uint8_t heap[64 << 20] __attribute__((aligned(4096)));
uint8_t *heap_top = heap;

void *NAME_MALLOC(size_t bytes);
void NAME_FREE(void *block);
void *call_malloc(void (*unused)(void), size_t bytes);
void call_free(void (*unused)(void), void *block);

#define STRING_OF(name) #name
#define STRING(name) STRING_OF(name)
#define MALLOC STRING(NAME_MALLOC)
#define FREE STRING(NAME_FREE)

/* malloc touches rax and rdi, free touches rdi and none other. */
__asm__(".text\n"
	".globl " MALLOC "\n"
	".type " MALLOC ", @function\n" MALLOC ":\n"
	"	.cfi_startproc\n"
	"	mov	heap_top(%rip), %rax\n"
	"	add	%rax, %rdi\n"
	"	mov	%rdi, heap_top(%rip)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size " MALLOC ", . - " MALLOC "\n"
	".globl " FREE "\n"
	".type " FREE ", @function\n" FREE ":\n"
	"	.cfi_startproc\n"
	"	mov	%rdi, heap_top(%rip)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size " FREE ", . - " FREE "\n");

#define EACH_VECTOR(X)                                                                             \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_XMM(n) "	movdqu	given+128+32*" #n "(%rip), %xmm" #n "\n"
#define LOAD_YMM(n) "	vmovdqu	given+128+32*" #n "(%rip), %ymm" #n "\n"
#define STORE_XMM(n) "	movdqu	%xmm" #n ", found+128+32*" #n "(%rip)\n"
#define STORE_YMM(n) "	vmovdqu	%ymm" #n ", found+128+32*" #n "(%rip)\n"
#define CALLER(name, function)                                                                     \
	__asm__(                                                                                   \
	    ".text\n"                                                                              \
	    ".globl " name "\n"                                                                    \
	    ".type " name ", @function\n" name ":\n"                                               \
	    "	.cfi_startproc\n"                                                                    \
	    "	push	%rbp\n"                                                                         \
	    "	.cfi_def_cfa_offset 16\n"                                                            \
	    "	.cfi_offset %rbp, -16\n"                                                             \
	    "	mov	%rsp, %rbp\n"                                                                    \
	    "	.cfi_def_cfa_register %rbp\n"                                                        \
	    "	mov	%rsi, %rdi\n"                                                                    \
	    "	cmpq	$0, has_ymm(%rip)\n"                                                            \
	    "	je	1f\n" EACH_VECTOR(                                                         \
		LOAD_YMM) "	jmp	2f\n"                                                              \
			  "1:\n" EACH_VECTOR(                                                      \
			      LOAD_XMM) "2:	mov	given(%rip), %rax\n"                               \
					"	mov	given+8(%rip), %rcx\n"                               \
					"	mov	given+16(%rip), %rdx\n"                              \
					"	mov	given+24(%rip), %rsi\n"                              \
					"	mov	given+32(%rip), %r8\n"                               \
					"	mov	given+40(%rip), %r9\n"                               \
					"	mov	given+48(%rip), %r10\n"                              \
					"	mov	given+56(%rip), %r11\n"                              \
					"	call	" function "\n"                            \
					"	mov	%rax, found(%rip)\n"                                 \
					"	mov	%rcx, found+8(%rip)\n"                               \
					"	mov	%rdx, found+16(%rip)\n"                              \
					"	mov	%rsi, found+24(%rip)\n"                              \
					"	mov	%r8, found+32(%rip)\n"                               \
					"	mov	%r9, found+40(%rip)\n"                               \
					"	mov	%r10, found+48(%rip)\n"                              \
					"	mov	%r11, found+56(%rip)\n"                              \
					"	cmpq	$0, has_ymm(%rip)\n"                                \
					"	je	1f\n" EACH_VECTOR(                         \
					    STORE_YMM) "	vzeroupper\n"                             \
						       "	jmp	2f\n"                                 \
						       "1:\n" EACH_VECTOR(                         \
							   STORE_XMM) "2:	pop	%rbp\n"              \
								      "	.cfi_def_cfa %rsp, 8\n"    \
								      "	ret\n"                     \
								      "	.cfi_endproc\n"            \
								      ".size " name ", . - " name  \
								      "\n");
CALLER("call_malloc", MALLOC)
CALLER("call_free", FREE)

static long calls;
static long broken;

static void
check(const char *function, int from, int is_right)
{
	size_t bytes = has_ymm ? sizeof(found.vectors) : 0;
	int is_broken = memcmp(found.general + from, given.general + from,
			       (size_t)(8 - from) * sizeof(uint64_t)) != 0 ||
			memcmp(found.vectors, given.vectors, bytes) != 0;

	for (int i = 0; !has_ymm && i < 16; i++)
		is_broken |= memcmp(found.vectors[i], given.vectors[i], 16) != 0;
	calls++;
	is_broken |= !is_right;
	broken += is_broken;
	if (is_broken && broken == 1)
		fprintf(stderr, "%s broke a register\n", function);
}

static void
fill(void)
{
	uint8_t *bytes = (uint8_t *)&given;

	for (size_t i = 0; i < sizeof(given); i++)
		bytes[i] = (uint8_t)rand();
}

static void
work(int rounds)
{
	for (int i = 0; i < rounds * BLOCKS; i++) {
		uint8_t *before = heap_top;
		void *block;

		fill();
		block = call_malloc(NULL, 100 + (size_t)i % 5 * 8000);
		check("malloc", 1, block == before);
		fill();
		call_free(NULL, before);
		check("free", 0, heap_top == before);
	}
}

int
main(int count, char **arguments)
{
	unsigned char byte;

	has_ymm = (uint64_t)__builtin_cpu_supports("avx");
	if (count > 1 && strcmp(arguments[1], "ask") == 0) {
		while (read(0, &byte, 1) == 1) {
			work(byte);
			byte = broken != 0;
			if (write(1, &byte, 1) != 1)
				return 8;
		}
		return broken ? 9 : 7;
	}
	work(count > 1 ? atoi(arguments[1]) : 1);
	printf("broken: %ld of %ld calls\n", broken, calls);
	return broken != 0;
}

#else

int
main(void)
{
	return 0;
}

#endif
