#include "tools/render/go_sentences.h"

#include "format/chunk.h"
#include "tools/render/go_cause.h"
#include "tools/render/units.h"

#include <stdlib.h>
#include <string.h>

/* A part of what RSS has beside objects is named from this part of it on. */
#define NAMED_PART 20u

static uint64_t
outside_bytes(const struct vmt_report *report)
{
	return report->snapshot.rss_bytes - report->go.go_bytes;
}

/* When the next collection is due: by GOGC alone its goal is known, by the limit it is not. */
static void
say_due(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	char goal[VMT_UNITS_BYTES];

	if (figures->gc_percent < 0) {
		vmt_sentence_say(sentence, "GOGC is off%s.",
				 vmt_go_cause_is_limited(report)
				     ? ": collections are paced by the memory limit"
				     : "");
		return;
	}
	vmt_units_bytes(goal, figures->heap_goal_bytes);
	vmt_sentence_say(sentence, "GOGC is %d: ", (int)figures->gc_percent);
	if (figures->heap_live_bytes >= figures->heap_goal_bytes)
		vmt_sentence_say(
		    sentence,
		    "the heap has reached its goal of %s, and a collection is due or running.",
		    goal);
	else
		vmt_sentence_say(sentence, "the next collection is due by %s%s.", goal,
				 vmt_go_cause_is_limited(report)
				     ? ", or earlier because of the memory limit"
				     : "");
}

/* Live and marked are counted at different moments: a small difference says nothing. */
static void
say_since(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	const struct vmt_go_parts *parts = &report->go.parts;
	uint64_t marked = figures->heap_marked_bytes;
	uint64_t now = figures->heap_live_bytes;
	char bytes[VMT_UNITS_BYTES];

	if (marked == 0) {
		vmt_sentence_say(sentence, " No collection has run yet.");
		return;
	}
	/* Go counts spans that caches hold as full: there is no more than the lists have. */
	if (parts->is_known && parts->objects_reserved_bytes < now)
		now = parts->objects_reserved_bytes;
	vmt_sentence_say(sentence, " Live at the last one: %s", vmt_units_bytes(bytes, marked));
	if (now > marked && now - marked > marked / 8)
		vmt_sentence_say(sentence, "; about %s was allocated since, live or garbage",
				 vmt_units_bytes(bytes, now - marked));
	vmt_sentence_say(sentence, ".");
}

void
vmt_go_sentences_pace(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	if (!vmt_go_cause_has_pace(report))
		return;
	say_due(sentence, report);
	say_since(sentence, report);
}

struct named_part {
	const char *name;
	uint64_t bytes;
};

static int
compare_parts(const void *left, const void *right)
{
	const struct named_part *a = left;
	const struct named_part *b = right;

	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

/* All that RSS has beside objects, the largest part first. */
static void
say_beside(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const uint64_t *bytes = report->go.parts.bytes;
	struct named_part named[] = {
	    {"of free slots", bytes[VMT_GO_PART_FREE_SLOTS]},
	    {"of goroutine stacks", bytes[VMT_GO_PART_STACKS]},
	    {"of idle pages", bytes[VMT_GO_PART_IDLE]},
	    {"of released pages", bytes[VMT_GO_PART_RELEASED]},
	    {"of Go's metadata", bytes[VMT_GO_PART_METADATA]},
	    {"of C's malloc", bytes[VMT_GO_PART_MALLOC]},
	    {vmt_go_cause_is_whole(report) ? "that is not Go's" : "that is not known to be Go's",
	     bytes[VMT_GO_PART_OUTSIDE]},
	};
	const size_t count = sizeof(named) / sizeof(named[0]);
	uint64_t all = 0;
	uint64_t left;
	char text[VMT_UNITS_BYTES];

	for (size_t i = 0; i < count; i++)
		all += named[i].bytes;
	qsort(named, count, sizeof(named[0]), compare_parts);
	left = all;
	for (size_t i = 0; i < count && named[i].bytes && named[i].bytes >= all / NAMED_PART; i++) {
		vmt_sentence_say(sentence, ", %s %s", vmt_units_bytes(text, named[i].bytes),
				 named[i].name);
		left -= named[i].bytes;
	}
	if (left)
		vmt_sentence_say(sentence, ", %s else", vmt_units_bytes(text, left));
}

void
vmt_go_sentences_above(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	const struct vmt_go_parts *parts = &report->go.parts;
	uint64_t rss = vmt_go_cause_rss_bytes(report);
	uint64_t goal = figures->heap_goal_bytes;
	char texts[3][VMT_UNITS_BYTES];

	if (!parts->is_known || !vmt_go_cause_has_pace(report) || figures->gc_percent < 0)
		return;
	vmt_sentence_say(sentence,
			 "RSS is %s %s the %s that GOGC lets objects grow to. It has %s of objects",
			 vmt_units_bytes(texts[0], rss > goal ? rss - goal : goal - rss),
			 rss > goal ? "above" : "below", vmt_units_bytes(texts[1], goal),
			 vmt_units_bytes(texts[2], parts->bytes[VMT_GO_PART_OBJECTS]));
	say_beside(sentence, report);
	vmt_sentence_say(sentence, ".");
}

/* How it would do that: a runtime that has given nothing back yet does not show it. */
static const char *
lazily(const struct vmt_report *report)
{
	if (vmt_go_cause_frees_lazily(report))
		return ", or leave to the kernel (GODEBUG=madvdontneed=0),";
	for (size_t i = 0; i < report->advice_count; i++)
		if (report->advice[i].cause &&
		    strcmp(report->advice[i].advice, "MADV_DONTNEED") == 0)
			return "";
	return " (or leave to the kernel, where GODEBUG has madvdontneed=0)";
}

/* What its collection frees. */
static void
say_collection(struct vmt_sentence *sentence, const struct vmt_go_objects *objects)
{
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "stacks that shrink, and what its collection frees");
	if (objects->unswept_bytes)
		vmt_sentence_say(sentence, ": about %s of objects is garbage already",
				 vmt_units_bytes(bytes, objects->unswept_bytes));
	if (objects->since_bytes)
		vmt_sentence_say(sentence, "%s what of %s of new ones is garbage is not known",
				 objects->unswept_bytes ? ";" : " of objects:",
				 vmt_units_bytes(bytes, objects->since_bytes));
	vmt_sentence_say(sentence, ".");
}

/* What a call of debug.FreeOSMemory gives back, or leaves to the kernel; it collects first, which
 * frees the stacks of goroutines that are over. About, as each processor holds some free pages and
 * stacks aside, and the background scavenger some more. */
void
vmt_go_sentences_give_back(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_parts *parts = &report->go.parts;
	const struct vmt_go_objects *objects = &parts->objects;
	uint64_t idle = parts->bytes[VMT_GO_PART_IDLE];
	uint64_t stacks = vmt_go_cause_ended(report)->committed_bytes;
	char bytes[VMT_UNITS_BYTES];

	if (!parts->is_known ||
	    (idle == 0 && stacks == 0 && !objects->since_bytes && !objects->unswept_bytes))
		return;
	vmt_sentence_say(sentence, "debug.FreeOSMemory would give back%s ", lazily(report));
	if (idle)
		vmt_sentence_say(sentence, "about %s that is free and in RAM, ",
				 vmt_units_bytes(bytes, idle));
	if (stacks)
		vmt_sentence_say(sentence, "about %s of stacks of goroutines that have ended, ",
				 vmt_units_bytes(bytes, stacks));
	say_collection(sentence, objects);
}

/* What no collection gives back: what was live, stacks in use, and the runtime's own. */
static void
say_floor(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	uint64_t over = vmt_go_cause_ended(report)->reserved_bytes;
	uint64_t stacks = figures->stacks_bytes > over ? figures->stacks_bytes - over : 0;
	uint64_t least = figures->heap_marked_bytes + stacks + figures->metadata_bytes;
	uint64_t held = figures->total_bytes - figures->heap_released_bytes;
	uint64_t limit = figures->memory_limit_bytes;
	char bytes[VMT_UNITS_BYTES];

	if (vmt_go_cause_has_pace(report) && least > limit)
		vmt_sentence_say(sentence,
				 " It can't hold: what was live at the last collection, stacks and "
				 "metadata take %s.",
				 vmt_units_bytes(bytes, least));
	else if (held > limit)
		vmt_sentence_say(sentence, " Go is %s above it.",
				 vmt_units_bytes(bytes, held - limit));
}

/* What the limit does not count, beside it in the process and in the cgroup. */
static void
say_beside_limit(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t limit = report->go.figures.memory_limit_bytes;
	uint64_t outside = outside_bytes(report);
	uint64_t cgroup = report->cgroup.is_read ? report->cgroup.limit_bytes : VMT_FIGURE_UNKNOWN;
	char texts[3][VMT_UNITS_BYTES];

	if (!vmt_go_cause_is_whole(report))
		return;
	vmt_sentence_say(sentence,
			 " It does not count the %s of RSS that is not Go's: with Go at its limit, "
			 "RSS would be up to %s",
			 vmt_units_bytes(texts[0], outside),
			 vmt_units_bytes(texts[1], limit + outside));
	if (cgroup == VMT_FIGURE_UNKNOWN)
		vmt_sentence_say(sentence, ".");
	else if (limit + outside <= cgroup)
		vmt_sentence_say(sentence, ", of %s that the cgroup may have.",
				 vmt_units_bytes(texts[2], cgroup));
	else if (outside >= cgroup)
		vmt_sentence_say(sentence, ", and the cgroup may have %s.",
				 vmt_units_bytes(texts[2], cgroup));
	else {
		vmt_sentence_say(
		    sentence, ", and the cgroup may have %s:", vmt_units_bytes(texts[2], cgroup));
		vmt_sentence_say(sentence, " a limit above about %s leaves no room.",
				 vmt_units_bytes(texts[0], cgroup - outside));
	}
}

/* No limit: whether the heap's goal fits into the cgroup. Idle and released pages are used first.
 */
static void
say_unlimited(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	const struct vmt_go_parts *parts = &report->go.parts;
	uint64_t cgroup = report->cgroup.is_read ? report->cgroup.limit_bytes : VMT_FIGURE_UNKNOWN;
	uint64_t beside = vmt_go_cause_rss_bytes(report) - parts->bytes[VMT_GO_PART_OBJECTS] -
			  parts->bytes[VMT_GO_PART_IDLE] - parts->bytes[VMT_GO_PART_RELEASED];
	char texts[2][VMT_UNITS_BYTES];

	if (cgroup == VMT_FIGURE_UNKNOWN || !vmt_go_cause_has_pace(report))
		return;
	vmt_sentence_say(sentence,
			 "No memory limit (GOMEMLIMIT) is set: Go does not know that the cgroup "
			 "may have %s.",
			 vmt_units_bytes(texts[0], cgroup));
	if (!parts->is_known || figures->gc_percent < 0 ||
	    figures->heap_goal_bytes + beside <= cgroup)
		return;
	vmt_sentence_say(sentence,
			 " With objects at the goal of %s, RSS would be about %s, which is more.",
			 vmt_units_bytes(texts[0], figures->heap_goal_bytes),
			 vmt_units_bytes(texts[1], figures->heap_goal_bytes + beside));
}

void
vmt_go_sentences_limit(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	char limit[VMT_UNITS_BYTES];
	char counted[VMT_UNITS_BYTES];

	if (report->go.uncounted)
		return;
	if (!vmt_go_cause_is_limited(report)) {
		say_unlimited(sentence, report);
		return;
	}
	vmt_sentence_say(
	    sentence, "The memory limit (GOMEMLIMIT) is %s; of what it counts, Go holds %s.",
	    vmt_units_bytes(limit, figures->memory_limit_bytes),
	    vmt_units_bytes(counted, figures->total_bytes - figures->heap_released_bytes));
	say_floor(sentence, report);
	say_beside_limit(sentence, report);
}
