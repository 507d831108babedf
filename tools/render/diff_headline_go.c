#include "tools/render/diff_headline_go.h"

#include "format/chunk.h"
#include "tools/render/diff_change.h"
#include "tools/render/go_cause.h"
#include "tools/render/units.h"

static bool
has_grown(const struct vmt_diff *diff)
{
	return vmt_diff_delta(&diff->go.parts[diff->go.cause_part]) > 0;
}

/* What of it is more or less than half of the change. */
static void
say_change(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *part = &diff->go.parts[diff->go.cause_part];
	char change[VMT_DIFF_CHANGE_BYTES];

	vmt_sentence_say(sentence, "%s of the change, %s, is ",
			 vmt_diff_distance(part) > diff->go.change_bytes / 2 ? "Most"
									     : "The largest part",
			 vmt_diff_change_write(change, part));
}

static void
say_live(struct vmt_sentence *sentence, const struct vmt_report *report, uint64_t bytes)
{
	char live[VMT_UNITS_BYTES];

	if (report->go.parts.objects.is_collected)
		vmt_sentence_say(sentence, "%s", vmt_units_bytes(live, bytes));
	else
		vmt_sentence_say(sentence, "not known (no collection had run)");
}

/* By the collections of both: what was live at each, and what is not known to be. */
static void
say_counts(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	char texts[2][VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, " What was live at the last collection is ");
	say_live(sentence, diff->a, diff->go.live_bytes.a);
	vmt_sentence_say(sentence, " in A and ");
	say_live(sentence, diff->b, diff->go.live_bytes.b);
	vmt_sentence_say(sentence, " in B; newer objects and garbage are about %s and %s.",
			 vmt_units_bytes(texts[0], diff->go.young_bytes.a),
			 vmt_units_bytes(texts[1], diff->go.young_bytes.b));
}

static void
say_gogc(struct vmt_sentence *sentence, const struct vmt_report *report, const char *side)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	char goal[VMT_UNITS_BYTES];

	if (figures->gc_percent < 0)
		vmt_sentence_say(sentence, "off in %s", side);
	else
		vmt_sentence_say(sentence, "%d in %s (goal %s)", (int)figures->gc_percent, side,
				 vmt_units_bytes(goal, figures->heap_goal_bytes));
}

/* How long garbage may stay. */
static void
say_pace(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	if (!vmt_go_cause_has_pace(diff->a) || !vmt_go_cause_has_pace(diff->b))
		return;
	vmt_sentence_say(sentence, " GOGC is ");
	say_gogc(sentence, diff->a, "A");
	vmt_sentence_say(sentence, " and ");
	say_gogc(sentence, diff->b, "B");
	vmt_sentence_say(sentence, ".");
}

/* Go counts as much, and another part of that is in RAM. */
static void
say_touched(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *fresh = &diff->go.fresh_bytes;
	bool up = has_grown(diff);
	uint64_t all = vmt_diff_distance(&diff->go.parts[VMT_GO_PART_OBJECTS]);
	char texts[2][VMT_UNITS_BYTES];
	char change[VMT_DIFF_CHANGE_BYTES];

	vmt_sentence_say(
	    sentence,
	    "in objects of which Go counts about as many (%s in A, %s in B): %s of them is in RAM.",
	    vmt_units_bytes(texts[0], diff->go.objects_bytes.a),
	    vmt_units_bytes(texts[1], diff->go.objects_bytes.b), up ? "more" : "less");
	if ((vmt_diff_delta(fresh) > 0) == up && vmt_diff_distance(fresh) > all / 2)
		vmt_sentence_say(sentence,
				 " %s of that is in large objects, whose pages came fresh from the "
				 "kernel: Go had no need to zero them.",
				 vmt_diff_change_write(change, fresh));
}

static void
say_goroutines(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	char texts[2][VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, " A has %s goroutines, B %s.",
			 vmt_units_count(texts[0], diff->a->go.goroutines),
			 vmt_units_count(texts[1], diff->b->go.goroutines));
}

/* A part beside objects; what has grown is explained by what is known of B. */
static void
say_other(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	static const struct {
		enum vmt_go_cause cause;
		const char *noun;
	} parts[] = {
	    [VMT_DIFF_GO_FREE_SLOTS] = {VMT_GO_CAUSE_FREE_SLOTS, "free slots."},
	    [VMT_DIFF_GO_STACKS] = {VMT_GO_CAUSE_STACKS, "stacks of goroutines."},
	    [VMT_DIFF_GO_IDLE] = {VMT_GO_CAUSE_IDLE, "free pages of Go's heap."},
	    [VMT_DIFF_GO_METADATA] = {VMT_GO_CAUSE_METADATA, "what Go's runtime needs for itself."},
	    [VMT_DIFF_GO_MALLOC] = {VMT_GO_CAUSE_MALLOC, "C's malloc."},
	    [VMT_DIFF_GO_OUTSIDE] = {VMT_GO_CAUSE_OUTSIDE, "not Go's."},
	};

	if (has_grown(diff))
		vmt_go_cause_explain(sentence, diff->b, parts[diff->go.cause].cause);
	else
		vmt_sentence_say(sentence, "%s", parts[diff->go.cause].noun);
	if (diff->go.cause == VMT_DIFF_GO_STACKS)
		say_goroutines(sentence, diff);
}

void
vmt_diff_headline_go_say(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	if (!diff->go.is_known || diff->go.cause == VMT_DIFF_GO_UNKNOWN)
		return;
	say_change(sentence, diff);
	switch (diff->go.cause) {
	case VMT_DIFF_GO_LIVE:
		vmt_sentence_say(sentence, "objects, most of them live.");
		say_counts(sentence, diff);
		break;
	case VMT_DIFF_GO_GARBAGE:
		vmt_sentence_say(sentence, "objects, most of them new ones or garbage.");
		say_counts(sentence, diff);
		say_pace(sentence, diff);
		break;
	case VMT_DIFF_GO_OBJECTS:
		vmt_sentence_say(sentence, "objects, live or not.");
		break;
	case VMT_DIFF_GO_TOUCHED:
		say_touched(sentence, diff);
		break;
	default:
		say_other(sentence, diff);
		break;
	}
}
