/* Known numbers of blocks of known sizes, one noinline function a kind of call. */
#include "tests/target/truth.h"

#include <malloc.h>

#define MOST 2000

/* Smaller blocks are freed without a look at their pages. */
#define LOOKED_AT (64 * KIB)

static void *blocks[MOST];

static NOINLINE void *
small_block(void)
{
	return malloc(48);
}

static NOINLINE void *
middle_block(void)
{
	return malloc(1000);
}

static NOINLINE void *
large_block(void)
{
	return malloc(300000);
}

static NOINLINE void *
zeroed_block(void)
{
	return calloc(10, 30);
}

static NOINLINE void *
aligned_block(void)
{
	void *block = NULL;

	return posix_memalign(&block, 256, 700) == 0 ? block : NULL;
}

static NOINLINE void *
old_aligned_block(void)
{
	return memalign(64, 500);
}

static NOINLINE void *
new_aligned_block(void)
{
	return aligned_alloc(128, 512);
}

/* Makes `count` blocks, frees the first `freed` of them, and says so. */
static void
run(const char *kind, const char *function, void *(*make)(void), size_t size, size_t count,
    size_t freed)
{
	for (size_t i = 0; i < count; i++) {
		blocks[i] = make();
		if (!blocks[i])
			truth_die(function);
		memset(blocks[i], 1, size);
	}
	for (size_t i = 0; i < freed; i++)
		free(blocks[i]);
	truth_site(&(struct truth_site){
	    .kind = kind,
	    .function = function,
	    .count = count,
	    .live_count = count - freed,
	    .reserved_bytes = (count - freed) * size,
	    .accessible_bytes = (count - freed) * size,
	    .committed_bytes = (count - freed) * size,
	    .total_reserved_bytes = count * size,
	    .released_bytes = freed * size,
	    .released_committed_bytes = size < LOOKED_AT ? 0 : freed * size,
	});
}

static NOINLINE void *
grow_block(void *block, size_t size)
{
	return realloc(block, size);
}

/* One block that grows ten times: each step releases the block before it. */
static void
run_realloc(void)
{
	struct truth_site site = {.kind = "realloc", .function = "grow_block"};
	void *block = NULL;
	size_t size = 0;

	for (int step = 1; step <= 10; step++) {
		site.released_bytes += size;
		size = (size_t)step * 111;
		block = grow_block(block, size);
		memset(block, 1, size);
		site.count++;
		site.total_reserved_bytes += size;
	}
	site.live_count = 1;
	site.reserved_bytes = site.accessible_bytes = site.committed_bytes = size;
	truth_site(&site);
}

int
main(void)
{
	run("malloc", "small_block", small_block, 48, 2000, 800);
	run("malloc", "middle_block", middle_block, 1000, 300, 0);
	run("malloc", "large_block", large_block, 300000, 20, 5);
	run("calloc", "zeroed_block", zeroed_block, 300, 500, 123);
	run("posix_memalign", "aligned_block", aligned_block, 700, 70, 7);
	run("memalign", "old_aligned_block", old_aligned_block, 500, 50, 50);
	run("aligned_alloc", "new_aligned_block", new_aligned_block, 512, 60, 6);
	run_realloc();
	return truth_end("malloc_sites");
}
