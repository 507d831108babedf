/* Blocks of every kind on four threads. Ends with status 3. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEPT 64

static void *
work(void *seed)
{
	char *kept[KEPT] = {0};
	unsigned x = *(unsigned *)seed;

	for (int i = 0; i < 1000; i++) {
		x = x * 1103515245 + 12345;
		char **k = &kept[x >> 26];

		*k = realloc(*k, (x >> 8) % 5000 + 1);
		**k = 1;
		if (i % 7 == 0)
			*k = reallocarray(*k, i, 9);
		if (i % 9 == 0) {
			free(*k);
			*k = NULL;
		}
		if (i % 11 == 0) {
			free(*k);
			*k = memalign(256, 999);
		}
	}
	for (int i = 0; i < KEPT; i++)
		free(kept[i]);
	return NULL;
}

int
main(void)
{
	static pthread_t threads[4];
	static unsigned seeds[4] = {1, 2, 3, 4};

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work, &seeds[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	return 3;
}
