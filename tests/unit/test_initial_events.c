/* What a process has when its trace begins: all of it, or it is said that there was more. */
#include "collect/initial_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

static uint32_t events;

static bool
count(void *unused, struct vmt_map_event *event)
{
	(void)unused;
	assert_int_equal(event->kind, VMT_EVENT_PRESENT);
	events++;
	return true;
}

static struct vmt_initial_events
visit(uint32_t mappings)
{
	struct vmt_initial_events maps = {.write = count};
	struct vmt_mapping mapping = {.protection = PROT_READ};
	bool more = true;

	events = 0;
	for (uint32_t i = 0; i < mappings && more; i++) {
		mapping.start = (i + 1) * UINT64_C(8192);
		mapping.end = mapping.start + 4096;
		more = vmt_initial_events_visit(&maps, &mapping);
	}
	return maps;
}

static void
what_is_left_out_is_said(void **state)
{
	(void)state;
	assert_false(visit(10).cut);
	assert_int_equal(events, 10);
	assert_false(visit(VMT_INITIAL_EVENTS_MOST).cut);
	assert_int_equal(events, VMT_INITIAL_EVENTS_MOST);
	assert_true(visit(VMT_INITIAL_EVENTS_MOST + 5).cut);
	assert_int_equal(events, VMT_INITIAL_EVENTS_MOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_left_out_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
