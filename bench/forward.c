/*
 * forward.c: what does interposing alone cost?
 *
 * A preload that does nothing but forward, as the floor that any tracer stands on.
 */
#include <dlfcn.h>
#include <stddef.h>

static void *(*next_malloc)(size_t);
static void (*next_free)(void *);

void *malloc(size_t size);
void free(void *block);

__attribute__((constructor)) static void
resolve(void)
{
	*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&next_free = dlsym(RTLD_NEXT, "free");
}

void *
malloc(size_t size)
{
	if (next_malloc == NULL)
		resolve();
	return next_malloc(size);
}

void
free(void *block)
{
	if (next_free == NULL)
		resolve();
	next_free(block);
}
