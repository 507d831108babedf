#include "tools/out/headline.h"

#include "tools/out/alike.h"
#include "tools/out/rank.h"
#include "tools/out/sentence.h"
#include "tools/out/text.h"
#include "tools/out/units.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A gap below this, or below this part of its site, is not worth a clause: every stack and arena
 * has one. */
#define GAP_WORTH_NAMING_BYTES (UINT64_C(1) << 20)
#define GAP_WORTH_NAMING_PART 100u

static const struct vmt_site *
largest(const struct vmt_report *report, enum vmt_rank_by by)
{
	const struct vmt_site *best = NULL;

	for (size_t i = 0; i < report->site_count; i++)
		if (!best || vmt_rank_figure(&report->sites[i], by) > vmt_rank_figure(best, by))
			best = &report->sites[i];
	return best && vmt_rank_figure(best, by) ? best : NULL;
}

static void
say_owner(struct vmt_sentence *sentence, const struct vmt_site *site)
{
	char name[512];

	if (site->stack.count == 0)
		vmt_sentence_say(sentence, "%s without a stack", site->kind);
	else
		vmt_sentence_say(sentence, "%s", vmt_text_owner(&site->stack, name, sizeof(name)));
}

static bool
is_worth_naming(const struct vmt_site *gap)
{
	uint64_t bytes = vmt_rank_figure(gap, VMT_RANK_GAP);

	return bytes >= GAP_WORTH_NAMING_BYTES &&
	       bytes >= gap->reserved_bytes / GAP_WORTH_NAMING_PART;
}

static void
say_largest(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_site *committed = largest(report, VMT_RANK_COMMITTED);
	const struct vmt_site *gap = largest(report, VMT_RANK_GAP);
	char text[VMT_UNITS_BYTES];
	char whole[VMT_UNITS_BYTES];

	if (committed) {
		vmt_sentence_say(sentence, "; largest committed: ");
		say_owner(sentence, committed);
		vmt_sentence_say(sentence, ", %s%s", committed->estimate ? "about " : "",
				 vmt_units_bytes(text, committed->committed_bytes));
	}
	if (!report->snapshot.taken || !gap || !is_worth_naming(gap))
		return;
	vmt_sentence_say(sentence, "; largest reserved but never touched: ");
	say_owner(sentence, gap);
	vmt_sentence_say(sentence, ", %s of %s",
			 vmt_units_bytes(text, vmt_rank_figure(gap, VMT_RANK_GAP)),
			 vmt_units_bytes(whole, gap->reserved_bytes));
}

/* It names one frame: what bears the same name is taken together. */
static void
say_sites(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	struct vmt_report merged = *report;

	merged.sites = vmt_alike_merge(report, 0, &merged.site_count);
	say_largest(sentence, merged.sites ? &merged : report);
	free(merged.sites);
}

void
vmt_headline_write(const struct vmt_report *report, char *text, size_t text_bytes)
{
	struct vmt_sentence sentence = {text, text_bytes, 0};
	int64_t time_ns = report->snapshot.time_ns;
	char figure[VMT_UNITS_BYTES];

	if (report->snapshot.taken) {
		vmt_sentence_say(&sentence, "RSS %s",
				 vmt_units_bytes(figure, report->snapshot.rss_bytes));
		if (report->snapshot.asked_for)
			vmt_sentence_say(
			    &sentence, " at %s",
			    vmt_units_duration(figure, time_ns > 0 ? (uint64_t)time_ns : 0));
		vmt_sentence_say(&sentence, "; ");
		vmt_sentence_say(&sentence, "%s reserved",
				 vmt_units_bytes(figure, report->snapshot.virtual_bytes));
	} else {
		vmt_sentence_say(
		    &sentence,
		    "No snapshot of the resident pages in this trace, so nothing is known of what "
		    "was committed; %s reserved",
		    vmt_units_bytes(figure, report->totals.reserved_bytes));
	}
	say_sites(&sentence, report);
	vmt_sentence_say(&sentence, ".");
}

static void
say_loss(struct vmt_sentence *sentence, uint64_t count, const char *one, const char *what)
{
	char text[VMT_UNITS_BYTES];

	if (count)
		vmt_sentence_say(sentence, "%s%s %s%s %s",
				 sentence->used ? ", " : "Lost: ", vmt_units_count(text, count),
				 one, count == 1 ? "" : "s", what);
}

static void
say_losses(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const char *missing = "that left the rings and are not in the file";

	say_loss(sentence, report->loss.events_dropped, "event", "for want of room in the rings");
	say_loss(sentence, report->loss.events_overwritten, "event",
		 "overwritten while nobody collected");
	say_loss(sentence, report->loss.slots_abandoned, "event", "never finished by its thread");
	say_loss(sentence, report->loss.cut ? 0 : report->loss.events_missing, "event", missing);
	say_loss(sentence, report->loss.samples_dropped, "sampled block",
		 "for want of room in the sample table");
	say_loss(sentence, report->loss.cut ? 0 : report->loss.cut_bytes, "byte",
		 "cut off or broken at the file's end");
	if (sentence->used)
		vmt_sentence_say(sentence, "; figures are off by what was lost");
	say_loss(sentence, report->loss.stacks_dropped, "call stack",
		 "for want of room in the stack table: these calls are in the sums, without a "
		 "call site");
	if (sentence->used)
		vmt_sentence_say(sentence, ".");
}

static void
say_cut(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t missing = report->loss.events_missing;
	char text[VMT_UNITS_BYTES];

	if (missing)
		vmt_sentence_say(
		    sentence,
		    "The file is cut: %s event%s that lay behind its end %s missing, and "
		    "snapshots that may have been there. ",
		    vmt_units_count(text, missing), missing == 1 ? "" : "s",
		    missing == 1 ? "is" : "are");
	else
		vmt_sentence_say(sentence, "The file's end is missing: it was cut off, or the disk "
					   "was full. No event is missing, but snapshots may be. ");
}

void
vmt_headline_losses(const struct vmt_report *report, char *text, size_t text_bytes)
{
	struct vmt_sentence cut = {text, text_bytes, 0};
	struct vmt_sentence losses;

	text[0] = '\0';
	if (report->loss.cut)
		say_cut(&cut, report);
	losses = (struct vmt_sentence){text + cut.used, text_bytes - cut.used, 0};
	say_losses(&losses, report);
	if (cut.used && !losses.used)
		text[cut.used - 1] = '\0';
}
