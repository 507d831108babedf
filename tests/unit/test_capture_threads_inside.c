#include "capture/core/threads_inside.h"

#include "base/atomic.h"
#include "base/sys.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GENERATION 7u
#define SHORT_NS UINT64_C(5000000)
#define LONG_NS UINT64_C(10000000000)

static uint32_t
thread_id(void)
{
	return (uint32_t)vmt_sys_call0(SYS_gettid);
}

static uint32_t counted; /* visitors */

static bool
is_quiet(uint64_t limit_ns)
{
	return vmt_threads_inside_wait(thread_id(), GENERATION, &counted, limit_ns);
}

struct visitor {
	uint32_t depth;
	uint32_t leave; /* set by the test: go out and end */
	uint32_t entered;
	uint32_t go_out_first;
};

static void *
visit(void *argument)
{
	struct visitor *visitor = argument;

	vmt_atomic_store_relaxed(&visitor->depth, 1);
	vmt_threads_inside_add(thread_id(), GENERATION, &visitor->depth);
	vmt_atomic_store_release(&visitor->entered, 1);
	while (!vmt_atomic_load_acquire(&visitor->leave))
		sched_yield();
	if (visitor->go_out_first)
		vmt_atomic_store_release(&visitor->depth, 0);
	return NULL;
}

static void
begin(struct visitor *visitor, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, visit, visitor), 0);
	while (!vmt_atomic_load_acquire(&visitor->entered))
		sched_yield();
}

static void
nobody_is_inside_at_first(void **state)
{
	(void)state;
	assert_true(is_quiet(SHORT_NS));
}

static void
whoever_visits_is_waited_for(void **state)
{
	(void)state;
	counted = 1;
	assert_false(is_quiet(SHORT_NS));
	counted = 0;
	assert_true(is_quiet(SHORT_NS));
}

static void
a_thread_is_inside_until_it_leaves(void **state)
{
	struct visitor visitor = {.go_out_first = 1};
	pthread_t thread;

	(void)state;
	begin(&visitor, &thread);
	assert_false(is_quiet(SHORT_NS));
	assert_true(vmt_threads_inside_wait(thread_id(), GENERATION + 1, &counted,
					    SHORT_NS)); /* a fork child's */
	vmt_atomic_store_release(&visitor.leave, 1);
	assert_true(is_quiet(LONG_NS));
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
whoever_waits_does_not_wait_for_itself(void **state)
{
	static uint32_t depth = 1;

	(void)state;
	vmt_threads_inside_add(thread_id(), GENERATION, &depth);
	assert_true(is_quiet(SHORT_NS));
	depth = 0;
}

/* Where a thread was entered last counts, for this owner alone. */
static void
it_is_known_where_a_thread_was_entered(void **state)
{
	static const uint32_t first;
	static const uint32_t second;
	uint32_t mine = thread_id();

	(void)state;
	vmt_threads_inside_add(mine, GENERATION, &first);
	assert_true(vmt_threads_inside_has(mine, GENERATION, &first));
	assert_false(vmt_threads_inside_has(mine, GENERATION, &second));
	assert_false(vmt_threads_inside_has(mine, GENERATION + 1, &first));
	assert_false(vmt_threads_inside_has(mine + 1, GENERATION, &first));
	vmt_threads_inside_add(mine, GENERATION, &second);
	assert_true(vmt_threads_inside_has(mine, GENERATION, &second));
	assert_false(vmt_threads_inside_has(mine, GENERATION, &first));
}

/* Killed, cancelled, or gone by exit in a handler: nobody waits for it. */
static void
a_thread_that_ended_inside_is_not_waited_for(void **state)
{
	struct visitor visitor = {.go_out_first = 0};
	pthread_t thread;

	(void)state;
	begin(&visitor, &thread);
	vmt_atomic_store_release(&visitor.leave, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(visitor.depth, 1);
	assert_true(is_quiet(LONG_NS));
}

/* Where its thread state was may be nothing any more. */
static void
memory_that_has_gone_is_nobody(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	uint32_t *depth =
	    mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(depth, MAP_FAILED);
	*depth = 1;
	vmt_threads_inside_add((uint32_t)getpid() + 1, GENERATION, depth);
	assert_int_equal(munmap(depth, (size_t)page), 0);
	assert_true(is_quiet(LONG_NS));
}

#define THREADS 4

static uint32_t *mapped; /* what hooks touch */
static uint32_t over;
static uint32_t torn;

/* As a hook does: depth, then the state, then the memory. */
static void *
touch(void *argument)
{
	static __thread uint32_t depth;
	uint64_t seen = 0;

	(void)argument;
	for (;;) {
		vmt_atomic_store_relaxed(&depth, 1);
		__asm__ volatile("" ::: "memory");
		if (seen++ == 0)
			vmt_threads_inside_add(thread_id(), GENERATION, &depth);
		if (vmt_atomic_load_acquire(&over))
			break;
		vmt_atomic_add_relaxed(mapped, 1);
		if (vmt_atomic_load_relaxed(&torn))
			abort();
		__asm__ volatile("" ::: "memory");
		vmt_atomic_store_relaxed(&depth, 0);
	}
	vmt_atomic_store_relaxed(&depth, 0);
	return NULL;
}

/* Unmaps under running threads, again and again: one that was overlooked would fault. */
static void
no_thread_is_overlooked(void **state)
{
	long page = sysconf(_SC_PAGESIZE);

	(void)state;
	for (int round = 0; round < 100; round++) {
		pthread_t threads[THREADS];

		over = torn = 0;
		mapped = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(mapped, MAP_FAILED);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, touch, NULL), 0);
		/* Some of them have come, or none yet. */
		while (round % 2 && vmt_atomic_load_relaxed(mapped) < 1000)
			sched_yield();
		vmt_atomic_store_release(&over, 1);
		assert_true(is_quiet(LONG_NS));
		vmt_atomic_store_relaxed(&torn, 1);
		assert_int_equal(munmap(mapped, (size_t)page), 0);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
}

/* Last: it is for good. */
static void
who_cannot_be_entered_makes_all_unsure(void **state)
{
	(void)state;
	assert_true(is_quiet(SHORT_NS));
	vmt_threads_inside_distrust();
	assert_false(is_quiet(SHORT_NS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_is_inside_at_first),
	    cmocka_unit_test(whoever_visits_is_waited_for),
	    cmocka_unit_test(a_thread_is_inside_until_it_leaves),
	    cmocka_unit_test(whoever_waits_does_not_wait_for_itself),
	    cmocka_unit_test(it_is_known_where_a_thread_was_entered),
	    cmocka_unit_test(a_thread_that_ended_inside_is_not_waited_for),
	    cmocka_unit_test(memory_that_has_gone_is_nobody),
	    cmocka_unit_test(no_thread_is_overlooked),
	    cmocka_unit_test(who_cannot_be_entered_makes_all_unsure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
