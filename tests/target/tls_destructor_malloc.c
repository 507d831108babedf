/* Threads whose thread-specific destructors allocate and free, after everything else of them. */
#include "tests/target/truth.h"

#include <pthread.h>

#define THREADS 200

static pthread_key_t key;
static int destroyed;

static NOINLINE char *
make_late(void)
{
	return malloc(5000);
}

/* Asks to be called again while the value counts down: the last rounds of a thread's life. */
static void
destroy(void *value)
{
	char *block = make_late();
	long rounds = (long)value;

	memset(block, 1, 5000);
	free(block);
	__atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED);
	if (rounds > 1)
		pthread_setspecific(key, (void *)(rounds - 1));
}

static void *
run(void *unused)
{
	pthread_setspecific(key, (void *)3L);
	return unused;
}

int
main(void)
{
	if (pthread_key_create(&key, destroy) != 0)
		truth_die("pthread_key_create");
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run, NULL) != 0)
			truth_die("pthread_create");
		pthread_join(thread, NULL);
	}
	truth_figure("destroyed", destroyed);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "make_late",
	    .count = (size_t)destroyed,
	    .total_reserved_bytes = (size_t)destroyed * 5000,
	    .released_bytes = (size_t)destroyed * 5000,
	});
	return truth_end("tls_destructor_malloc");
}
