#include "tools/hash_seed.h"

#include <sys/auxv.h>
#include <sys/random.h>

uint64_t vmt_hash_seed[2];

/* Where the kernel has no randomness to give, what it gave the process at its start is left. */
__attribute__((constructor)) static void
draw_seed(void)
{
	const void *start = (const void *)getauxval(AT_RANDOM); /* 16 bytes */

	if (getrandom(vmt_hash_seed, sizeof(vmt_hash_seed), GRND_NONBLOCK) !=
		(ssize_t)sizeof(vmt_hash_seed) &&
	    start)
		memcpy(vmt_hash_seed, start, sizeof(vmt_hash_seed));
	vmt_hash_seed[1] |= 1;
}
