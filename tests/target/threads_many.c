/* Threads that live and die, a few at a time: threads_many [COUNT], default 10000. */
#include "tests/target/truth.h"

#include <pthread.h>

#define TOGETHER 8

static NOINLINE char *
make_in_thread(void)
{
	return malloc(128);
}

static void *
run(void *argument)
{
	char *block = make_in_thread();

	block[0] = 1;
	free(block);
	return argument;
}

int
main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 10000;
	long done = 0;

	while (done < count) {
		pthread_t threads[TOGETHER];
		int started = 0;

		for (; started < TOGETHER && done + started < count; started++)
			if (pthread_create(&threads[started], NULL, run, NULL) != 0)
				truth_die("pthread_create");
		for (int i = 0; i < started; i++)
			pthread_join(threads[i], NULL);
		done += started;
	}
	truth_figure("threads", done);
	truth_site(&(struct truth_site){
	    .kind = "malloc",
	    .function = "make_in_thread",
	    .count = (size_t)done,
	    .total_reserved_bytes = (size_t)done * 128,
	    .released_bytes = (size_t)done * 128,
	});
	return truth_end("threads_many");
}
