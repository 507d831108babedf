#include "format/chunk.h"
#include "tools/render/sentence.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Whom the kernel killed there: the line that says how this process ended may have said it. */
static const char *
killed_whom(const struct vmt_report *report)
{
	const char *end = report->process.end;

	if (strcmp(end, "cut") == 0 || strcmp(end, "ending") == 0)
		return ", this process or another";
	if (strcmp(end, "signal") == 0 && report->process.end_status == SIGKILL)
		return "";
	return ", not this process";
}

static void
print_kills(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char times[64] = "once";

	if (report->cgroup.oom_kills > 1)
		snprintf(times, sizeof(times), "%" PRIu64 " times", report->cgroup.oom_kills);
	vmt_layout_line(&options->layout, VMT_STYLE_ALARM,
			"  the OOM killer killed in this cgroup: %s%s", times, killed_whom(report));
}

static bool
is_known(uint64_t figure)
{
	return figure != VMT_FIGURE_UNKNOWN;
}

/* Anonymous memory is this process's or another's; of RSS some may be of files. */
static void
say_anonymous(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t all = report->cgroup.fullest.anonymous_bytes;
	uint64_t own = report->cgroup.fullest.process_rss_bytes;
	char figure[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "%s anonymous memory in all its processes",
			 vmt_units_bytes(figure, all));
	if (own < all)
		vmt_sentence_say(sentence, " (at least %s in other processes)",
				 vmt_units_bytes(figure, all - own));
}

/* Page cache goes when room is needed; what lies in tmpfs stays until it is removed. */
static void
say_files(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t file = report->cgroup.fullest.file_bytes;
	uint64_t memory = report->cgroup.fullest.shared_memory_bytes;
	char figures[2][VMT_UNITS_BYTES];

	if (is_known(memory) && memory <= file)
		vmt_sentence_say(sentence,
				 ", %s tmpfs and other shared memory, %s page cache of files",
				 vmt_units_bytes(figures[0], memory),
				 vmt_units_bytes(figures[1], file - memory));
	else
		vmt_sentence_say(sentence, ", %s page cache and tmpfs",
				 vmt_units_bytes(figures[0], file));
}

/* What the limit counts: this process is but a part of it. */
static void
print_fullest(const struct vmt_report *report, const struct vmt_text_options *options)
{
	uint64_t all = report->cgroup.fullest.bytes;
	uint64_t known = report->cgroup.fullest.anonymous_bytes + report->cgroup.fullest.file_bytes;
	int64_t time_ns = report->cgroup.fullest.time_ns;
	char figures[2][VMT_UNITS_BYTES];
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	if (!is_known(all) || all == 0 || !is_known(report->cgroup.fullest.anonymous_bytes) ||
	    !is_known(report->cgroup.fullest.file_bytes)) {
		vmt_layout_wrap(
		    &options->layout, VMT_STYLE_PLAIN,
		    "  what filled it is unknown: memory.stat was not read before a kill", 4);
		return;
	}
	vmt_sentence_say(&sentence,
			 "  highest usage seen %s at %s: ", vmt_units_bytes(figures[0], all),
			 vmt_units_duration(figures[1], time_ns > 0 ? (uint64_t)time_ns : 0));
	say_anonymous(&sentence, report);
	say_files(&sentence, report);
	vmt_sentence_say(&sentence, ", %s kernel and other; RSS of this process then %s",
			 vmt_units_bytes(figures[0], all > known ? all - known : 0),
			 vmt_units_bytes(figures[1], report->cgroup.fullest.process_rss_bytes));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 4);
}

void
vmt_text_cgroup(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char limit[VMT_UNITS_BYTES];
	char peak[VMT_UNITS_BYTES];
	bool has_peak =
	    report->cgroup.peak_bytes != VMT_FIGURE_UNKNOWN && report->cgroup.peak_bytes;

	if (report->cgroup.limit_bytes == VMT_FIGURE_UNKNOWN || report->cgroup.limit_bytes == 0)
		return;
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "  cgroup limit %s%s%s",
			vmt_units_bytes(limit, report->cgroup.limit_bytes),
			!has_peak		      ? ""
			: report->cgroup.peak_sampled ? ", highest usage seen "
						      : ", peak usage ",
			has_peak ? vmt_units_bytes(peak, report->cgroup.peak_bytes) : "");
	print_fullest(report, options);
	if (report->cgroup.oom_kills && report->cgroup.oom_kills != VMT_FIGURE_UNKNOWN)
		print_kills(report, options);
}
