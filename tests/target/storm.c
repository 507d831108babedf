/* Calls as fast as it can until somebody kills it: argv[1] says what (malloc, map, fork), argv[2]
 * is the descriptor of the witness in tests/target/storm.h. */
#include "tests/target/storm.h"
#include "tests/target/truth.h"

#include <pthread.h>
#include <sys/wait.h>

#define LIVE 64
#define MAPS_A_CHILD 4
#define CHILDREN_AT_ONCE 4

static struct storm_witness *witness;

typedef char *take(size_t bytes);

#define PLACE(n)                                                                                   \
	static NOINLINE char *block_##n(size_t bytes)                                              \
	{                                                                                          \
		char *block = malloc(bytes);                                                       \
                                                                                                   \
		witness->confirmed[n]++;                                                           \
		return block;                                                                      \
	}                                                                                          \
	static NOINLINE char *map_##n(size_t bytes)                                                \
	{                                                                                          \
		char *range =                                                                      \
		    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); \
                                                                                                   \
		witness->confirmed[n]++;                                                           \
		return truth_mapped(range);                                                        \
	}
/* clang-format off */
PLACE(0) PLACE(1) PLACE(2) PLACE(3) PLACE(4) PLACE(5) PLACE(6) PLACE(7)
    /* clang-format on */

    static take *const blocks[] = {block_0, block_1, block_2, block_3,
				   block_4, block_5, block_6, block_7};
static take *const maps[] = {map_0, map_1, map_2, map_3, map_4, map_5, map_6, map_7};

static void *
storm_of_blocks(void *place)
{
	take *block = blocks[(intptr_t)place];
	static __thread char *live[LIVE];

	for (size_t i = 0;; i++) {
		free(live[i % LIVE]);
		live[i % LIVE] = block(16 + i * 37 % 3000);
		live[i % LIVE][0] = 1;
	}
	return NULL;
}

static void *
storm_of_maps(void *place)
{
	take *map = maps[(intptr_t)place];
	static __thread char *live[LIVE];

	for (size_t i = 0;; i++) {
		if (live[i % LIVE] != NULL)
			munmap(live[i % LIVE], (i % LIVE + 1) * PAGE);
		live[i % LIVE] = map((i % LIVE + 1) * PAGE);
		live[i % LIVE][0] = 1;
	}
	return NULL;
}

static NOINLINE char *
map_child(size_t bytes)
{
	return truth_mapped(
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void
be_child(volatile struct storm_child *child)
{
	child->pid = getpid();
	for (int i = 0; i < MAPS_A_CHILD; i++) {
		map_child(16 * PAGE)[0] = 1;
		free(malloc(1000));
		child->maps = i + 1;
	}
	_exit(0);
}

static void
storm_of_forks(void)
{
	for (size_t i = 0; i < STORM_CHILDREN; i++) {
		if (i >= CHILDREN_AT_ONCE && wait(NULL) < 0)
			truth_die("wait");
		witness->children = i + 1;
		if (fork() == 0)
			be_child(&witness->child[i]);
	}
	for (;;)
		pause();
}

int
main(int argc, char **argv)
{
	void *(*storm)(void *) = storm_of_maps;
	pthread_t thread;

	if (argc < 3)
		truth_die("arguments");
	alarm(300); /* a test that was ended kills nobody, and the trace would fill the disk */
	witness =
	    mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[2]), 0);
	truth_mapped((char *)witness);
	witness->pid = getpid();
	if (strcmp(argv[1], "fork") == 0)
		storm_of_forks();
	if (strcmp(argv[1], "malloc") == 0)
		storm = storm_of_blocks;
	for (intptr_t place = 1; place < STORM_THREADS; place++)
		if (pthread_create(&thread, NULL, storm, (void *)place) != 0)
			truth_die("thread");
	storm(NULL);
	return 0;
}
