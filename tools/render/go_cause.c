#include "tools/render/go_cause.h"

#include "format/chunk.h"
#include "tools/render/frame_text.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <string.h>

/* The line that has most of what is live is named from this part of it on. */
#define LINE_PART 8u

/* What the memory profile misses of so many samples, or bytes, says nothing. */
#define FEW_SAMPLES 32.0
#define FEW_BYTES 16e6

bool
vmt_go_cause_frees_lazily(const struct vmt_report *report)
{
	if (report->snapshot.lazyfree_bytes != VMT_FIGURE_UNKNOWN &&
	    report->snapshot.lazyfree_bytes != 0)
		return true;
	for (size_t i = 0; i < report->advice_count; i++)
		if (report->advice[i].cause && strcmp(report->advice[i].advice, "MADV_FREE") == 0)
			return true;
	return false;
}

const struct vmt_go_creator *
vmt_go_cause_ended(const struct vmt_report *report)
{
	static const struct vmt_go_creator none;

	for (size_t i = 0; i < report->go.creator_count; i++)
		if (report->go.creators[i].has_ended)
			return &report->go.creators[i];
	return &none;
}

uint64_t
vmt_go_cause_profiled_bytes(const struct vmt_report *report)
{
	uint64_t all = 0;

	for (size_t i = 0; i < report->go.live_count; i++)
		if (__builtin_add_overflow(all, report->go.live[i].bytes, &all))
			return UINT64_MAX;
	return all;
}

/* Before the first collection all that was allocated counts as live. */
static double
live_bytes(const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;

	if (!vmt_go_cause_has_pace(report))
		return 0;
	return (double)(figures->heap_marked_bytes ? figures->heap_marked_bytes
						   : figures->heap_live_bytes);
}

bool
vmt_go_cause_is_profiled_within(const struct vmt_report *report, double factor)
{
	double live = live_bytes(report);
	double profiled = (double)vmt_go_cause_profiled_bytes(report);

	return live > 0 && profiled <= live * factor && live <= profiled * factor;
}

bool
vmt_go_cause_is_profiled_beyond(const struct vmt_report *report, double factor)
{
	double live = live_bytes(report);
	double profiled = (double)vmt_go_cause_profiled_bytes(report);
	double most = live > profiled ? live : profiled;

	/* A few samples say little. */
	return live > 0 && most >= (double)report->go.profile_rate_bytes * FEW_SAMPLES &&
	       most >= FEW_BYTES && !vmt_go_cause_is_profiled_within(report, factor);
}

/* What is known of objects beside those that were live. */
static void
say_other_objects(struct vmt_sentence *sentence, const struct vmt_go_objects *objects)
{
	char bytes[VMT_UNITS_BYTES];

	if (objects->since_bytes)
		vmt_sentence_say(sentence, " About %s was allocated since, live or garbage.",
				 vmt_units_bytes(bytes, objects->since_bytes));
	if (objects->unswept_bytes)
		vmt_sentence_say(
		    sentence,
		    " About %s is garbage by that collection, whose room is not yet free.",
		    vmt_units_bytes(bytes, objects->unswept_bytes));
}

/* Whose they are, where the runtime keeps a memory profile. */
static void
say_line(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_live *most = report->go.live;
	char name[512];
	char bytes[VMT_UNITS_BYTES];

	if (report->go.live_count == 0 || most->stack.count == 0 ||
	    report->go.profile_rate_bytes == 0 || report->go.is_unscaled ||
	    vmt_go_cause_is_profiled_beyond(report, VMT_GO_CAUSE_FAR) ||
	    most->bytes < report->go.parts.objects.live_bytes / LINE_PART)
		return;
	vmt_sentence_say(sentence, " By Go's memory profile the most, about %s, is of %s.",
			 vmt_units_bytes(bytes, most->bytes),
			 vmt_frame_text_owner(&most->stack, name, sizeof(name)));
}

static void
say_live(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	vmt_sentence_say(sentence, "objects that were live at the last collection.");
	say_line(sentence, report);
	say_other_objects(sentence, &report->go.parts.objects);
}

static void
say_garbage(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_objects *objects = &report->go.parts.objects;
	const struct vmt_go_figures *figures = &report->go.figures;
	char live[VMT_UNITS_BYTES];
	char goal[VMT_UNITS_BYTES];

	if (!objects->is_collected) {
		vmt_sentence_say(sentence, "objects, and no collection has run that would tell "
					   "which of them are live.");
		return;
	}
	vmt_sentence_say(sentence, "objects that were not live at the last collection: ");
	vmt_sentence_say(sentence, "%s was.", vmt_units_bytes(live, objects->live_bytes));
	say_other_objects(sentence, objects);
	if (figures->gc_percent >= 0)
		vmt_sentence_say(
		    sentence, " GOGC is %d, so the heap may grow to %s before the next one%s.",
		    (int)figures->gc_percent, vmt_units_bytes(goal, figures->heap_goal_bytes),
		    vmt_go_cause_is_limited(report) ? ", if the memory limit allows" : "");
}

/* The size whose spans have most free room, by what Go counts. */
static const struct vmt_go_size *
emptiest(const struct vmt_report *report)
{
	const struct vmt_go_size *best = NULL;

	for (size_t i = 0; i < report->go.size_count; i++) {
		const struct vmt_go_size *size = &report->go.sizes[i];

		if (size->slot_bytes && (!best || size->reserved_bytes - size->object_bytes >
						      best->reserved_bytes - best->object_bytes))
			best = size;
	}
	return best;
}

static void
say_free_slots(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_size *size = emptiest(report);
	char bytes[VMT_UNITS_BYTES];
	char share[VMT_UNITS_RATIO_BYTES];

	vmt_sentence_say(sentence,
			 "free slots: room in spans that objects still hold, which only objects "
			 "of the same size can use.");
	if (!size)
		return;
	vmt_sentence_say(sentence, " The most is in spans of %" PRIu64 "-byte objects: %s free",
			 size->slot_bytes,
			 vmt_units_bytes(bytes, size->reserved_bytes - size->object_bytes));
	vmt_sentence_say(sentence, " of %s, %s in use.",
			 vmt_units_bytes(bytes, size->reserved_bytes),
			 vmt_units_ratio(share, size->object_bytes, size->reserved_bytes));
}

static void
say_stacks(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_creator *row = report->go.creators;
	char name[512];
	char count[VMT_UNITS_BYTES];
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "stacks of goroutines.");
	if (report->go.creator_count == 0)
		return;
	if (row->has_ended)
		vmt_sentence_say(sentence, " The most, %s, wait for new goroutines.",
				 vmt_units_bytes(bytes, row->committed_bytes));
	else if (row->stack.count)
		vmt_sentence_say(sentence, " The most, %s, are of %s that %s started.",
				 vmt_units_bytes(bytes, row->committed_bytes),
				 vmt_units_count(count, row->goroutines),
				 vmt_frame_text_write(&row->stack.frames[0], name, sizeof(name)));
}

/* Whether the scavenger is to give back more, or leaves these pages where they are. */
static void
say_idle(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	uint64_t idle = figures->heap_idle_bytes - figures->heap_released_bytes;
	uint64_t kept = figures->heap_in_use_bytes + idle;
	uint64_t goal = figures->scavenger_goal_bytes;
	uint64_t more = kept > goal ? kept - goal : 0;
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "pages of Go's heap that are free and not given back.");
	if (!vmt_go_cause_has_pace(report) || goal == VMT_FIGURE_UNKNOWN)
		return;
	if (more)
		vmt_sentence_say(sentence,
				 " Its scavenger is about to give back %s, slowly, in the "
				 "background.",
				 vmt_units_bytes(bytes, more < idle ? more : idle));
	else
		vmt_sentence_say(sentence,
				 " Its scavenger keeps them for new objects: it leaves the heap at "
				 "about %s, in use and free.",
				 vmt_units_bytes(bytes, goal));
}

/* Of what the runtime has released: where it does that by MADV_FREE, the kernel takes it later. */
static void
say_released(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	vmt_sentence_say(sentence,
			 "pages of Go's heap that it has released, and the kernel has not taken.");
	if (vmt_go_cause_frees_lazily(report))
		vmt_sentence_say(sentence,
				 " With GODEBUG=madvdontneed=0 the kernel takes them when "
				 "it needs memory.");
}

static bool
is_outside(const char *class)
{
	for (int id = 0; id < VMT_CLASSES; id++)
		if (strcmp(class, vmt_classes_name((enum vmt_class_id)id)) == 0)
			return vmt_go_parts_of_class((enum vmt_class_id)id) == VMT_GO_PART_OUTSIDE;
	return false;
}

/* ... and what most of it is. */
static void
say_outside(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_class *most = NULL;
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, vmt_go_cause_is_whole(report)
				       ? "not Go's: neither GOGC nor GOMEMLIMIT bounds it."
				       : "not known to be Go's.");
	for (size_t i = 0; i < report->class_count; i++)
		if (is_outside(report->classes[i].name) &&
		    (!most || report->classes[i].committed_bytes > most->committed_bytes))
			most = &report->classes[i];
	if (most && most->committed_bytes)
		vmt_sentence_say(sentence, " The most of it, %s, is in class %s.",
				 vmt_units_bytes(bytes, most->committed_bytes), most->name);
}

void
vmt_go_cause_explain(struct vmt_sentence *sentence, const struct vmt_report *report,
		     enum vmt_go_cause cause)
{
	switch (cause) {
	case VMT_GO_CAUSE_LIVE:
		say_live(sentence, report);
		break;
	case VMT_GO_CAUSE_GARBAGE:
		say_garbage(sentence, report);
		break;
	case VMT_GO_CAUSE_OBJECTS:
		vmt_sentence_say(sentence,
				 "objects; how many of those in RAM are live is not known.");
		break;
	case VMT_GO_CAUSE_FREE_SLOTS:
		say_free_slots(sentence, report);
		break;
	case VMT_GO_CAUSE_STACKS:
		say_stacks(sentence, report);
		break;
	case VMT_GO_CAUSE_IDLE:
		say_idle(sentence, report);
		break;
	case VMT_GO_CAUSE_RELEASED:
		say_released(sentence, report);
		break;
	case VMT_GO_CAUSE_METADATA:
		vmt_sentence_say(sentence, "what Go's runtime needs for itself.");
		break;
	case VMT_GO_CAUSE_MALLOC:
		vmt_sentence_say(sentence, "C's malloc: neither GOGC nor GOMEMLIMIT bounds it.");
		break;
	case VMT_GO_CAUSE_OUTSIDE:
		say_outside(sentence, report);
		break;
	case VMT_GO_CAUSE_UNKNOWN:
	case VMT_GO_CAUSES:
		break;
	}
}

/* What Go counts as in use, and is not in RAM. */
static void
say_untouched(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_parts *parts = &report->go.parts;
	uint64_t counted = parts->objects_reserved_bytes;
	uint64_t there = parts->bytes[VMT_GO_PART_OBJECTS];
	char bytes[VMT_UNITS_BYTES];
	char all[VMT_UNITS_BYTES];

	if (!vmt_go_parts_is_untouched(parts))
		return;
	vmt_sentence_say(sentence, " Of %s that Go counts as objects, %s is not in RAM.",
			 vmt_units_bytes(all, counted), vmt_units_bytes(bytes, counted - there));
}

void
vmt_go_cause_say(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_go_parts *parts = &report->go.parts;
	bool is_about = parts->cause == VMT_GO_CAUSE_LIVE || parts->cause == VMT_GO_CAUSE_GARBAGE;
	char bytes[VMT_UNITS_BYTES];

	if (!parts->is_known || parts->cause == VMT_GO_CAUSE_UNKNOWN)
		return;
	vmt_sentence_say(sentence, "%s, %s%s, is ",
			 parts->cause_bytes > vmt_go_cause_rss_bytes(report) / 2
			     ? "Most of RSS"
			     : "The largest part of RSS",
			 is_about ? "about " : "", vmt_units_bytes(bytes, parts->cause_bytes));
	vmt_go_cause_explain(sentence, report, parts->cause);
	say_untouched(sentence, report);
}
