/*
 * churn: a burst of small blocks, of which but one in 64 are freed. Says what is live: "live
 * BYTES".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 300000u
#define BLOCK_BYTES 200u
#define KEPT 64u

__attribute__((noinline)) static void *
make_block(void)
{
	void *block = malloc(BLOCK_BYTES);

	return block ? memset(block, 1, BLOCK_BYTES) : NULL;
}

int
main(void)
{
	void **blocks = malloc(BLOCKS * sizeof(*blocks));
	size_t live = BLOCKS * sizeof(*blocks);

	if (!blocks)
		return 1;
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = make_block();
		if (!blocks[i])
			return 1;
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		if (i % KEPT == 0) {
			live += BLOCK_BYTES;
			continue;
		}
		free(blocks[i]);
		blocks[i] = NULL;
	}
	printf("live %zu\n", live);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
