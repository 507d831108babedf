#include <stdlib.h>

void inGo(void);
void outer_framed(void);
void outer_frameless(void);
void *inner(void);

static volatile int depth;

__attribute__((noinline, optimize("no-omit-frame-pointer"))) void
outer_framed(void)
{
	inGo();
	depth++;
}

/* Uses the frame pointer's register for something else. */
__attribute__((noinline, optimize("omit-frame-pointer"))) void
outer_frameless(void)
{
	register long odd __asm__("rbp") = 12345;

	__asm__ volatile("" : "+r"(odd));
	inGo();
	__asm__ volatile("" : "+r"(odd));
	depth += (int)odd;
}

__attribute__((noinline, optimize("omit-frame-pointer"))) void *
inner(void)
{
	void *block = malloc(1 << 20);

	depth++;
	return block;
}
