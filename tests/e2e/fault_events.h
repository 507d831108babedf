/*
 * fault_events.h: are page faults sampled, and can they be here?
 */
#ifndef VMT_TEST_FAULT_EVENTS_H
#define VMT_TEST_FAULT_EVENTS_H

#include "collect/touch_events.h"
#include "tests/e2e/harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The trace has a word of page faults as soon as all events of its process are open, or refused. */
static inline void
wait_for_events(const char *trace)
{
	const char *const argv[] = {built("vmtrace"), "dump", "--format", "json", trace, NULL};
	int64_t until_ms = now_ms() + 60000;
	bool is_there = false;

	while (!is_there) {
		struct run run = {.out = NULL};

		assert_true(now_ms() < until_ms);
		if (access(trace, R_OK) == 0)
			run_program(&run, argv, NULL);
		is_there = run.out && strstr(run.out, "\"touches_read\"");
		run_free(&run);
	}
}

/* What a report's table of committers has for a function, in all rows that it leads. */
static inline int64_t
committed_by(json_t *root, const char *function)
{
	json_t *rows = member(root, "committed_by");
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		json_t *frame = json_array_get(member(row, "frames"), 0);
		const char *name = json_string_value(json_object_get(frame, "function"));

		if (name && strcmp(name, function) == 0)
			sum += number(row, "committed_bytes");
	}
	return sum;
}

static inline bool
lacks_events(void)
{
	struct vmt_touch_events events;

	if (vmt_touch_events_probe(&events) == 0)
		return false;
	printf("skip: no perf events here\n");
	return true;
}

#endif
