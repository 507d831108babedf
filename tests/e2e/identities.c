/* identities.c: see identities.h. */
#include "tests/e2e/identities.h"

#include <string.h>

static const char *
name_of(json_t *row)
{
	json_t *frame = json_array_get(json_object_get(row, "frames"), 0);
	const char *name = json_string_value(json_object_get(frame, "function"));

	if (!name)
		name = json_string_value(json_object_get(row, "name"));
	return name ? name : "(no name)";
}

static void
check_parts(json_t *row, const char *what)
{
	int64_t reserved = number(row, "reserved_bytes");
	int64_t parts = number(row, "committed_bytes") + number(row, "swapped_bytes") +
			number(row, "hugetlb_bytes") + number(row, "never_touched_bytes");
	/* Each part of an estimate is rounded by itself. */
	int64_t slack = json_is_true(json_object_get(row, "estimate")) ? 3 : 0;

	if (parts > reserved + slack)
		fail_msg("%s: %s: parts of %lld, %lld reserved", what, name_of(row),
			 (long long)parts, (long long)reserved);
	if (number(row, "accessible_bytes") > reserved + slack)
		fail_msg("%s: %s: %lld accessible, %lld reserved", what, name_of(row),
			 (long long)number(row, "accessible_bytes"), (long long)reserved);
}

static int64_t
sum_of(json_t *rows, const char *figure)
{
	int64_t sum = 0;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) sum += number(row, figure);
	return sum;
}

static void
check_sums(json_t *report, const char *what)
{
	static const char *const figures[] = {"reserved_bytes", "accessible_bytes",
					      "committed_bytes"};
	json_t *classes = member(report, "classes");
	json_t *totals = member(report, "totals");

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (sum_of(classes, figures[i]) != number(totals, figures[i]))
			fail_msg("%s: %s of the classes are not the total", what, figures[i]);
	assert_int_equal(class_committed(report, "unattributed"),
			 number(totals, "unattributed_bytes"));
	assert_int_equal(class_committed(report, "vmtrace"), number(totals, "vmtrace_bytes"));
	assert_true(sum_of(member(report, "sites"), "committed_bytes") <=
		    number(totals, "committed_bytes"));
}

/* The recorder's own pages are none of the program's code, whatever call it recorded. */
static void
check_touched(json_t *row, const char *what)
{
	json_t *part;
	size_t i;

	if (strcmp(json_string_value(member(row, "evidence")), "samples") != 0)
		return;
	json_array_foreach(member(row, "reserved_by"), i, part)
	{
		if (strcmp(json_string_value(member(part, "class")), "vmtrace") == 0)
			fail_msg("%s: %s has touched vmtrace's memory", what, name_of(row));
	}
}

/* Who committed: all rows are RSS, and each is what those have whose memory it was. */
static void
check_committers(json_t *report, const char *what)
{
	json_t *rows = member(report, "committed_by");
	json_t *row;
	size_t i;

	if (json_array_size(rows) == 0)
		return;
	if (sum_of(rows, "committed_bytes") != number(member(report, "snapshot"), "rss_bytes"))
		fail_msg("%s: those who committed do not add up to RSS", what);
	json_array_foreach(rows, i, row)
	{
		if (sum_of(member(row, "reserved_by"), "committed_bytes") !=
		    number(row, "committed_bytes"))
			fail_msg("%s: what %s committed is nobody's", what, name_of(row));
		check_touched(row, what);
	}
	json_array_foreach(member(report, "sites"), i, row)
	{
		if (sum_of(member(row, "touched_by"), "committed_bytes") +
			number(row, "unsampled_bytes") !=
		    number(row, "committed_bytes"))
			fail_msg("%s: those who touched what %s has do not add up", what,
				 name_of(row));
	}
}

/* Whether the snapshot shows what all events together made. */
static bool
is_settled(json_t *report)
{
	static const char *const losses[] = {"events_dropped", "events_overwritten",
					     "events_missing", "slots_abandoned"};
	json_t *loss = member(report, "loss");

	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
		if (number(loss, losses[i]) != 0)
			return false;
	return number(member(report, "snapshot"), "time_ns") >=
	       number(member(report, "process"), "last_event_ns");
}

static void
check_identity(json_t *row, const char *what)
{
	int64_t total = number(row, "total_reserved_bytes");
	int64_t released = number(row, "released_bytes");
	int64_t reserved = number(row, "reserved_bytes");

	if (!json_is_true(member(row, "estimate")) && total - released != reserved)
		fail_msg("%s: %s %s: %lld reserved in all, %lld released, %lld reserved now", what,
			 json_string_value(member(row, "kind")), name_of(row), (long long)total,
			 (long long)released, (long long)reserved);
}

/* Nobody looked at its pages: what is committed is not said. */
static void
check_unseen(json_t *report, const char *what)
{
	if (json_array_size(member(report, "classes")) != 0 ||
	    number(member(report, "totals"), "committed_bytes") != 0)
		fail_msg("%s: committed memory without a snapshot", what);
}

void
identities_check(json_t *report, const char *what)
{
	bool settled = is_settled(report);
	json_t *row;
	size_t i;

	if (json_is_true(member(member(report, "snapshot"), "taken")))
		check_sums(report, what);
	else
		check_unseen(report, what);
	check_committers(report, what);
	json_array_foreach(member(report, "classes"), i, row) check_parts(row, what);
	json_array_foreach(member(report, "sites"), i, row)
	{
		check_parts(row, what);
		if (number(row, "live_count") > number(row, "count"))
			fail_msg("%s: %s: more live calls than calls", what, name_of(row));
		if (settled)
			check_identity(row, what);
	}
}
