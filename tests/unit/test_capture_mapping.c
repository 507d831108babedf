#include "capture/record/madvise.h"
#include "tests/sanitized.h"

#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/record/file_ranges.h"
#include "capture/record/inherited_release.h"
#include "capture/record/long_call.h"
#include "capture/record/mapping.h"
#include "capture/record/segments.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define OWN_PROCESS (-20000)
#define CAPACITY 16u
#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif

static struct vmt_owner owner;
static unsigned char *base;

static int
set_up(void **state)
{
	struct vmt_recording *process = &vmt_recording;
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
	vmt_guard = (struct vmt_guard){.no_syscalls = false};
	vmt_own_memory = (struct vmt_own_memory){.count = 0};
	process->head = (struct vmt_head *)(void *)base;
	for (int i = 0; i < VMT_RING_CLASSES; i++)
		process->rings[0][i] =
		    vmt_head_ring(process->head, base, 0, (enum vmt_ring_class)i);
	owner = (struct vmt_owner){.state = VMT_OWNER_RECORDING, .generation = 1};
	vmt_guard_owner = &owner;
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	return munmap(base, vmt_recording.head->chunks_offset);
}

static const struct vmt_map_event *
event_at(uint64_t position)
{
	const struct vmt_ring_view *ring = &vmt_recording.rings[0][VMT_RING_MAP];

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

/* MADV_FREE is for private anonymous memory. */
static void
a_refused_advice_leaves_what_there_was(void **state)
{
	char *range =
	    mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(range, MAP_FAILED);
	vmt_file_ranges_note((uint64_t)(uintptr_t)range, 2 * 4096);
	memset(range, 1, 2 * 4096);
	for (uint64_t pages = 1; pages <= 2; pages++) {
		uint64_t bytes = pages * 4096;

		assert_int_equal(vmt_madvise_call((uint64_t)(uintptr_t)range, bytes, MADV_FREE, 0),
				 -EINVAL);
		assert_int_equal(event_at(pages - 1)->error, EINVAL);
		assert_int_equal(event_at(pages - 1)->argument_a, bytes);
		assert_int_equal(event_at(pages - 1)->argument_b, bytes);
		assert_int_equal(event_at(pages - 1)->marks,
				 VMT_MARK_LOOKED | VMT_MARK_LOOKED_AFTER);
	}
	assert_int_equal(munmap(range, 2 * 4096), 0);
}

/* As before Linux 6.13, or behind a seccomp filter. */
static void
a_vector_of_nobody_knows_whom_is_noted(void **state)
{
	struct vmt_recording *process = &vmt_recording;
	char *range = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec vector = {range, 4096};
	struct vmt_madvise_vector call = {(int)syscall(SYS_pidfd_open, getpid(), 0), &vector, 1,
					  MADV_COLD, 0};

	(void)state;
	vmt_guard.no_syscalls = true;
	if (call.pidfd < 0 || vmt_madvise_process(&call, 0) < 0)
		skip();
	assert_int_equal(process->head->notes, 0); /* takes nothing */
	call.advice = MADV_PAGEOUT;
	assert_int_equal(vmt_madvise_process(&call, 0), 4096);
	assert_int_equal(process->head->notes, VMT_NOTE_VECTORS);
	assert_null(event_at(0));
	close(call.pidfd);
	assert_int_equal(munmap(range, 4096), 0);
}

static long
map_at_length(uint64_t length, int flags)
{
	struct vmt_mapping_request request = {
	    0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0};

	return vmt_mapping_mmap(&request, 3);
}

static long
unmap(uint64_t address, uint64_t length)
{
	struct vmt_mapping_range range = {address, length};

	return vmt_mapping_munmap(&range, 3);
}

static void
check_event(uint64_t position, uint8_t kind, uint64_t length)
{
	assert_non_null(event_at(position));
	assert_int_equal(event_at(position)->kind, kind);
	assert_int_equal(event_at(position)->length, length);
}

static void
calls_that_fill_memory_begin_and_end(void **state)
{
	uint64_t large = VMT_LONG_CALL_BYTES;
	long range = map_at_length(large - 1, MAP_POPULATE);

	(void)state;
	assert_true(range > 0);
	check_event(0, VMT_EVENT_LONG_BEGIN, large);
	assert_int_equal(event_at(0)->argument_a, VMT_EVENT_MMAP);
	assert_int_equal(event_at(0)->stack, 3);
	check_event(1, VMT_EVENT_MMAP, large);
	assert_true(event_at(0)->time <= event_at(1)->time);
	assert_int_equal(unmap((uint64_t)range, large), 0);
	check_event(2, VMT_EVENT_MUNMAP, large);
	assert_true(event_at(2)->marks & VMT_MARK_ENDS);
	check_event(3, VMT_EVENT_LONG_END, 0);
	assert_true(map_at_length(UINT64_C(1) << 46, MAP_LOCKED) < 0);
	check_event(4, VMT_EVENT_LONG_BEGIN, UINT64_C(1) << 46);
	check_event(5, VMT_EVENT_LONG_END, 0);
	assert_null(event_at(6));
}

static bool
is_mapped(long address)
{
	unsigned char mark;

	return mincore((void *)address, 1, &mark) == 0;
}

/* As a fork child: nobody is recorded yet. */
static void
be_unopened(void)
{
	owner = (struct vmt_owner){.state = VMT_OWNER_NONE};
	vmt_config.follow_fork = true;
	vmt_thread_mine()->depth = 0;
}

/* A fork child without a trace unmaps all, and runs on. */
static void
inherited_memory_goes_without_a_trace(void **state)
{
	const long page = 4096;
	long range = map_at_length(5 * page, 0);
	struct vmt_mapping_range all = {(uint64_t)range, 5 * page};
	struct vmt_mapping_range ours = {(uint64_t)(range + page), page};
	struct vmt_mapping_range endless = {(uint64_t)range, SIZE_MAX - 3 * page};

	(void)state;
	assert_true(range > 0);
	vmt_own_memory_add((uint64_t)(range + page), page);
	vmt_recording.head = (struct vmt_head *)(range + 3 * page);
	vmt_recording.head_mapped_bytes = page;
	be_unopened();
	assert_int_equal(vmt_inherited_release_munmap(&all), 0);
	for (long i = 0; i < 5; i++)
		assert_int_equal(is_mapped(range + i * page), i == 1 || i == 3);
	assert_int_equal(vmt_inherited_release_munmap(&endless), -EINVAL);
	assert_int_equal(vmt_inherited_release_munmap(&ours), 0);
	assert_true(is_mapped(range + page));
	assert_int_equal(owner.state, VMT_OWNER_NONE);
	owner.state = VMT_OWNER_RECORDING;
	assert_int_equal(vmt_inherited_release_munmap(&all), -ENOMEM);
	assert_int_equal(vmt_thread_mine()->depth, 0);
	vmt_recording.head = (struct vmt_head *)(void *)base;
	assert_non_null(event_at(0));
	assert_null(event_at(1));
}

static uint64_t
attach_segment(size_t length)
{
	int id = shmget(IPC_PRIVATE, length, IPC_CREAT | 0600);
	long address = vmt_segments_shmat(id, 0, 0, 0);

	assert_true(id >= 0 && address > 0);
	assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
	return (uint64_t)address;
}

static void
inherited_segment_goes_without_a_trace(void **state)
{
	uint64_t first = attach_segment(12288);
	uint64_t second = attach_segment(4096);
	struct vmt_raw_call call = {.number = SYS_shmdt, .words = {(long)second}};
	int unknown = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	uint64_t third = (uint64_t)shmat(unknown, NULL, 0);
	long result;

	(void)state;
	assert_int_equal(shmctl(unknown, IPC_RMID, NULL), 0);
	assert_int_equal(vmt_inherited_release_shmdt(first), -ENOMEM); /* recorded */
	assert_true(is_mapped((long)first));
	be_unopened();
	assert_int_equal(vmt_inherited_release_shmdt(first), 0);
	assert_false(is_mapped((long)first));
	assert_int_equal(vmt_segments_attached_bytes(first), 0);
	assert_int_equal(vmt_inherited_release_shmdt(first), -EINVAL);
	assert_int_equal(vmt_inherited_release_shmdt(second + 1), -EINVAL);
	assert_int_equal(vmt_inherited_release_shmdt(third), -ENOMEM); /* of unknown length */
	assert_true(is_mapped((long)third));
	assert_true(vmt_inherited_release_make(&call, &result));
	assert_int_equal(result, 0);
	assert_false(is_mapped((long)second));
	call.number = SYS_madvise;
	assert_false(vmt_inherited_release_make(&call, &result));
	assert_int_equal(owner.state, VMT_OWNER_NONE);
	assert_int_equal(vmt_thread_mine()->depth, 0);
	assert_null(event_at(2)); /* the two that were attached */
	shmdt((void *)third);
}

static void
inherited_memory_goes_by_number_without_a_trace(void **state)
{
	long range = map_at_length(8192, 0);
	struct vmt_raw_call call = {.number = SYS_munmap, .words = {range, 8192}};
	long result;

	(void)state;
	assert_false(vmt_inherited_release_make(&call, &result)); /* recorded */
	be_unopened();
	assert_true(vmt_inherited_release_make(&call, &result));
	assert_int_equal(result, 0);
	assert_false(is_mapped(range));
	assert_int_equal(owner.state, VMT_OWNER_NONE);
	assert_null(event_at(1));
}

/* Somebody opened the trace while the call was on its way. */
static void
release_that_a_handler_overtook_is_written(void **state)
{
	long range = map_at_length(8192, 0);

	(void)state;
	assert_true(range > 0);
	vmt_thread_mine()->depth = 0;
	vmt_inherited_release_settle((uint64_t)range, 8192); /* somebody else's by now */
	assert_int_equal(munmap((void *)range, 8192), 0);
	vmt_inherited_release_settle((uint64_t)range, 8192);
	vmt_thread_mine()->depth = 1;
	check_event(0, VMT_EVENT_MMAP, 8192);
	check_event(1, VMT_EVENT_MUNMAP, 8192);
	assert_true(event_at(0)->time <= event_at(1)->time);
	assert_int_equal(event_at(1)->marks, 0);
	assert_null(event_at(2));
}

static void
other_calls_write_what_they_are(void **state)
{
	long range = map_at_length(4096, 0);

	(void)state;
	assert_true(range > 0);
	assert_int_equal(unmap((uint64_t)range, 4096), 0);
	check_event(0, VMT_EVENT_MMAP, 4096);
	check_event(1, VMT_EVENT_MUNMAP, 4096);
	assert_false(event_at(1)->marks & VMT_MARK_ENDS);
	assert_null(event_at(2));
}

static void
after_mlockall_every_map_fills_memory(void **state)
{
	long range;

	(void)state;
	vmt_long_call_note_lock(MCL_FUTURE | MCL_ONFAULT, 0); /* filled when touched */
	range = map_at_length(4096, 0);
	check_event(0, VMT_EVENT_MMAP, 4096);
	vmt_long_call_note_lock(MCL_FUTURE, -1); /* refused */
	(void)map_at_length(4096, 0);
	check_event(1, VMT_EVENT_MMAP, 4096);
	vmt_long_call_note_lock(MCL_FUTURE, 0);
	(void)map_at_length(4096, 0);
	check_event(2, VMT_EVENT_LONG_BEGIN, 4096);
	check_event(3, VMT_EVENT_MMAP, 4096);
	vmt_long_call_note_lock(0, 0);
	(void)map_at_length(4096, 0);
	check_event(4, VMT_EVENT_MMAP, 4096);
	assert_true(range > 0);
}

/* Kernels before 6.17 refuse it. */
static void
holes_that_are_moved_are_noted(void **state)
{
	const uint64_t page = 4096;
	char *from = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vmt_mapping_move move = {(uint64_t)(uintptr_t)from, 3 * page, 3 * page,
					MREMAP_MAYMOVE | MREMAP_FIXED, (uint64_t)(uintptr_t)to};
	uint32_t expected = VMT_NOTE_HOLES_MOVED;

	(void)state;
	assert_ptr_not_equal(from, MAP_FAILED);
	assert_ptr_not_equal(to, MAP_FAILED);
	vmt_recording.head->notes = 0;
	assert_true(vmt_mapping_mremap(&move, 3) > 0); /* there is no hole yet */
	assert_int_equal(vmt_recording.head->notes, 0);
	assert_int_equal(munmap(to + page, page), 0);
	move.old_address = (uint64_t)(uintptr_t)to;
	move.new_address = (uint64_t)(uintptr_t)from;
	if (vmt_mapping_mremap(&move, 3) < 0)
		expected = 0;
	assert_int_equal(vmt_recording.head->notes, expected);
	munmap(from, 3 * page);
	munmap(to, 3 * page);
}

/* The tracer's page lies within a mapping: what lies before it is cut off its beginning, and what
 * comes after would leave one mapping more than the kernel allows. What has gone is not asked for
 * again. */
static void
what_failed_says_how_far_it_got(void **state)
{
	const uint64_t page = 4096;
	const uint64_t pages = 65540;
	char *range = mmap(NULL, (pages + 8) * page, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *own = range + 4 * page;
	struct vmt_mapping_range left = {(uint64_t)(uintptr_t)range, 7 * page};
	uint64_t cut = 10;

	(void)state;
	if (SANITIZED) /* whose own mappings fail at the limit */
		skip();
	assert_ptr_not_equal(range, MAP_FAILED);
	while (cut < pages && mprotect(range + cut * page, page, PROT_READ) == 0)
		cut += 2;
	if (cut >= pages)
		skip(); /* a machine that allows more */
	vmt_own_memory_add((uint64_t)(uintptr_t)own, page);
	assert_int_equal(vmt_mapping_munmap_unrecorded(&left), -ENOMEM);
	vmt_own_memory_drop((uint64_t)(uintptr_t)own, page);
	assert_int_equal(munmap(own, (pages + 4) * page), 0);
	assert_int_equal(left.address, (uint64_t)(uintptr_t)own + page);
	assert_int_equal(left.length, 2 * page);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_vector_that_cannot_be_read_is_the_kernels_to_refuse),
	    TEST(each_entry_of_a_vector_is_an_event),
	    TEST(a_refused_advice_leaves_what_there_was),
	    TEST(a_vector_of_nobody_knows_whom_is_noted),
	    TEST(calls_that_fill_memory_begin_and_end),
	    TEST(inherited_memory_goes_without_a_trace),
	    TEST(inherited_segment_goes_without_a_trace),
	    TEST(inherited_memory_goes_by_number_without_a_trace),
	    TEST(release_that_a_handler_overtook_is_written),
	    TEST(other_calls_write_what_they_are),
	    TEST(holes_that_are_moved_are_noted),
	    TEST(what_failed_says_how_far_it_got),
	    TEST(after_mlockall_every_map_fills_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
