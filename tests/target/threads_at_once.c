/* Many threads alive at once, to the very end, each with a block of its own: threads_at_once
 * [COUNT], default 2000.
 */
#include "tests/target/truth.h"

#include <pthread.h>

static pthread_barrier_t all_here;
static size_t committed;

static NOINLINE char *
make_own(void)
{
	return malloc(1000);
}

static void *
run(void *argument)
{
	char *block = make_own();

	block[0] = 1;
	*(char **)argument = block;
	pthread_barrier_wait(&all_here);
	for (;;)
		pause();
	return NULL;
}

int
main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 2000;
	char **blocks = calloc((size_t)count, sizeof(*blocks));
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 128 * KIB);
	pthread_barrier_init(&all_here, NULL, (unsigned)count + 1);
	for (long i = 0; i < count; i++)
		if (pthread_create(&thread, &attributes, run, &blocks[i]) != 0)
			truth_die("pthread_create");
	pthread_barrier_wait(&all_here);
	for (long i = 0; i < count; i++)
		committed += truth_present(blocks[i], 1000);
	truth_figure("threads", count);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "make_own",
	    .count = (size_t)count,
	    .live_count = (size_t)count,
	    .reserved_bytes = (size_t)count * 1000,
	    .accessible_bytes = (size_t)count * 1000,
	    .committed_bytes = committed,
	    .total_reserved_bytes = (size_t)count * 1000,
	});
	return truth_end("threads_at_once");
}
