/* Large blocks, which malloc maps one by one, made by one thread and freed by another. */
#include "tests/target/truth.h"

#include <pthread.h>

#define LENGTH (8 * MIB)
#define BLOCKS 6

static char *blocks[BLOCKS];

static NOINLINE char *
make_block(void)
{
	char *block = malloc(LENGTH);

	if (!block)
		truth_die("malloc");
	return block;
}

static void *
make(void *unused)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = make_block();
		truth_touch(blocks[i], LENGTH / 2, PAGE);
	}
	return unused;
}

static void *
unmake(void *unused)
{
	for (int i = 0; i < BLOCKS; i += 2)
		free(blocks[i]);
	return unused;
}

static void
in_thread(void *(*function)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, NULL) != 0 || pthread_join(thread, NULL) != 0)
		truth_die("thread");
}

int
main(void)
{
	struct truth_site site = {.kind = "malloc", .function = "make_block", .count = BLOCKS};

	in_thread(make);
	/* a block is looked at page by page when it is freed: its first one is malloc's too */
	for (int i = 0; i < BLOCKS; i += 2)
		site.released_committed_bytes +=
		    truth_present((void *)((uintptr_t)blocks[i] & ~(PAGE - 1)), LENGTH);
	in_thread(unmake);
	site.live_count = BLOCKS / 2;
	site.reserved_bytes = site.accessible_bytes = BLOCKS / 2 * LENGTH;
	site.total_reserved_bytes = BLOCKS * LENGTH;
	site.released_bytes = BLOCKS / 2 * LENGTH;
	for (int i = 1; i < BLOCKS; i += 2)
		site.committed_bytes += truth_present(blocks[i], LENGTH);
	truth_site(&site);
	return truth_end("free_other_thread");
}
