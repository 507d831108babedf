/* Which threads own a stack: until another has the descriptor or the kernel id, or a list lacks it.
 */
#include "tools/model/space/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define STACK_TOP(n) (UINT64_C(0x7f0000000000) + (uint64_t)(n)*0x100000)

static uint32_t over_sites[16];
static size_t over_count;

static void
note_over(void *context, const struct vmt_thread_stack *thread)
{
	(void)context;
	assert_true(over_count < 16);
	over_sites[over_count++] = thread->site;
}

static const struct vmt_threads_sink sink = {note_over, NULL};

static struct vmt_threads *
begin(void)
{
	struct vmt_threads *threads = vmt_threads_new();

	assert_non_null(threads);
	over_count = 0;
	return threads;
}

static void
start(struct vmt_threads *threads, uint32_t site, uint64_t top, uint32_t tid, uint64_t time)
{
	struct vmt_thread_stack thread = {
	    .descriptor = top - 2304, .top = top, .tid = tid, .site = site, .time = time};

	assert_int_equal(vmt_threads_put(threads, &thread, &sink), 0);
}

static size_t
owners(struct vmt_threads *threads)
{
	size_t count;

	(void)vmt_threads_owners(threads, &count);
	return count;
}

static void
a_descriptor_has_one_thread(void **state)
{
	struct vmt_threads *threads = begin();

	(void)state;
	start(threads, 1, STACK_TOP(1), 10, 1);
	start(threads, 2, STACK_TOP(1), 11, 2);
	assert_int_equal(over_count, 1);
	assert_int_equal(over_sites[0], 1);
	assert_int_equal(owners(threads), 1);
	assert_int_equal(vmt_threads_owner_after(threads, 0)->site, 2);
	/* The first one's id is another's by now: nobody is over twice. */
	start(threads, 3, STACK_TOP(2), 10, 3);
	assert_int_equal(over_count, 1);
	assert_int_equal(owners(threads), 2);
	vmt_threads_free(threads);
}

static void
a_kernel_id_has_one_thread(void **state)
{
	struct vmt_threads *threads = begin();

	(void)state;
	start(threads, 1, STACK_TOP(2), 10, 1);
	start(threads, 2, STACK_TOP(1), 10, 2);
	assert_int_equal(over_count, 1);
	assert_int_equal(over_sites[0], 1);
	assert_int_equal(vmt_threads_owner_after(threads, 0)->site, 2);
	assert_null(vmt_threads_owner_after(threads, STACK_TOP(1)));
	assert_int_equal(vmt_threads_over_after(threads, STACK_TOP(1))->site, 1);
	vmt_threads_free(threads);
}

static void
who_is_not_in_a_later_list_is_over(void **state)
{
	static const uint32_t there[] = {10, 12};
	struct vmt_threads *threads = begin();

	(void)state;
	start(threads, 1, STACK_TOP(1), 10, 1);
	start(threads, 2, STACK_TOP(2), 11, 2);
	start(threads, 3, STACK_TOP(3), 0, 3);	/* an id that is not known is in no list */
	start(threads, 4, STACK_TOP(4), 13, 9); /* the list may be older than its beginning */
	vmt_threads_keep(threads, 9, there, 2, &sink);
	assert_int_equal(over_count, 1);
	assert_int_equal(over_sites[0], 2);
	assert_int_equal(owners(threads), 3);
	vmt_threads_keep(threads, 10, there, 2, &sink);
	assert_int_equal(over_count, 2);
	assert_int_equal(over_sites[1], 4);
	vmt_threads_keep(threads, 11, NULL, 0, &sink);
	assert_int_equal(over_count, 3);
	assert_int_equal(owners(threads), 1);
	vmt_threads_free(threads);
}

/* Sorting between puts loses nobody's place. */
static void
sorting_keeps_everybody(void **state)
{
	struct vmt_threads *threads = begin();
	size_t count;

	(void)state;
	for (uint32_t i = 0; i < 9; i++) {
		start(threads, i, STACK_TOP(9 - i), 100 + i, i);
		assert_int_equal(owners(threads), i + 1);
	}
	start(threads, 20, STACK_TOP(5), 200, 20);
	assert_int_equal(over_count, 1);
	assert_int_equal(over_sites[0], 4);
	start(threads, 21, STACK_TOP(10), 108, 21);
	assert_int_equal(over_sites[1], 8);
	const struct vmt_thread_stack *sorted = vmt_threads_owners(threads, &count);
	assert_int_equal(count, 9);
	for (size_t i = 1; i < count; i++)
		assert_true(sorted[i - 1].descriptor < sorted[i].descriptor);
	assert_int_equal(vmt_threads_owner_after(threads, STACK_TOP(5) - 1)->site, 20);
	vmt_threads_free(threads);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_descriptor_has_one_thread),
	    cmocka_unit_test(a_kernel_id_has_one_thread),
	    cmocka_unit_test(who_is_not_in_a_later_list_is_over),
	    cmocka_unit_test(sorting_keeps_everybody),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
