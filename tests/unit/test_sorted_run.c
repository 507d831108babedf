/* Order of a stretch of records against an order that each record carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tools/read/trace/sorted_run.h"

static struct vmt_record scratch[VMT_SORTED_RUN_MAX_RECORDS];

static struct vmt_sorted_run *
make(uint32_t room)
{
	struct vmt_sorted_run *stretch =
	    calloc(1, sizeof(*stretch) + room * sizeof(stretch->records[0]));

	assert_non_null(stretch);
	stretch->room = room;
	return stretch;
}

/* The address says in which order records were added. */
static void
add(struct vmt_sorted_run *stretch, uint64_t time, uint8_t kind)
{
	assert_true(stretch->count < stretch->room);
	stretch->records[stretch->count] = (struct vmt_record){
	    .kind = VMT_RECORD_EVENT,
	    .time = time,
	    .event = {.time = time, .kind = kind, .address = stretch->count},
	};
	stretch->count++;
}

static void
check_order(const struct vmt_sorted_run *stretch)
{
	for (uint32_t i = 1; i < stretch->count; i++) {
		const struct vmt_record *before = &stretch->records[i - 1];
		const struct vmt_record *record = &stretch->records[i];

		assert_true(before->time <= record->time);
		if (before->time < record->time)
			continue;
		assert_true(vmt_sorted_run_rank(before) <= vmt_sorted_run_rank(record));
		if (vmt_sorted_run_rank(before) == vmt_sorted_run_rank(record))
			assert_true(before->event.address < record->event.address);
	}
}

static void
check_all_there(const struct vmt_sorted_run *stretch)
{
	static uint8_t seen[VMT_SORTED_RUN_MAX_RECORDS];

	for (uint32_t i = 0; i < stretch->count; i++)
		seen[i] = 0;
	for (uint32_t i = 0; i < stretch->count; i++) {
		assert_true(stretch->records[i].event.address < stretch->count);
		assert_int_equal(seen[stretch->records[i].event.address]++, 0);
	}
}

static void
sort_and_check(struct vmt_sorted_run *stretch)
{
	vmt_sorted_run_sort(stretch, scratch);
	check_order(stretch);
	check_all_there(stretch);
	free(stretch);
}

static void
orders_any_number_of_records(void **state)
{
	(void)state;
	srand(1);
	for (uint32_t count = 0; count <= 70; count++) {
		struct vmt_sorted_run *stretch = make(count + 1);

		for (uint32_t i = 0; i < count; i++)
			add(stretch, (uint64_t)rand() % 20,
			    rand() % 2 ? VMT_EVENT_MALLOC : VMT_EVENT_FREE);
		sort_and_check(stretch);
	}
}

static void
orders_full_stretches(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < 4; shape++) {
		struct vmt_sorted_run *stretch = make(VMT_SORTED_RUN_MAX_RECORDS);

		for (uint32_t i = 0; i < VMT_SORTED_RUN_MAX_RECORDS; i++) {
			uint64_t times[] = {i, VMT_SORTED_RUN_MAX_RECORDS - i, (uint64_t)rand(),
					    i ^ (i * 7 & 0x3f)};

			add(stretch, times[shape], VMT_EVENT_MALLOC);
		}
		sort_and_check(stretch);
	}
}

static void
ranks_releases_first_and_notes_last(void **state)
{
	static const uint8_t kinds[] = {VMT_EVENT_MPROTECT, VMT_EVENT_MMAP, VMT_EVENT_MUNMAP, 63};
	struct vmt_sorted_run *stretch = make(4);

	(void)state;
	for (int i = 0; i < 4; i++)
		add(stretch, 9, kinds[i]);
	vmt_sorted_run_sort(stretch, scratch);
	assert_int_equal(stretch->records[0].event.kind, VMT_EVENT_MUNMAP);
	assert_int_equal(stretch->records[1].event.kind, VMT_EVENT_MMAP);
	assert_int_equal(stretch->records[2].event.kind, VMT_EVENT_MPROTECT);
	assert_int_equal(stretch->records[3].event.kind, 63);
	free(stretch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(orders_any_number_of_records),
	    cmocka_unit_test(orders_full_stretches),
	    cmocka_unit_test(ranks_releases_first_and_notes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
