/* Becomes another image of itself by execl and its kin, with 100,000 arguments, and counts them.
 * The call is made by hand: compilers need minutes for one of this length. */
#include "tests/target/truth.h"

/* On the stack; even, so that it stays aligned. Five more words are in registers. */
#define PUSHED 100000L

#if defined(__x86_64__)
static NOINLINE void
call_with_many(const void *function, const char *path, char *const *environment)
{
	static const char word[] = "a";
	register const char *r8 __asm__("r8") = word;
	register const char *r9 __asm__("r9") = word;
	long left = PUSHED;

	__asm__ volatile("movq %%rsp, %%rbx\n"
			 "	andq $-16, %%rsp\n"
			 "	pushq %[environment]\n"
			 "	pushq $0\n"
			 "1:	pushq %%rsi\n"
			 "	decq %[left]\n"
			 "	jnz 1b\n"
			 "	xorl %%eax, %%eax\n"
			 "	call *%[function]\n"
			 "	movq %%rbx, %%rsp\n"
			 : [left] "+r"(left)
			 : [function] "r"(function), [environment] "r"(environment), "D"(path),
			   "S"(word), "d"(word), "c"(word), "r"(r8), "r"(r9)
			 : "rax", "rbx", "r10", "r11", "memory", "cc");
}
#else
static void
call_with_many(const void *function, const char *path, char *const *environment)
{
	(void)function;
	(void)path;
	(void)environment;
}
#endif

int
main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	char *const none[] = {NULL};

	if (argc > PUSHED) {
		dprintf(1, "%d\n", argc);
		return 0;
	}
	if (strcmp(how, "execl") == 0)
		call_with_many((const void *)execl, argv[0], none);
	else if (strcmp(how, "execlp") == 0)
		call_with_many((const void *)execlp, argv[0], none);
	else
		call_with_many((const void *)execle, argv[0], none);
	truth_die("exec");
}
