#include "format/chunk.h"
#include "tools/out/text_parts.h"
#include "tools/out/units.h"

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
			"  the kernel killed in this cgroup for want of memory: %s%s", times,
			killed_whom(report));
}

/* What the limit counts: this process is but a part of it. */
static void
print_fullest(const struct vmt_report *report, const struct vmt_text_options *options)
{
	uint64_t all = report->cgroup.fullest.bytes;
	uint64_t anonymous = report->cgroup.fullest.anonymous_bytes;
	uint64_t file = report->cgroup.fullest.file_bytes;
	uint64_t known = anonymous + file;
	char figures[5][VMT_UNITS_BYTES];
	char when[VMT_UNITS_BYTES];
	char text[512];
	int64_t time_ns = report->cgroup.fullest.time_ns;

	if (all == VMT_FIGURE_UNKNOWN || all == 0 || anonymous == VMT_FIGURE_UNKNOWN ||
	    file == VMT_FIGURE_UNKNOWN)
		return;
	snprintf(
	    text, sizeof(text),
	    "  of it in use %s at %s, the most seen: %s anonymous memory of all its processes, "
	    "%s page cache and tmpfs, %s kernel and other; RSS of this process then %s",
	    vmt_units_bytes(figures[0], all),
	    vmt_units_duration(when, time_ns > 0 ? (uint64_t)time_ns : 0),
	    vmt_units_bytes(figures[1], anonymous), vmt_units_bytes(figures[2], file),
	    vmt_units_bytes(figures[3], all > known ? all - known : 0),
	    vmt_units_bytes(figures[4], report->cgroup.fullest.process_rss_bytes));
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
			: report->cgroup.peak_sampled ? ", most that was seen in use "
						      : ", used at most ",
			has_peak ? vmt_units_bytes(peak, report->cgroup.peak_bytes) : "");
	print_fullest(report, options);
	if (report->cgroup.oom_kills && report->cgroup.oom_kills != VMT_FIGURE_UNKNOWN)
		print_kills(report, options);
}
