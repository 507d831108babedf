#include "tools/render/diff_headline_go.h"

#include "format/chunk.h"
#include "tools/render/diff_change.h"
#include "tools/render/go_cause.h"
#include "tools/render/units.h"

/* What is less than this part of the change does not count against it. */
#define NOISE_PART 16u

static bool
has_grown(const struct vmt_diff *diff)
{
	return vmt_diff_delta(&diff->go.parts[diff->go.cause_part]) > 0;
}

/* What has changed most against the whole, where one part alone has changed by more than that. */
static void
say_against(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	static const char *const nouns[VMT_GO_PARTS] = {
	    [VMT_GO_PART_OBJECTS] = "objects",	       [VMT_GO_PART_FREE_SLOTS] = "free slots",
	    [VMT_GO_PART_STACKS] = "goroutine stacks", [VMT_GO_PART_IDLE] = "idle pages",
	    [VMT_GO_PART_RELEASED] = "released pages", [VMT_GO_PART_METADATA] = "metadata",
	    [VMT_GO_PART_MALLOC] = "C's malloc",       [VMT_GO_PART_OUTSIDE] = "other memory",
	};
	const struct vmt_diff_figure *parts = diff->go.parts;
	/* Where one side does not know the runtime's own memory, it is in another part there. */
	const int count = vmt_go_cause_is_whole(diff->a) == vmt_go_cause_is_whole(diff->b)
			      ? VMT_GO_PARTS
			      : VMT_GO_PART_METADATA;
	int most = VMT_GO_PARTS;
	char change[VMT_DIFF_CHANGE_BYTES];

	for (int part = 0; part < count; part++)
		if ((vmt_diff_delta(&parts[part]) > 0) != has_grown(diff) &&
		    (most == VMT_GO_PARTS ||
		     vmt_diff_distance(&parts[part]) > vmt_diff_distance(&parts[most])))
			most = part;
	if (most != VMT_GO_PARTS && vmt_diff_distance(&parts[most]))
		vmt_sentence_say(sentence, ", with %s of %s against it",
				 vmt_diff_change_write(change, &parts[most]), nouns[most]);
}

/* What of it is more or less than half of the change, or more than all. */
static void
say_change(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *part = &diff->go.parts[diff->go.cause_part];
	char change[VMT_DIFF_CHANGE_BYTES];

	bool is_above =
	    vmt_diff_distance(part) > diff->go.change_bytes + diff->go.change_bytes / NOISE_PART;
	bool is_most = !is_above && vmt_diff_distance(part) > diff->go.change_bytes / 2;

	vmt_sentence_say(sentence, "%s of the change, %s", is_most ? "Most" : "The largest part",
			 vmt_diff_change_write(change, part));
	if (is_above)
		say_against(sentence, diff);
	vmt_sentence_say(sentence, ", is ");
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
		vmt_sentence_say(
		    sentence, "%d in %s (goal %s%s)", (int)figures->gc_percent, side,
		    vmt_units_bytes(goal, figures->heap_goal_bytes),
		    vmt_go_cause_is_limited(report) ? ", or less because of the memory limit" : "");
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

/* Where the counts do not go the way of what is in RAM, another part of them is there. */
static void
say_objects(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *counted = &diff->go.objects_bytes;
	bool up = has_grown(diff);
	char texts[2][VMT_UNITS_BYTES];

	if ((vmt_diff_delta(counted) > 0) == up &&
	    vmt_diff_distance(counted) >=
		vmt_diff_distance(&diff->go.parts[VMT_GO_PART_OBJECTS]) / 2)
		vmt_sentence_say(sentence, "objects, live or not.");
	else
		vmt_sentence_say(sentence,
				 "in objects. Go counts %s in A and %s in B; %s of them is in RAM.",
				 vmt_units_bytes(texts[0], counted->a),
				 vmt_units_bytes(texts[1], counted->b), up ? "more" : "less");
}

/* Whether the figure is most of how the objects changed, in the same direction. */
static bool
is_most_of_objects(const struct vmt_diff *diff, const struct vmt_diff_figure *figure)
{
	return (vmt_diff_delta(figure) > 0) == has_grown(diff) &&
	       vmt_diff_distance(figure) >
		   vmt_diff_distance(&diff->go.parts[VMT_GO_PART_OBJECTS]) / 2;
}

/* Go counts as much, and another part of that is in RAM. */
static void
say_touched(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *fresh = &diff->go.fresh_bytes;
	const struct vmt_diff_figure *reused = &diff->go.reused_bytes;
	char texts[2][VMT_UNITS_BYTES];
	char change[VMT_DIFF_CHANGE_BYTES];

	vmt_sentence_say(
	    sentence,
	    "in objects of which Go counts about as many (%s in A, %s in B): %s of them is in RAM.",
	    vmt_units_bytes(texts[0], diff->go.objects_bytes.a),
	    vmt_units_bytes(texts[1], diff->go.objects_bytes.b), has_grown(diff) ? "more" : "less");
	if (is_most_of_objects(diff, fresh))
		vmt_sentence_say(sentence,
				 " %s of that is in large objects, whose pages came fresh from the "
				 "kernel: Go had no need to zero them.",
				 vmt_diff_change_write(change, fresh));
	else if (is_most_of_objects(diff, reused))
		vmt_sentence_say(sentence,
				 " %s of that is in large objects, whose pages Go had used before: "
				 "it zeroes such pages at allocation (needzero).",
				 vmt_diff_change_write(change, reused));
}

/* Those that are over have stacks as well, which wait for new ones. */
static uint64_t
goroutines(const struct vmt_report *report)
{
	uint64_t count = report->go.goroutines;
	uint64_t over = vmt_go_cause_ended(report)->goroutines;

	return count > over ? count - over : 0;
}

static void
say_goroutines(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	char texts[2][VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, " A has %s goroutines, B %s.",
			 vmt_units_count(texts[0], goroutines(diff->a)),
			 vmt_units_count(texts[1], goroutines(diff->b)));
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
	    [VMT_DIFF_GO_RELEASED] = {VMT_GO_CAUSE_RELEASED, "released pages of Go's heap."},
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
		say_objects(sentence, diff);
		break;
	case VMT_DIFF_GO_TOUCHED:
		say_touched(sentence, diff);
		break;
	default:
		say_other(sentence, diff);
		break;
	}
}
