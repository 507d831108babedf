/*
 * forward.c: what does interposing alone cost?
 *
 * A preload that does nothing but forward, as the floor that any tracer stands on. With
 * FORWARD_MINCORE in the environment it asks mincore before munmap and MADV_DONTNEED: the floor
 * for one that knows how much was committed.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *(*next_malloc)(size_t);
static void (*next_free)(void *);
static int looking;

void *malloc(size_t size);
void free(void *block);

__attribute__((constructor)) static void
resolve(void)
{
	*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&next_free = dlsym(RTLD_NEXT, "free");
	looking = getenv("FORWARD_MINCORE") != NULL;
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

static void
look(void *address, size_t length)
{
	static __thread unsigned char pages[512];

	if (looking && length <= sizeof(pages) * 4096)
		syscall(SYS_mincore, address, length, pages);
}

void *
mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

int
munmap(void *address, size_t length)
{
	look(address, length);
	return (int)syscall(SYS_munmap, address, length);
}

int
madvise(void *address, size_t length, int advice)
{
	if (advice == MADV_DONTNEED)
		look(address, length);
	return (int)syscall(SYS_madvise, address, length, advice);
}
