/* A shared object that looks like an allocator, by the names of its functions. These begin with an
 * instruction that is as long as a jump, and lie far from the code that the linker adds. */
#include <stdint.h>
#include <stdlib.h>

#define APART __attribute__((aligned(1024)))

void *je_malloc(size_t bytes);
void je_free(void *block);
uint64_t made_and_released(void);

static volatile uint64_t made, released;

APART void *
je_malloc(size_t bytes)
{
	made += 1;
	return malloc(bytes);
}

APART void
je_free(void *block)
{
	released += 1;
	free(block);
}

APART uint64_t
made_and_released(void)
{
	return made + released;
}
