#include "preload/madvise.h"
#include "preload/state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define OWN_PROCESS (-20000)
#define CAPACITY 16u

static struct vmt_owner owner;
static unsigned char *base;

static int
set_up(void **state)
{
	struct vmt_process *process = &vmt_state_process;
	struct vmt_head plan = {.shards = 1,
				.heap_capacity = CAPACITY,
				.map_capacity = CAPACITY,
				.stack_index_entries = 64,
				.stack_words = 64,
				.modules_bytes = 64};

	(void)state;
	vmt_head_lay_out(&plan);
	base = mmap(NULL, plan.chunks_offset, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	memcpy(base, &plan, sizeof(plan));
	memset(process, 0, sizeof(*process));
	process->head = (struct vmt_head *)(void *)base;
	for (int i = 0; i < VMT_RING_CLASSES; i++)
		process->rings[0][i] =
		    vmt_head_ring(process->head, base, 0, (enum vmt_ring_class)i);
	owner = (struct vmt_owner){.state = VMT_OWNER_RECORDING, .generation = 1};
	vmt_state_owner = &owner;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return munmap(base, vmt_state_process.head->chunks_offset);
}

static const struct vmt_map_event *
event_at(uint64_t position)
{
	const struct vmt_ring_view *ring = &vmt_state_process.rings[0][VMT_RING_MAP];

	if (vmt_ring_look(ring, position) != VMT_RING_COMMITTED)
		return NULL;
	return (const void *)vmt_ring_sequence(ring, position);
}

static long
advise(const struct iovec *vector, size_t entries)
{
	struct vmt_madvise_vector call = {OWN_PROCESS, vector, entries, MADV_DONTNEED, 0};

	return vmt_madvise_process(&call, 0);
}

/* Whatever the kernel says of it, it is not us who stumble over it. */
static void
a_vector_that_cannot_be_read_is_the_kernels_to_refuse(void **state)
{
	(void)state;
	assert_true(advise((const struct iovec *)8, 3) < 0);
	assert_true(advise(NULL, 1) < 0);
	assert_null(event_at(0));
}

static void
each_entry_of_a_vector_is_an_event(void **state)
{
	char *range =
	    mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vector[] = {{range, 4096}, {range + 8192, 5000}};

	(void)state;
	assert_ptr_not_equal(range, MAP_FAILED);
	memset(range, 1, 8 * 4096);
	(void)advise(vector, 2); /* kernels before 6.13 refuse the advice */
	assert_non_null(event_at(0));
	assert_int_equal(event_at(0)->address, (uint64_t)range);
	assert_int_equal(event_at(0)->argument_a, 4096);
	assert_non_null(event_at(1));
	assert_int_equal(event_at(1)->length, 8192);
	assert_int_equal(event_at(1)->argument_a, 8192);
	assert_null(event_at(2));
	assert_int_equal(munmap(range, 8 * 4096), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_vector_that_cannot_be_read_is_the_kernels_to_refuse),
	    TEST(each_entry_of_a_vector_is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
