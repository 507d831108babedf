#include "tools/render/diff_headline.h"

#include "format/chunk.h"
#include "tools/render/diff_change.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_headline_outside.h"
#include "tools/render/diff_headline_touch.h"
#include "tools/render/frame_text.h"
#include "tools/render/headline.h"
#include "tools/render/headline_unseen.h"
#include "tools/render/rank.h"
#include "tools/render/sentence.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "+384 MiB (+45 %)"; beyond tenfold the two figures say more than a percentage. */
static void
say_change(struct vmt_sentence *sentence, const struct vmt_diff_figure *figure)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char before[VMT_UNITS_BYTES];
	char after[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "%s", vmt_diff_change_write(change, figure));
	if (figure->b / 10 >= figure->a || figure->a / 10 >= figure->b)
		vmt_sentence_say(sentence, " (from %s to %s)", vmt_units_bytes(before, figure->a),
				 vmt_units_bytes(after, figure->b));
	else
		vmt_sentence_say(sentence, " (%+.*f %%)",
				 vmt_diff_distance(figure) < figure->a / 10 ? 1 : 0,
				 100.0 * (double)vmt_diff_delta(figure) / (double)figure->a);
}

static void
say_reserved(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *reserved = &diff->totals.reserved_bytes;
	enum vmt_diff_kind kind = diff->verdict.kind;
	char figure[VMT_UNITS_BYTES];

	/* Where a change of reserved explains that of committed, it is told however small. */
	if (kind != VMT_DIFF_GROWN && kind != VMT_DIFF_SHRUNK &&
	    vmt_diff_distance(reserved) <= diff->verdict.reserved_noise_bytes) {
		vmt_sentence_say(sentence, "Reserved flat at %s",
				 vmt_units_bytes(figure, reserved->b));
		return;
	}
	vmt_sentence_say(sentence, "Reserved ");
	say_change(sentence, reserved);
}

static void
say_committed(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *committed = &diff->totals.committed_bytes;
	char figure[VMT_UNITS_BYTES];

	if (vmt_diff_distance(committed) <= diff->verdict.committed_noise_bytes) {
		vmt_sentence_say(sentence, ", committed flat at %s",
				 vmt_units_bytes(figure, committed->b));
		return;
	}
	vmt_sentence_say(sentence, ", committed ");
	say_change(sentence, committed);
}

/* How much of the whole change is in the class that changed most. */
static void
say_class(struct vmt_sentence *sentence, const struct vmt_diff_class *row,
	  const struct vmt_diff_figure *part, const struct vmt_diff_figure *whole)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	uint64_t all = vmt_diff_distance(whole);
	uint64_t here = vmt_diff_distance(part);

	assert(row);
	if (here >= all - all / 10 && here <= all + all / 10)
		vmt_sentence_say(sentence, ", nearly all in class %s", row->name);
	else if (here >= all / 2 && here <= all)
		vmt_sentence_say(sentence, ", mostly in class %s (%s)", row->name,
				 vmt_diff_change_write(change, part));
	else
		vmt_sentence_say(sentence, ", most in class %s (%s)", row->name,
				 vmt_diff_change_write(change, part));
}

/* How reserved went, beyond its noise, beside committed. */
enum reserved_way { RESERVED_FLAT, RESERVED_ALONG, RESERVED_AGAINST };

static enum reserved_way
way_of_reserved(const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *reserved = &diff->totals.reserved_bytes;
	bool up = vmt_diff_delta(&diff->totals.committed_bytes) > 0;

	if (vmt_diff_distance(reserved) <= diff->verdict.reserved_noise_bytes)
		return RESERVED_FLAT;
	return (vmt_diff_delta(reserved) > 0) == up ? RESERVED_ALONG : RESERVED_AGAINST;
}

/* Whether what came to be reserved, or is no more, surely never had a page. What is in RAM in
 * neither snapshot may have been there between them. */
static bool
is_never_touched(const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *reserved = &diff->totals.reserved_bytes;
	const struct vmt_diff_figure *never = &diff->totals.never_touched_bytes;

	return (vmt_diff_delta(never) > 0) == (vmt_diff_delta(reserved) > 0) &&
	       vmt_diff_distance(never) >=
		   vmt_diff_distance(reserved) - vmt_diff_distance(reserved) / 10;
}

static bool
is_about_reserved(enum vmt_diff_kind kind)
{
	return kind == VMT_DIFF_MORE_RESERVED || kind == VMT_DIFF_LESS_RESERVED;
}

/* Where no call was recorded, nobody knows what the program asked for. */
static const char *
meaning_of_snapshots(enum vmt_diff_kind kind)
{
	switch (kind) {
	case VMT_DIFF_MORE_TOUCHED:
		return "more of the memory is in RAM";
	case VMT_DIFF_LESS_TOUCHED:
		return "less of the memory is in RAM";
	case VMT_DIFF_GROWN:
		return "there is more memory";
	case VMT_DIFF_SHRUNK:
		return "there is less memory";
	case VMT_DIFF_MORE_RESERVED:
		return "there is more memory that is not in RAM";
	case VMT_DIFF_LESS_RESERVED:
		return "there is less memory that was not in RAM";
	case VMT_DIFF_UNKNOWN:
	case VMT_DIFF_SAME:
	case VMT_DIFF_MOVED:
		break;
	}
	return "";
}

static const char *
meaning(const struct vmt_diff *diff, enum reserved_way way)
{
	const char *outside = vmt_diff_headline_outside_meaning(diff);
	bool has_snapshot = diff->a->process.is_snapshot || diff->b->process.is_snapshot;
	static const char *const more_touched[] = {
	    [RESERVED_FLAT] = "more of what is reserved is touched",
	    [RESERVED_ALONG] = "more of what was already reserved is touched",
	    [RESERVED_AGAINST] = "less is reserved, but more of it is touched",
	};
	static const char *const less_touched[] = {
	    [RESERVED_FLAT] = "less of what is reserved is touched, or more was given back",
	    [RESERVED_ALONG] =
		"as much is reserved there, but less of it is touched or more was given back",
	    [RESERVED_AGAINST] = "more is reserved, but less of it is in RAM",
	};

	if (outside && !(has_snapshot && is_about_reserved(diff->verdict.kind)))
		return outside;
	if (has_snapshot)
		return meaning_of_snapshots(diff->verdict.kind);
	switch (diff->verdict.kind) {
	case VMT_DIFF_MORE_TOUCHED:
		return more_touched[way];
	case VMT_DIFF_LESS_TOUCHED:
		return less_touched[way];
	case VMT_DIFF_GROWN:
		return "more is requested";
	case VMT_DIFF_SHRUNK:
		return "less is requested";
	case VMT_DIFF_MORE_RESERVED:
		return is_never_touched(diff) ? "more is requested, but not touched"
					      : "more is requested, and is not in RAM: given back, "
						"or not touched yet";
	case VMT_DIFF_LESS_RESERVED:
		return is_never_touched(diff) ? "less is requested, of what was not touched"
					      : "less is requested, of what was not in RAM";
	case VMT_DIFF_UNKNOWN:
	case VMT_DIFF_SAME:
	case VMT_DIFF_MOVED:
		break;
	}
	return "";
}

static void
say_owner(struct vmt_sentence *sentence, const struct vmt_diff_site *row)
{
	const struct vmt_stack_frames *stack = &row->shown->stack;
	char name[512];
	char share[VMT_UNITS_RATIO_BYTES];

	if (stack->count == 0)
		vmt_sentence_say(sentence, "%s without a stack", row->kind);
	else
		vmt_sentence_say(sentence, "%s", vmt_frame_text_owner(stack, name, sizeof(name)));
	if (!vmt_diff_group_rows_has_most(row))
		vmt_sentence_say(sentence, " (%s of it) and others",
				 vmt_units_ratio(share, row->shown_bytes, row->side_bytes));
}

/* Silent where the site's part is less than a tenth: it explains nothing. */
static void
say_site(struct vmt_sentence *sentence, const struct vmt_diff_site *row,
	 const struct vmt_diff_figure *part, const struct vmt_diff_figure *whole)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char error[VMT_UNITS_BYTES];

	if (vmt_diff_distance(part) < vmt_diff_distance(whole) / 10)
		return;
	vmt_sentence_say(sentence, " %s ",
			 vmt_diff_distance(part) >= vmt_diff_distance(whole) / 2 ? "Mostly at"
										 : "The most at");
	say_owner(sentence, row);
	vmt_sentence_say(sentence, ", %s%s%s%s", row->estimate ? "about " : "",
			 vmt_diff_change_write(change, part),
			 row->match == VMT_DIFF_NEW    ? " (new)"
			 : row->match == VMT_DIFF_GONE ? " (gone)"
						       : "",
			 row->error_bytes ? "" : ".");
	if (row->error_bytes)
		vmt_sentence_say(sentence, " (%s the sampling error of %s).",
				 vmt_diff_distance(part) <= row->error_bytes ? "within" : "beyond",
				 vmt_units_bytes(error, row->error_bytes));
}

/* Pages became huge, or stopped to be: a change of RSS without a single call more. */
static void
say_huge(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_figure *huge = &diff->totals.huge_bytes;
	char change[VMT_DIFF_CHANGE_BYTES];

	if (huge->a == VMT_FIGURE_UNKNOWN || huge->b == VMT_FIGURE_UNKNOWN)
		return;
	if ((vmt_diff_delta(huge) > 0) != (vmt_diff_delta(&diff->totals.committed_bytes) > 0) ||
	    vmt_diff_distance(huge) < vmt_diff_distance(&diff->totals.committed_bytes) / 2)
		return;
	vmt_sentence_say(sentence, " In huge pages: %s.", vmt_diff_change_write(change, huge));
}

static void
say_move(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_verdict *verdict = &diff->verdict;
	char rss[VMT_UNITS_BYTES];
	char figure[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "RSS is the same (%s); %s moved from ",
			 vmt_units_bytes(rss, diff->totals.rss_bytes.b),
			 vmt_units_bytes(figure, verdict->moved_bytes));
	if (verdict->from_site) {
		say_owner(sentence, verdict->from_site);
		vmt_sentence_say(sentence, " to ");
		say_owner(sentence, verdict->to_site);
	} else {
		vmt_sentence_say(sentence, "class %s to class %s", verdict->from_class->name,
				 verdict->to_class->name);
	}
	if (vmt_diff_distance(&diff->totals.reserved_bytes) > verdict->reserved_noise_bytes) {
		vmt_sentence_say(sentence, "; reserved ");
		say_change(sentence, &diff->totals.reserved_bytes);
	}
	vmt_sentence_say(sentence, ".");
}

/* What the events of one trace say of the time from A's moment to B's, where the snapshot before
 * both is the same. */
static void
say_between(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_report *a = diff->a;
	const struct vmt_report *b = diff->b;
	struct vmt_unseen_amounts amounts = {.estimate = a->since.estimate || b->since.estimate};

	if (!a->since.is_known || !b->since.is_known || a->since.from_ns != b->since.from_ns ||
	    a->since.until_ns >= b->since.until_ns)
		return;
#define BETWEEN(name)                                                                              \
	amounts.name = b->since.name > a->since.name ? b->since.name - a->since.name : 0
	BETWEEN(blocks_requested_bytes);
	BETWEEN(blocks_freed_bytes);
	BETWEEN(mapped_bytes);
	BETWEEN(unmapped_bytes);
	BETWEEN(given_back_bytes);
	BETWEEN(given_back_later_bytes);
#undef BETWEEN
	vmt_sentence_say(sentence, " By events, from A's moment to B's ");
	if (!vmt_headline_unseen_say_amounts(sentence, &amounts))
		vmt_sentence_say(sentence, "no call is recorded that requested or freed memory");
	vmt_sentence_say(sentence, ".");
}

static void
say_unknown(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	bool a = diff->a->snapshot.taken;
	bool b = diff->b->snapshot.taken;
	char when[VMT_UNITS_BYTES];

	if (a && b) {
		int64_t time_ns = diff->a->snapshot.time_ns;

		vmt_sentence_say(sentence,
				 "A and B are the same snapshot, at %s: there is nothing to "
				 "compare.",
				 vmt_units_duration(when, time_ns > 0 ? (uint64_t)time_ns : 0));
		say_between(sentence, diff);
		return;
	}
	vmt_sentence_say(sentence, "%s no snapshot of resident pages: committed memory is unknown.",
			 a   ? "B has"
			 : b ? "A has"
			     : "A and B have");
}

static void
say_growth(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	const struct vmt_diff_verdict *verdict = &diff->verdict;
	const struct vmt_diff_class *row = verdict->main_class;
	const struct vmt_diff_site *site = verdict->main_site;
	enum reserved_way way = way_of_reserved(diff);

	/* The sum changed, so a row did. */
	assert(row);
	say_reserved(sentence, diff);
	if (is_about_reserved(verdict->kind)) {
		say_class(sentence, row, &row->reserved_bytes, &diff->totals.reserved_bytes);
		say_committed(sentence, diff);
		vmt_sentence_say(sentence, ": %s.", meaning(diff, way));
		if (site)
			say_site(sentence, site, &site->reserved_bytes,
				 &diff->totals.reserved_bytes);
		return;
	}
	say_committed(sentence, diff);
	vmt_diff_headline_touch_say(sentence, diff);
	say_class(sentence, row, &row->committed_bytes, &diff->totals.committed_bytes);
	vmt_sentence_say(sentence, ": %s.", meaning(diff, way));
	if (site)
		say_site(sentence, site, &site->committed_bytes, &diff->totals.committed_bytes);
	say_huge(sentence, diff);
}

static const char *
program_of(const struct vmt_report *report)
{
	const char *path = report->process.exe ? report->process.exe : "";
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A number or a word behind the name may be a version: the letters that it begins with count. */
static bool
is_named_alike(const char *a, const char *b)
{
	size_t letters = 0;

	while (isalpha((unsigned char)a[letters]))
		letters++;
	if (letters == 0)
		return strcmp(a, b) == 0;
	return strncmp(a, b, letters) == 0 && !isalpha((unsigned char)b[letters]);
}

/* A shell that executes the service is not the service. */
static void
say_replaced(struct vmt_sentence *sentence, const char *name,
	     const struct vmt_diff_continuation *continues)
{
	vmt_sentence_say(sentence, "%s replaced itself with another program (exec)", name);
	if (!continues->next || !*continues->next)
		vmt_sentence_say(sentence, ", whose trace was not found. ");
	else if (continues->last && strcmp(continues->next, continues->last) != 0)
		vmt_sentence_say(sentence, " and continues in %s, finally in %s. ", continues->next,
				 continues->last);
	else
		vmt_sentence_say(sentence, " and continues in %s. ", continues->next);
}

/* What was compared is not what was meant, most likely. */
static void
say_other(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	bool one = vmt_diff_is_one_trace(diff);
	bool a = vmt_diff_is_replaced(diff->a);
	bool b = vmt_diff_is_replaced(diff->b) && !one;

	if (a)
		say_replaced(sentence, one ? "The process" : "A", &diff->continues_a);
	if (b)
		say_replaced(sentence, "B", &diff->continues_b);
	if (a || b)
		vmt_sentence_say(sentence, "Only what came before is compared. ");
	if (diff->verdict.kind != VMT_DIFF_UNKNOWN) {
		vmt_headline_unseen_say_since(sentence, diff->a, "A's snapshot");
		vmt_headline_unseen_say_since(sentence, diff->b, "B's snapshot");
	}
	if (diff->a->snapshot.after_end)
		vmt_headline_say_end(sentence, diff->a, one ? "The trace" : "A");
	if (diff->b->snapshot.after_end && !(one && diff->a->snapshot.after_end))
		vmt_headline_say_end(sentence, diff->b, one ? "The trace" : "B");
}

/* What makes the rest of the sentence worth little. */
static void
say_first(struct vmt_sentence *sentence, const struct vmt_diff *diff)
{
	bool a = diff->a->loss.cut;
	bool b = diff->b->loss.cut;

	say_other(sentence, diff);
	if (!is_named_alike(program_of(diff->a), program_of(diff->b)))
		vmt_sentence_say(sentence,
				 "A is a trace of %s and B of %s: two programs are compared, not "
				 "two runs of one. ",
				 program_of(diff->a), program_of(diff->b));
	if (a || b)
		vmt_sentence_say(sentence, "%s cut, so only parts of the runs are compared: ",
				 !b   ? "A is"
				 : !a ? "B is"
				      : "A and B are");
}

void
vmt_diff_headline_write(const struct vmt_diff *diff, char *text, size_t text_bytes)
{
	struct vmt_sentence sentence = {text, text_bytes, 0};
	char noise[VMT_UNITS_BYTES];

	assert(text_bytes > 0);
	say_first(&sentence, diff);
	switch (diff->verdict.kind) {
	case VMT_DIFF_UNKNOWN:
		say_unknown(&sentence, diff);
		return;
	case VMT_DIFF_MOVED:
		say_move(&sentence, diff);
		break;
	case VMT_DIFF_SAME:
		if (!vmt_diff_headline_outside_has_change(diff))
			vmt_sentence_say(&sentence, "Nothing changed. ");
		say_reserved(&sentence, diff);
		say_committed(&sentence, diff);
		vmt_sentence_say(&sentence,
				 diff->a->process.is_snapshot && diff->b->process.is_snapshot
				     ? " (a difference of up to %s counts as none)."
				     : " (two runs of one program may differ by %s).",
				 vmt_units_bytes(noise, diff->verdict.committed_noise_bytes));
		break;
	default:
		say_growth(&sentence, diff);
	}
	vmt_diff_headline_outside_say(&sentence, diff);
}
