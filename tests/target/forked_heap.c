/* A child that saves what its parent holds, as databases do: forked_heap. The parent has small
 * blocks, memory of its own and shared memory, of which the child alone touches the most. Each says
 * its pid and waits: the child for a byte, the parent for the end of its input. */
#include "tests/target/truth.h"

#include <sys/wait.h>

#define BLOCKS 200000
#define BLOCK_BYTES 100
#define CHILD_BLOCKS 40000

static void *blocks[BLOCKS];
static void *child_blocks[CHILD_BLOCKS];

static NOINLINE void
load(void **into, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		into[i] = malloc(BLOCK_BYTES);
		if (!into[i])
			truth_die("malloc");
		memset(into[i], 1, BLOCK_BYTES);
	}
}

static NOINLINE char *
map_private(void)
{
	return truth_mapped(
	    mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
map_shared(void)
{
	return truth_mapped(
	    mmap(NULL, 96 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

int
main(void)
{
	char *shared = map_shared();
	char go_on;
	pid_t child;

	load(blocks, BLOCKS);
	truth_touch(map_private(), 8 * MIB, PAGE);
	truth_touch(shared, 64 * MIB, PAGE);
	child = fork();
	if (child == 0) {
		load(child_blocks, CHILD_BLOCKS);
		for (size_t i = 0; i < BLOCKS / 10; i++)
			free(blocks[i]);
		truth_touch(shared, 96 * MIB, PAGE);
		truth_say("forked_heap child");
		exit(read(0, &go_on, 1) != 1);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		truth_die("fork");
	return truth_end("forked_heap");
}
