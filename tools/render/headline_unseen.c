#include "tools/render/headline_unseen.h"

#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/headline_owners.h"
#include "tools/render/units.h"

#include <stdlib.h>
#include <string.h>

#define WORTH_LEAST_BYTES (UINT64_C(4) << 20)
#define WORTH_PART 20u
/* A snapshot this far from the moment that was asked for is said to be. */
#define FAR_NS INT64_C(1000000000)

static bool
is_end(const struct vmt_report *report, const char *end)
{
	return strcmp(report->process.end, end) == 0;
}

static uint64_t
worth(const struct vmt_report *report)
{
	uint64_t part = report->snapshot.rss_bytes / WORTH_PART;

	return part > WORTH_LEAST_BYTES ? part : WORTH_LEAST_BYTES;
}

static bool
is_above(uint64_t more, uint64_t less, uint64_t by)
{
	return more > less && more - less >= by;
}

/* More was requested than given back. */
static bool
has_grown(const struct vmt_report *report)
{
	return is_above(report->since.blocks_requested_bytes, report->since.blocks_freed_bytes,
			worth(report)) ||
	       is_above(report->since.mapped_bytes, report->since.unmapped_bytes, worth(report));
}

/* What was mapped meanwhile makes up for nothing: its pages may not be in RAM. */
static bool
has_shrunk(const struct vmt_report *report)
{
	return is_above(report->since.blocks_freed_bytes, report->since.blocks_requested_bytes,
			worth(report)) ||
	       report->since.unmapped_bytes >= worth(report) ||
	       report->since.given_back_bytes >= worth(report);
}

static void
say_bytes(struct vmt_sentence *sentence, const char *before, uint64_t bytes, const char *behind)
{
	char figure[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "%s%s%s", before, vmt_units_bytes(figure, bytes), behind);
}

/* The larger of the two comes first. */
static void
say_pair(struct vmt_sentence *sentence, const char *about, uint64_t more_bytes,
	 const char *more_words, uint64_t less_bytes, const char *less_words, const char *of)
{
	bool swaps = less_bytes > more_bytes;

	say_bytes(sentence, about, swaps ? less_bytes : more_bytes, of);
	vmt_sentence_say(sentence, " %s", swaps ? less_words : more_words);
	if (less_bytes == 0 || more_bytes == 0)
		return;
	say_bytes(sentence, " and ", swaps ? more_bytes : less_bytes, "");
	vmt_sentence_say(sentence, " %s", swaps ? more_words : less_words);
}

static bool
say_address_space(struct vmt_sentence *sentence, const struct vmt_unseen_amounts *amounts)
{
	bool blocks = amounts->blocks_requested_bytes || amounts->blocks_freed_bytes;
	bool mapped = amounts->mapped_bytes || amounts->unmapped_bytes;

	if (blocks)
		say_pair(sentence, amounts->estimate ? "about " : "",
			 amounts->blocks_requested_bytes, "requested", amounts->blocks_freed_bytes,
			 "freed", " of malloc blocks were");
	if (blocks && mapped)
		vmt_sentence_say(sentence, "; ");
	if (mapped)
		say_pair(sentence, "", amounts->mapped_bytes, "mapped", amounts->unmapped_bytes,
			 "unmapped", " were");
	return blocks || mapped;
}

/* Advice takes pages and leaves the address space. */
static void
say_given_back(struct vmt_sentence *sentence, const struct vmt_unseen_amounts *amounts)
{
	bool all_later = amounts->given_back_later_bytes == amounts->given_back_bytes;

	say_bytes(sentence, "", amounts->given_back_bytes, " were given back");
	if (amounts->given_back_later_bytes == 0)
		return;
	if (all_later)
		vmt_sentence_say(sentence, " by MADV_FREE");
	else
		say_bytes(sentence, ", ", amounts->given_back_later_bytes, " of it by MADV_FREE");
	vmt_sentence_say(sentence, " (in RSS until the kernel wants it)");
}

bool
vmt_headline_unseen_say_amounts(struct vmt_sentence *sentence,
				const struct vmt_unseen_amounts *amounts)
{
	bool says = say_address_space(sentence, amounts);

	if (amounts->given_back_bytes == 0)
		return says;
	vmt_sentence_say(sentence, "%s", says ? "; " : "");
	say_given_back(sentence, amounts);
	return true;
}

typedef uint64_t (*figure_of)(const struct vmt_site *site);

static uint64_t
grown_since(const struct vmt_site *site)
{
	return site->since_requested_bytes > site->since_released_bytes
		   ? site->since_requested_bytes - site->since_released_bytes
		   : 0;
}

static uint64_t
released_since(const struct vmt_site *site)
{
	return site->since_released_bytes;
}

static uint64_t
requested_while_missed(const struct vmt_site *site)
{
	return site->missed_requested_bytes;
}

/* Where one call site has more than half of it, or the most. */
static void
say_most(struct vmt_sentence *sentence, const struct vmt_report *report, figure_of figure,
	 const char *words)
{
	const struct vmt_site *best = NULL;
	size_t count;
	struct vmt_site *sites = vmt_group_rows_merge(report, 0, &count);

	for (size_t i = 0; i < count; i++)
		if (!best || figure(&sites[i]) > figure(best))
			best = &sites[i];
	if (best && figure(best) > 0) {
		vmt_sentence_say(sentence, "%s", words);
		vmt_headline_say_site(sentence, best);
	}
	free(sites);
}

/* Where one call site gave back more than half of it. */
static void
say_most_advice(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_advice *best = NULL;
	char name[512];

	for (size_t i = 0; i < report->advice_count; i++)
		if (!best || report->advice[i].since_taken_bytes > best->since_taken_bytes)
			best = &report->advice[i];
	if (!best || best->stack.count == 0 ||
	    best->since_taken_bytes <= report->since.given_back_bytes / 2)
		return;
	vmt_sentence_say(sentence, ", the most by %s",
			 vmt_frame_text_owner(&best->stack, name, sizeof(name)));
}

static void
say_what_was(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	struct vmt_unseen_amounts amounts = {
	    .blocks_requested_bytes = report->since.blocks_requested_bytes,
	    .blocks_freed_bytes = report->since.blocks_freed_bytes,
	    .mapped_bytes = report->since.mapped_bytes,
	    .unmapped_bytes = report->since.unmapped_bytes,
	    .given_back_bytes = report->since.given_back_bytes,
	    .given_back_later_bytes = report->since.given_back_later_bytes,
	    .estimate = report->since.estimate};
	bool says;

	vmt_sentence_say(sentence, "; since then ");
	says = say_address_space(sentence, &amounts);
	if (says && has_grown(report))
		say_most(sentence, report, grown_since, ", the most by ");
	else if (says)
		say_most(sentence, report, released_since, ", the most of ");
	if (amounts.given_back_bytes) {
		vmt_sentence_say(sentence, "%s", says ? "; " : "");
		say_given_back(sentence, &amounts);
		say_most_advice(sentence, report);
	} else if (!says) {
		vmt_sentence_say(sentence, "no call is recorded that requested or freed memory");
	}
}

/* What the snapshot is held against. */
static const char *
moment(const struct vmt_report *report)
{
	if (report->since.is_asked)
		return "before the time asked for";
	if (vmt_report_is_oom(report))
		return "before the OOM killer's kill";
	if (is_end(report, "signal"))
		return "before the signal that ended the process";
	if (is_end(report, "running") || is_end(report, "ending"))
		return "old";
	if (is_end(report, "cut"))
		return "before the last that the trace has";
	return "before the end";
}

/* What a process gives back before its own exit, or exec, is no news. A signal comes in the middle
 * of its work, and so does the end of a trace that was cut off. */
static bool
is_own_end(const struct vmt_report *report)
{
	return is_end(report, "exit") || is_end(report, "exec");
}

static bool
is_worth_saying(const struct vmt_report *report, int64_t age_ns)
{
	if (!report->since.is_known || age_ns <= 0 || report->snapshot.after_end)
		return false;
	if (report->since.is_asked)
		return age_ns >= FAR_NS || has_grown(report) || has_shrunk(report);
	return has_grown(report) || (!is_own_end(report) && has_shrunk(report));
}

bool
vmt_headline_unseen_has_since(const struct vmt_report *report)
{
	return is_worth_saying(report, report->since.until_ns - report->since.from_ns);
}

void
vmt_headline_unseen_say_since(struct vmt_sentence *sentence, const struct vmt_report *report,
			      const char *snapshot)
{
	int64_t age_ns = report->since.until_ns - report->since.from_ns;
	bool is_this = report->since.from_ns == report->snapshot.time_ns;
	char age[VMT_UNITS_BYTES];

	if (!is_worth_saying(report, age_ns))
		return;
	vmt_sentence_say(sentence, "%s is %s %s", is_this ? snapshot : "The last snapshot",
			 vmt_units_duration(age, (uint64_t)age_ns), moment(report));
	say_what_was(sentence, report);
	vmt_sentence_say(sentence, ". ");
}

static uint64_t
missed_requests(const struct vmt_report *report)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < report->site_count; i++)
		sum += report->sites[i].missed_requested_bytes;
	return sum;
}

/* Requests that come to less than half of what was not seen are no reason for it. */
static void
say_missed_requests(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t requested_bytes = missed_requests(report);
	uint64_t unseen_bytes = report->peak.counted_bytes - report->peak.after_rss_bytes;

	if (report->peak.after_rss_bytes > report->peak.counted_bytes)
		unseen_bytes = 0;
	if (requested_bytes < unseen_bytes / 2) {
		vmt_sentence_say(sentence, "; what was requested meanwhile does not explain it");
		return;
	}
	say_bytes(sentence, "; requested meanwhile: ", requested_bytes, "");
	say_most(sentence, report, requested_while_missed, ", the most by ");
}

static void
say_earlier(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	if (report->peak.earlier_bytes != 0)
		say_bytes(sentence, " Before the process was first looked at, its largest RSS was ",
			  report->peak.earlier_bytes, " by the kernel's count.");
}

void
vmt_headline_unseen_say_peak(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	char texts[2][VMT_UNITS_BYTES];
	int64_t after_ns = report->peak.after_ns;
	int64_t by_ns = report->peak.by_ns;
	char figure[VMT_UNITS_BYTES];

	if (!report->peak.is_missed) {
		say_earlier(sentence, report);
		return;
	}
	vmt_units_duration(texts[0], after_ns > 0 ? (uint64_t)after_ns : 0);
	vmt_units_duration(texts[1], by_ns > 0 ? (uint64_t)by_ns : 0);
	vmt_sentence_say(sentence,
			 " The peak of %s is the kernel's count: it lay between two readings, ",
			 vmt_units_bytes(figure, report->peak.counted_bytes));
	if (strcmp(texts[0], texts[1]) == 0)
		vmt_sentence_say(sentence, "both at %s", texts[0]);
	else
		vmt_sentence_say(sentence, "at %s and %s", texts[0], texts[1]);
	vmt_sentence_say(sentence, ", and nobody looked at its pages");
	if (report->peak.requests_known)
		say_missed_requests(sentence, report);
	vmt_sentence_say(sentence, ".");
}
