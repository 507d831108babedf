#include "tools/export/openmetrics.h"

#include "tools/export/metric_label.h"

#include <inttypes.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)

struct writer {
	FILE *out;
	char exe[VMT_METRIC_LABEL_BYTES];
};

/* unit: the last word of the name, or NULL. */
static void
begin(struct writer *writer, const char *name, const char *unit, const char *help)
{
	fprintf(writer->out, "# TYPE %s gauge\n", name);
	if (unit)
		fprintf(writer->out, "# UNIT %s %s\n", name, unit);
	fprintf(writer->out, "# HELP %s %s\n", name, help);
}

static void
put_one(struct writer *writer, const char *name, const char *unit, const char *help, uint64_t value)
{
	begin(writer, name, unit, help);
	fprintf(writer->out, "%s{exe=\"%s\"} %" PRIu64 "\n", name, writer->exe, value);
}

static void
put_known(struct writer *writer, const char *name, const char *unit, const char *help,
	  uint64_t value)
{
	if (value != VMT_FIGURE_UNKNOWN)
		put_one(writer, name, unit, help, value);
}

static void
put_seconds(struct writer *writer, const char *name, const char *help, uint64_t time_ns)
{
	begin(writer, name, "seconds", help);
	fprintf(writer->out, "%s{exe=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", name, writer->exe,
		time_ns / NS_PER_SECOND, time_ns % NS_PER_SECOND);
}

static void
put_process(struct writer *writer, const struct vmt_report *report)
{
	char title[VMT_METRIC_LABEL_BYTES];

	begin(writer, "vmtrace_process_info", NULL, "The recorded process; 1.");
	fprintf(
	    writer->out,
	    "vmtrace_process_info{exe=\"%s\",pid=\"%" PRIu32 "\",command=\"%s\",end=\"%s\"} 1\n",
	    writer->exe, report->process.pid, vmt_metric_label(title, vmt_report_command(report)),
	    vmt_report_is_oom(report) ? "oom" : report->process.end);
	put_seconds(writer, "vmtrace_start_timestamp_seconds",
		    "When the recording began, since 1970.", report->process.start_unix_ns);
	put_seconds(writer, "vmtrace_duration_seconds", "How long it was recorded.",
		    report->process.duration_ns);
}

/* A figure of every class. */
static void
put_classes(struct writer *writer, const struct vmt_report *report, const char *name,
	    const char *help, size_t offset)
{
	begin(writer, name, "bytes", help);
	for (size_t i = 0; i < report->class_count; i++) {
		char class[VMT_METRIC_LABEL_BYTES];
		uint64_t bytes;

		memcpy(&bytes, (const char *)&report->classes[i] + offset, sizeof(bytes));
		fprintf(writer->out, "%s{exe=\"%s\",class=\"%s\"} %" PRIu64 "\n", name, writer->exe,
			vmt_metric_label(class, report->classes[i].name), bytes);
	}
}

#define PUT_CLASSES(writer, report, figure, help)                                                  \
	put_classes(writer, report, "vmtrace_" #figure, help, offsetof(struct vmt_class, figure))

static void
put_memory(struct writer *writer, const struct vmt_report *report)
{
	uint64_t time_ns = report->snapshot.time_ns > 0 ? (uint64_t)report->snapshot.time_ns : 0;

	put_seconds(writer, "vmtrace_snapshot_timestamp_seconds",
		    "When memory was as these metrics say, since 1970.",
		    report->process.start_unix_ns + time_ns);
	put_one(writer, "vmtrace_rss_bytes", "bytes", "Resident memory.",
		report->snapshot.rss_bytes);
	put_one(writer, "vmtrace_peak_rss_bytes", "bytes", "The largest RSS.",
		vmt_report_peak_bytes(report));
	put_one(writer, "vmtrace_virtual_bytes", "bytes", "Reserved address space.",
		report->snapshot.virtual_bytes);
	put_one(writer, "vmtrace_swap_bytes", "bytes", "Swapped memory.",
		report->snapshot.swap_bytes);
	PUT_CLASSES(writer, report, reserved_bytes, "Address space of a class.");
	PUT_CLASSES(writer, report, committed_bytes,
		    "Resident memory of a class: all classes add up to vmtrace_rss_bytes.");
	PUT_CLASSES(writer, report, swapped_bytes, "Swapped memory of a class.");
	PUT_CLASSES(writer, report, never_touched_bytes,
		    "Private memory of a class that surely never had a page.");
}

static void
put_cgroup(struct writer *writer, const struct vmt_report *report)
{
	put_known(writer, "vmtrace_cgroup_limit_bytes", "bytes",
		  "The lowest memory limit of the process's cgroups.", report->cgroup.limit_bytes);
	put_known(writer, "vmtrace_cgroup_peak_bytes", "bytes",
		  "The most that this cgroup had in use.", report->cgroup.peak_bytes);
}

static void
put_recording(struct writer *writer, const struct vmt_report *report)
{
	put_one(writer, "vmtrace_recorded_events", NULL, "Events of the trace.",
		report->loss.events);
	put_one(writer, "vmtrace_lost_events", NULL,
		"Events that were lost: figures are off by that much.",
		report->loss.events_dropped + report->loss.events_overwritten +
		    report->loss.events_missing);
}

int
vmt_openmetrics_write(const struct vmt_report *report, FILE *out, struct vmt_err *err)
{
	struct writer writer = {.out = out};

	(void)err;
	vmt_metric_label(writer.exe, report->process.exe);
	put_process(&writer, report);
	if (report->snapshot.taken)
		put_memory(&writer, report);
	put_cgroup(&writer, report);
	put_recording(&writer, report);
	fputs("# EOF\n", out);
	return 0;
}
