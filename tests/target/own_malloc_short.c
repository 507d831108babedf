/* A malloc that begins with a call, which can't run elsewhere, over a range of its own. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static _Alignas(16) char range[1 << 20];
static size_t used;

__attribute__((used, noinline)) static void *
take(size_t size)
{
	size_t at = used;

	if (size > sizeof(range) - at)
		return NULL;
	used += (size + 15) & ~(size_t)15;
	return range + at;
}

__asm__(".globl malloc\n"
	".type malloc, @function\n"
	"malloc:\n"
	"	call take\n"
	"	ret\n"
	".size malloc, . - malloc\n");

void *malloc(size_t size);

void
free(void *block)
{
	(void)block;
}

void *
calloc(size_t count, size_t size)
{
	return malloc(count * size); /* the range is zero, and nothing is used twice */
}

void *
realloc(void *block, size_t size)
{
	void *fresh = malloc(size);

	if (fresh && block)
		memmove(fresh, block,
			size < (size_t)(range + used - (char *)block)
			    ? size
			    : (size_t)(range + used - (char *)block));
	return fresh;
}

int
main(void)
{
	char *volatile block = malloc(100);

	block[0] = 1;
	free(block);
	puts("made and released");
	return 0;
}
