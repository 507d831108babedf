#include "format/chunk.h"
#include "format/head.h"
#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROWN_SHOWN 3u
/* A cgroup filled to this part has reached its limit as far as a sample can tell. */
#define NEAR_PARTS(limit) ((limit) - (limit) / 8)

static bool
is_end(const struct vmt_report *report, const char *end)
{
	return strcmp(report->process.end, end) == 0;
}

static bool
is_known(uint64_t figure)
{
	return figure != VMT_FIGURE_UNKNOWN && figure != 0;
}

static bool
was_near_limit(const struct vmt_report *report)
{
	uint64_t used = is_known(report->cgroup.last_bytes) ? report->cgroup.last_bytes : 0;

	if (report->snapshot.rss_bytes > used)
		used = report->snapshot.rss_bytes;
	if (report->rss_count > 0 && report->rss[report->rss_count - 1].rss_bytes > used)
		used = report->rss[report->rss_count - 1].rss_bytes;
	return is_known(report->cgroup.limit_bytes) &&
	       used >= NEAR_PARTS(report->cgroup.limit_bytes);
}

static void
write_signal(const struct vmt_report *report, char *text, size_t text_bytes)
{
	const char *name = sigabbrev_np(report->process.end_status);
	char limit[VMT_UNITS_BYTES];

	if (vmt_report_is_oom(report) && is_known(report->cgroup.limit_bytes))
		snprintf(text, text_bytes,
			 "killed by the OOM killer: its cgroup had reached its limit of %s",
			 vmt_units_bytes(limit, report->cgroup.limit_bytes));
	else if (vmt_report_is_oom(report))
		snprintf(text, text_bytes, "killed by the OOM killer");
	else
		snprintf(text, text_bytes, "ended by signal %d%s%s%s", report->process.end_status,
			 name ? " (SIG" : "", name ? name : "", name ? ")" : "");
}

/* What the memory cgroup lets one think. */
static void
write_suspicion(const struct vmt_report *report, char *text, size_t text_bytes)
{
	char limit[VMT_UNITS_BYTES];
	char used[VMT_UNITS_BYTES];

	if (is_known(report->cgroup.oom_kills) && is_known(report->cgroup.limit_bytes))
		snprintf(
		    text, text_bytes,
		    "; the OOM killer killed in its cgroup (limit %s): most likely this process",
		    vmt_units_bytes(limit, report->cgroup.limit_bytes));
	else if (was_near_limit(report))
		snprintf(text, text_bytes,
			 "; its cgroup was near its limit of %s: an OOM kill is likely",
			 vmt_units_bytes(limit, report->cgroup.limit_bytes));
	else if (is_known(report->cgroup.limit_bytes) && is_known(report->cgroup.last_bytes))
		snprintf(text, text_bytes,
			 "; its cgroup had %s of its limit of %s in use when last read",
			 vmt_units_bytes(used, report->cgroup.last_bytes),
			 vmt_units_bytes(limit, report->cgroup.limit_bytes));
	else if (!report->cgroup.is_read)
		snprintf(text, text_bytes,
			 "; its memory cgroup could not be read: whether it was full is not known");
}

/* Why the trace just stops. */
static const char *
cut_cause(const struct vmt_report *report)
{
	if (report->process.end_seen)
		return "exit status unknown: only its parent could read it";
	if (report->process.not_in_proc)
		return "cut: not in the collector's /proc; whether it ended is not in the trace";
	if (report->process.hidden)
		return "cut: its collector is gone; whether it was killed or runs on is not seen: "
		       "/proc hides who has its number (hidepid=)";
	if (report->process.other_pid_namespace)
		return "cut: its collector is gone; whether it was killed or runs on is not seen "
		       "from this pid namespace";
	return "cut: most likely killed; no collector was left to record the cause";
}

static void
write_cut(const struct vmt_report *report, char *text, size_t text_bytes)
{
	char when[VMT_UNITS_BYTES];
	int64_t last_ns = report->process.last_event_ns;
	int used = snprintf(text, text_bytes, "%s; ", cut_cause(report));

	if (report->loss.events > 0)
		used += snprintf(text + used, text_bytes - (size_t)used, "last event at %s",
				 vmt_units_duration(when, last_ns > 0 ? (uint64_t)last_ns : 0));
	else
		used += snprintf(text + used, text_bytes - (size_t)used, "no event");
	write_suspicion(report, text + used, text_bytes - (size_t)used);
}

static void
write_running(const struct vmt_report *report, char *text, size_t text_bytes)
{
	char when[VMT_UNITS_BYTES];
	int64_t until_ns = report->process.collected_until_ns;

	if (report->process.uncollected && until_ns <= 0)
		snprintf(text, text_bytes, "still running, but no collector has looked at it");
	else if (report->process.uncollected)
		snprintf(text, text_bytes,
			 "still running, but not looked at since %s: its collector is gone, or "
			 "does not answer",
			 vmt_units_duration(when, (uint64_t)until_ns));
	else
		snprintf(text, text_bytes, "still running when the trace ends");
}

void
vmt_text_end(const struct vmt_report *report, char *text, size_t text_bytes)
{
	if (is_end(report, "exit") && report->process.end_status == VMT_STATUS_UNKNOWN)
		snprintf(text, text_bytes, "exited; its status is not in the trace");
	else if (is_end(report, "exit"))
		snprintf(text, text_bytes, "exit status %d", report->process.end_status);
	else if (is_end(report, "signal"))
		write_signal(report, text, text_bytes);
	else if (is_end(report, "exec"))
		snprintf(text, text_bytes, "replaced itself with another program (exec)");
	else if (is_end(report, "stopped") && report->process.end_status == VMT_STOP_OWN_TRACE)
		snprintf(text, text_bytes, "observed from outside until its own trace began");
	else if (is_end(report, "stopped") && report->process.end_status == VMT_STOP_SNAPSHOT)
		snprintf(text, text_bytes, "running then");
	else if (is_end(report, "stopped") && report->process.end_status == VMT_STOP_DETACHED)
		snprintf(text, text_bytes, "running on when vmtrace left it");
	else if (is_end(report, "stopped"))
		snprintf(text, text_bytes,
			 "recording stopped here: how the process ended is not in the trace");
	else if (is_end(report, "running"))
		write_running(report, text, text_bytes);
	else if (is_end(report, "ending") && report->process.hidden)
		snprintf(text, text_bytes,
			 "whether it runs is not seen: /proc hides who has its number (hidepid=); "
			 "its collector wrote a moment ago");
	else if (is_end(report, "ending"))
		snprintf(text, text_bytes,
			 "not seen here: it ended, or runs in another pid namespace; its collector "
			 "wrote a moment ago: run this again shortly");
	else
		write_cut(report, text, text_bytes);
}

static int
compare_growth(const void *left, const void *right)
{
	const struct vmt_site *a = left;
	const struct vmt_site *b = right;

	return a->grown_bytes == b->grown_bytes ? 0 : a->grown_bytes < b->grown_bytes ? 1 : -1;
}

static void
print_growth_title(const struct vmt_report *report, const struct vmt_text_options *options)
{
	int64_t from_ns = report->process.growth_from_ns;
	char from[VMT_UNITS_BYTES];
	char text[64];

	if (from_ns > 0)
		snprintf(text, sizeof(text), "What grew last, from %s on",
			 vmt_units_duration(from, (uint64_t)from_ns));
	vmt_text_sections_title(options, from_ns > 0 ? text : "What grew");
}

void
vmt_text_growth(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char figures[64];
	char grown[VMT_UNITS_BYTES];
	size_t count;
	struct vmt_site *sites;

	if (!is_end(report, "signal") && !is_end(report, "cut") && !is_end(report, "running"))
		return;
	sites = vmt_group_rows_merge(report, options->callers, &count);
	if (!sites)
		return;
	qsort(sites, count, sizeof(*sites), compare_growth);
	if (count > 0 && sites[0].grown_bytes > 0)
		print_growth_title(report, options);
	for (size_t i = 0; i < count && i < GROWN_SHOWN && sites[i].grown_bytes > 0; i++) {
		snprintf(figures, sizeof(figures), "%c%10s", sites[i].estimate ? '~' : ' ',
			 vmt_units_bytes(grown, sites[i].grown_bytes));
		vmt_text_sections_named(options, figures, sites[i].kind, &sites[i].stack);
	}
	free(sites);
}
