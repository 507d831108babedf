#include "tools/render/headline.h"

#include "tools/render/headline_owners.h"
#include "tools/render/headline_unseen.h"
#include "tools/render/units.h"

#include <stdio.h>
#include <string.h>

/* News where RSS has this part of it. */
#define PAGE_TABLES_PART 10u
#define HUGE_PART 2u
#define SHARED_PART 2u

/* In other mappings too, 0 where not known. Of libraries that is no news. */
static uint64_t
shared_bytes(const struct vmt_report *report)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *class = &report->classes[i];

		if (class->shared_bytes == VMT_FIGURE_UNKNOWN)
			return 0;
		if (strcmp(class->name, vmt_classes_name(VMT_CLASS_PROGRAM)) != 0)
			sum += class->shared_bytes;
	}
	return sum;
}

/* What the classes do not show: memory that RSS leaves out, and pages that came by the 512. */
static void
say_kernel(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t rss = report->snapshot.rss_bytes;
	uint64_t huge = report->snapshot.huge_bytes;
	uint64_t tables = report->snapshot.kernel.page_table_bytes;
	uint64_t shared = shared_bytes(report);
	char figure[VMT_UNITS_BYTES];

	if (huge != VMT_FIGURE_UNKNOWN && huge != 0 && huge >= rss / HUGE_PART)
		vmt_sentence_say(sentence, " %s of RSS is in huge pages (THP).",
				 vmt_units_bytes(figure, huge));
	if (shared != 0 && shared >= rss / SHARED_PART)
		vmt_sentence_say(sentence,
				 " Besides programs and libraries, %s of RSS is shared: mapped "
				 "more than once, by this or other processes.",
				 vmt_units_bytes(figure, shared));
	if (tables != VMT_FIGURE_UNKNOWN && tables > rss / PAGE_TABLES_PART)
		vmt_sentence_say(
		    sentence,
		    " Page tables take another %s: not in RSS, but counted by the cgroup.",
		    vmt_units_bytes(figure, tables));
}

/* Where its allocator has no known name, "mapped by mmap" is how it looks. */
static void
say_own_malloc(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	bool known = false;

	if (!report->coverage.own_malloc || strcmp(report->coverage.malloc_mode, "off") == 0)
		return;
	for (size_t i = 0; i < report->class_count; i++)
		known |= strcmp(report->classes[i].name, vmt_classes_name(VMT_CLASS_MALLOC)) == 0;
	vmt_sentence_say(sentence,
			 " The program has its own malloc: its blocks are not recorded%s.",
			 known ? "" : "; what it maps is under mmap");
}

void
vmt_headline_say_end(struct vmt_sentence *sentence, const struct vmt_report *report,
		     const char *trace)
{
	bool runs = strcmp(report->process.end, "running") == 0;
	char end[VMT_UNITS_BYTES];

	if (report->snapshot.after_end)
		vmt_sentence_say(sentence,
				 "%s %s %s%s, before the time asked for: its last snapshot stands "
				 "for that. ",
				 trace, runs ? "goes up to" : "ends at",
				 vmt_units_duration(end, (uint64_t)vmt_report_end_ns(report)),
				 runs ? " so far" : "");
}

void
vmt_headline_write(const struct vmt_report *report, char *text, size_t text_bytes)
{
	struct vmt_sentence sentence = {text, text_bytes, 0};
	char figure[VMT_UNITS_BYTES];

	if (report->snapshot.taken) {
		vmt_headline_say_end(&sentence, report, "The trace");
		vmt_headline_unseen_say_since(&sentence, report, "This snapshot");
		vmt_headline_say_rss(&sentence, report, vmt_headline_unseen_has_since(report));
		vmt_headline_say_owners(&sentence, report);
		vmt_sentence_say(&sentence, ".");
		vmt_headline_unseen_say_peak(&sentence, report);
		say_kernel(&sentence, report);
		say_own_malloc(&sentence, report);
		return;
	}
	vmt_sentence_say(
	    &sentence,
	    "No snapshot of resident pages in this trace: committed memory is unknown; %s reserved",
	    vmt_units_bytes(figure, report->totals.reserved_bytes));
	vmt_headline_say_reserved(&sentence, report);
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
	const char *missing = "missing from both the rings and the file";

	say_loss(sentence, report->loss.events_dropped, "event",
		 "dropped because the rings were full");
	say_loss(sentence, report->loss.events_overwritten, "event",
		 "overwritten because no collector drained the rings");
	say_loss(sentence, report->loss.slots_abandoned, "event", "left unfinished by a thread");
	say_loss(sentence, report->loss.cut ? 0 : report->loss.events_missing, "event", missing);
	say_loss(sentence, report->loss.samples_dropped, "sampled block",
		 "dropped because the sample table was full");
	say_loss(sentence, report->loss.cut ? 0 : report->loss.cut_bytes, "byte",
		 "cut off or damaged at the end of the file");
	if (sentence->used)
		vmt_sentence_say(sentence, "; figures are off by that much");
	say_loss(sentence, report->loss.stacks_dropped, "call stack",
		 "dropped because the stack table was full, or no memory was left for it: these "
		 "calls count in the sums, but "
		 "have no call site (enlarge it: --stack-table, VMTRACE_STACK_TABLE)");
	if (sentence->used)
		vmt_sentence_say(sentence, ".");
}

static void
say_cut(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t missing = report->loss.events_missing;
	char text[VMT_UNITS_BYTES];

	if (missing)
		vmt_sentence_say(sentence,
				 "The file is cut: %s event%s past its end %s missing, and any "
				 "snapshots there. ",
				 vmt_units_count(text, missing), missing == 1 ? "" : "s",
				 missing == 1 ? "is" : "are");
	else
		vmt_sentence_say(sentence, "The file's end is missing: it was cut off, or the disk "
					   "was full. No event is missing, but snapshots may be. ");
}

/* The rest of the run is what is lost. */
static void
say_stop(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	int64_t last_ns = report->process.last_event_ns;
	char when[VMT_UNITS_BYTES];

	vmt_sentence_say(
	    sentence,
	    "The recording ended at %s, before the program did. The program ran out of %s: vmtrace "
	    "released its own memory, and with it the recording, so that the program could go on. ",
	    vmt_units_duration(when, last_ns > 0 ? (uint64_t)last_ns : 0),
	    report->process.shortage);
}

/* The heap's events that were left out. */
static void
say_thinned(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	int64_t from_ns = report->loss.thinned_from_ns;
	char when[VMT_UNITS_BYTES];
	char one_in[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence,
			 "From %s on, fewer and fewer malloc blocks were recorded, to keep the "
			 "trace within its maximum size (--max-size, VMTRACE_MAX_SIZE). At the end "
			 "it was one in %s of those below 64 KiB. ",
			 vmt_units_duration(when, from_ns > 0 ? (uint64_t)from_ns : 0),
			 vmt_units_count(one_in, report->loss.one_in));
	if (!report->snapshot.taken)
		vmt_sentence_say(sentence, "Counts and totals since then are rough. ");
	else if (report->loss.one_in_at_snapshot > 1)
		vmt_sentence_say(sentence,
				 "Figures of blocks are estimates, at this snapshot from one in "
				 "%s; counts and totals since then are rough. ",
				 vmt_units_count(one_in, report->loss.one_in_at_snapshot));
	else
		vmt_sentence_say(sentence, "This snapshot was taken before and lacks nothing; "
					   "counts and totals since then are rough. ");
}

static void
say_full(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	int64_t from_ns = report->loss.full_from_ns;
	char when[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence,
			 "The trace reached its maximum size (--max-size, VMTRACE_MAX_SIZE) at %s: "
			 "later calls and snapshots are not in it, RSS over time is. ",
			 vmt_units_duration(when, from_ns > 0 ? (uint64_t)from_ns : 0));
}

/* Figures of RSS do not rest on samples: who touched the pages does. */
static void
say_lost_touches(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t lost = report->touch.samples_lost;
	uint64_t skipped = report->touch.samples_skipped;
	char count[VMT_UNITS_BYTES];
	char read[VMT_UNITS_BYTES];

	if (lost == 0 && skipped == 0)
		return;
	vmt_sentence_say(sentence, "%sOf the page faults sampled, %s ", sentence->used ? " " : "",
			 vmt_units_count(read, report->touch.samples));
	vmt_sentence_say(sentence, "%s in the trace", report->touch.samples == 1 ? "is" : "are");
	if (lost)
		vmt_sentence_say(sentence, ", %s lost because they came faster than they were read",
				 vmt_units_count(count, lost));
	if (skipped)
		vmt_sentence_say(sentence, ", %s left out to limit CPU time",
				 vmt_units_count(count, skipped));
	vmt_sentence_say(sentence, ": who touched what is known in part, and about.");
}

/* What may be skipped is no loss: no figure rests on it. */
static void
say_unknown(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t unknown = report->loss.events_unknown + report->loss.chunks_unknown;
	char text[VMT_UNITS_BYTES];

	if (unknown)
		vmt_sentence_say(sentence,
				 "%sA newer version of vmtrace made this trace: %s record%s of "
				 "unknown kinds %s skipped.",
				 sentence->used ? " " : "", vmt_units_count(text, unknown),
				 unknown == 1 ? "" : "s", unknown == 1 ? "was" : "were");
}

void
vmt_headline_losses(const struct vmt_report *report, char *text, size_t text_bytes)
{
	struct vmt_sentence cut = {text, text_bytes, 0};
	struct vmt_sentence losses;

	text[0] = '\0';
	if (report->process.shortage)
		say_stop(&cut, report);
	if (report->loss.is_full)
		say_full(&cut, report);
	if (report->loss.is_thinned)
		say_thinned(&cut, report);
	if (report->loss.cut)
		say_cut(&cut, report);
	losses = (struct vmt_sentence){text + cut.used, text_bytes - cut.used, 0};
	say_losses(&losses, report);
	say_lost_touches(&losses, report);
	say_unknown(&losses, report);
	if (cut.used && !losses.used)
		text[cut.used - 1] = '\0';
}
