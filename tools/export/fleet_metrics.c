#include "tools/export/fleet_metrics.h"

#include "tools/export/metric_label.h"
#include "tools/hash_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define OTHER "other"

struct class_sum {
	const char *name;
	uint64_t reserved_bytes;
	uint64_t committed_bytes;
	uint64_t swapped_bytes;
	uint64_t never_touched_bytes;
};

/* What the processes of one program have together, or one process. */
struct program {
	UT_hash_handle hh;
	struct class_sum classes[VMT_CLASSES];
	size_t class_count;
	uint64_t processes;
	uint64_t rss_bytes;
	uint64_t swapped_bytes;
	uint64_t events;
	uint64_t events_lost;
	uint64_t snapshot_age_ns; /* of the oldest */
	uint32_t pid;
	char *exe;
	char key[]; /* the label exe, and the pid where that is one */
};

struct vmt_fleet {
	struct program *programs;
	uint64_t unlisted;
	uint64_t unread;
	uint64_t left_out;
	bool by_pid;
};

struct vmt_fleet *
vmt_fleet_new(bool by_pid)
{
	struct vmt_fleet *fleet = calloc(1, sizeof(*fleet));

	if (fleet)
		fleet->by_pid = by_pid;
	return fleet;
}

static void
free_program(struct program *program)
{
	free(program->exe);
	free(program);
}

void
vmt_fleet_free(struct vmt_fleet *fleet)
{
	if (!fleet)
		return;
	VMT_HASH_TABLE_FREE(struct program, fleet->programs, free_program);
	free(fleet);
}

void
vmt_fleet_set_running(struct vmt_fleet *fleet, size_t processes)
{
	fleet->unlisted =
	    processes > VMT_FLEET_MOST_TARGETS ? processes - VMT_FLEET_MOST_TARGETS : 0;
}

void
vmt_fleet_set_left_out(struct vmt_fleet *fleet, size_t traces)
{
	fleet->left_out = traces;
}

void
vmt_fleet_add_unread(struct vmt_fleet *fleet)
{
	fleet->unread++;
}

/* NULL: no memory. */
static struct program *
new_program(const char *exe, uint32_t pid, const char *key)
{
	size_t bytes = strlen(key) + 1;
	struct program *program = calloc(1, sizeof(*program) + bytes);

	if (!program)
		return NULL;
	memcpy(program->key, key, bytes);
	program->pid = pid;
	program->exe = strdup(exe);
	if (program->exe)
		return program;
	free(program);
	return NULL;
}

static struct program *
program_of(struct vmt_fleet *fleet, const char *exe, uint32_t pid)
{
	char key[VMT_METRIC_LABEL_BYTES + 16];
	char label[VMT_METRIC_LABEL_BYTES];
	struct program *found;

	snprintf(key, sizeof(key), "%s\n%" PRIu32, vmt_metric_label(label, exe),
		 fleet->by_pid ? pid : 0);
	HASH_FIND_STR(fleet->programs, key, found);
	if (found)
		return found;
	found = new_program(exe, pid, key);
	if (!found)
		return NULL;
	HASH_ADD_STR(fleet->programs, key, found);
	if (found->hh.tbl)
		return found;
	free_program(found);
	return NULL;
}

static struct class_sum *
class_of(struct program *program, const char *name)
{
	for (size_t i = 0; i < program->class_count; i++)
		if (strcmp(program->classes[i].name, name) == 0)
			return &program->classes[i];
	if (program->class_count == VMT_CLASSES)
		return NULL;
	program->classes[program->class_count].name = name;
	return &program->classes[program->class_count++];
}

static void
add_class(struct program *program, const struct class_sum *add)
{
	struct class_sum *sum = class_of(program, add->name);

	if (!sum)
		return;
	sum->reserved_bytes += add->reserved_bytes;
	sum->committed_bytes += add->committed_bytes;
	sum->swapped_bytes += add->swapped_bytes;
	sum->never_touched_bytes += add->never_touched_bytes;
}

static uint64_t
age_of(const struct vmt_report *report, uint64_t now_unix_ns)
{
	uint64_t taken_ns = report->process.start_unix_ns + (uint64_t)report->snapshot.time_ns;

	return now_unix_ns > taken_ns ? now_unix_ns - taken_ns : 0;
}

bool
vmt_fleet_add(struct vmt_fleet *fleet, const struct vmt_report *report, uint64_t now_unix_ns)
{
	const char *exe = report->process.exe ? report->process.exe : "";
	struct program *program = program_of(fleet, exe, report->process.pid);
	uint64_t age_ns;

	if (!program)
		return false;
	program->processes++;
	program->events += report->loss.events;
	program->events_lost += report->loss.events_dropped + report->loss.events_overwritten +
				report->loss.events_missing;
	if (!report->snapshot.taken)
		return true;
	program->rss_bytes += report->snapshot.rss_bytes;
	program->swapped_bytes += report->snapshot.swap_bytes;
	age_ns = age_of(report, now_unix_ns);
	if (age_ns > program->snapshot_age_ns)
		program->snapshot_age_ns = age_ns;
	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *class = &report->classes[i];
		const struct class_sum add = {class->name, class->reserved_bytes,
					      class->committed_bytes, class->swapped_bytes,
					      class->never_touched_bytes};

		add_class(program, &add);
	}
	return true;
}

/* Larger ones first; equal ones by their names, so that the order is always the same. */
static int
by_rss(const struct program *left, const struct program *right)
{
	if (left->rss_bytes != right->rss_bytes)
		return left->rss_bytes > right->rss_bytes ? -1 : 1;
	return strcmp(left->key, right->key);
}

static void
join(struct program *sum, const struct program *add)
{
	sum->processes += add->processes;
	sum->rss_bytes += add->rss_bytes;
	sum->swapped_bytes += add->swapped_bytes;
	sum->events += add->events;
	sum->events_lost += add->events_lost;
	if (add->snapshot_age_ns > sum->snapshot_age_ns)
		sum->snapshot_age_ns = add->snapshot_age_ns;
	for (size_t i = 0; i < add->class_count; i++)
		add_class(sum, &add->classes[i]);
}

/* The smallest beyond the most become one. false: no memory. */
static bool
join_small_ones(struct vmt_fleet *fleet)
{
	struct program *program, *next;
	struct program *other;
	unsigned int kept = 0;

	HASH_SORT(fleet->programs, by_rss);
	if (HASH_COUNT(fleet->programs) <= VMT_FLEET_MOST_SERIES)
		return true;
	other = program_of(fleet, OTHER, 0);
	if (!other)
		return false;
	HASH_ITER(hh, fleet->programs, program, next)
	{
		if (program == other || kept++ < VMT_FLEET_MOST_SERIES)
			continue;
		join(other, program);
		HASH_DEL(fleet->programs, program);
		free_program(program);
	}
	return true;
}

struct writer {
	const struct vmt_fleet *fleet;
	FILE *out;
};

static void
begin(const struct writer *writer, const char *name, const char *type, const char *unit,
      const char *help)
{
	fprintf(writer->out, "# TYPE %s %s\n", name, type);
	if (unit)
		fprintf(writer->out, "# UNIT %s %s\n", name, unit);
	fprintf(writer->out, "# HELP %s %s\n", name, help);
}

static void
begin_row(const struct writer *writer, const char *name, const struct program *program,
	  const char *class)
{
	char text[VMT_METRIC_LABEL_BYTES];

	fprintf(writer->out, "%s{exe=\"%s\"", name, vmt_metric_label(text, program->exe));
	if (writer->fleet->by_pid && program->pid != 0)
		fprintf(writer->out, ",pid=\"%" PRIu32 "\"", program->pid);
	if (class)
		fprintf(writer->out, ",class=\"%s\"", vmt_metric_label(text, class));
	fputs("} ", writer->out);
}

/* A figure of every program: offset is its place in struct program. */
static void
put_programs(const struct writer *writer, const char *name, size_t offset)
{
	const struct program *program;
	uint64_t value;

	for (program = writer->fleet->programs; program; program = program->hh.next) {
		memcpy(&value, (const char *)program + offset, sizeof(value));
		begin_row(writer, name, program, NULL);
		fprintf(writer->out, "%" PRIu64 "\n", value);
	}
}

static void
put_ages(const struct writer *writer)
{
	static const char *const name = "vmtrace_snapshot_age_seconds";
	const struct program *program;

	begin(writer, name, "gauge", "seconds",
	      "How old the figures of memory are: the oldest snapshot that is in them.");
	for (program = writer->fleet->programs; program; program = program->hh.next) {
		begin_row(writer, name, program, NULL);
		fprintf(writer->out, "%" PRIu64 ".%09" PRIu64 "\n",
			program->snapshot_age_ns / NS_PER_SECOND,
			program->snapshot_age_ns % NS_PER_SECOND);
	}
}

/* A figure of every class of every program: offset is its place in struct class_sum. */
static void
put_classes(const struct writer *writer, const char *name, const char *help, size_t offset)
{
	const struct program *program;
	uint64_t value;

	begin(writer, name, "gauge", "bytes", help);
	for (program = writer->fleet->programs; program; program = program->hh.next)
		for (size_t i = 0; i < program->class_count; i++) {
			memcpy(&value, (const char *)&program->classes[i] + offset, sizeof(value));
			begin_row(writer, name, program, program->classes[i].name);
			fprintf(writer->out, "%" PRIu64 "\n", value);
		}
}

static void
put_memory(const struct writer *writer)
{
	begin(writer, "vmtrace_rss_bytes", "gauge", "bytes", "Resident memory.");
	put_programs(writer, "vmtrace_rss_bytes", offsetof(struct program, rss_bytes));
	begin(writer, "vmtrace_swap_bytes", "gauge", "bytes", "Swapped memory.");
	put_programs(writer, "vmtrace_swap_bytes", offsetof(struct program, swapped_bytes));
	put_classes(writer, "vmtrace_reserved_bytes", "Address space of a class.",
		    offsetof(struct class_sum, reserved_bytes));
	put_classes(writer, "vmtrace_committed_bytes",
		    "Resident memory of a class: all classes add up to vmtrace_rss_bytes.",
		    offsetof(struct class_sum, committed_bytes));
	put_classes(writer, "vmtrace_swapped_bytes", "Swapped memory of a class.",
		    offsetof(struct class_sum, swapped_bytes));
	put_classes(writer, "vmtrace_never_touched_bytes",
		    "Private memory of a class that surely never had a page.",
		    offsetof(struct class_sum, never_touched_bytes));
	put_ages(writer);
}

static void
put_recording(const struct writer *writer)
{
	begin(writer, "vmtrace_processes", "gauge", NULL, "Processes that are recorded now.");
	put_programs(writer, "vmtrace_processes", offsetof(struct program, processes));
	begin(writer, "vmtrace_events", "counter", NULL,
	      "Events recorded by the processes that run now.");
	put_programs(writer, "vmtrace_events_total", offsetof(struct program, events));
	begin(writer, "vmtrace_events_dropped", "counter", NULL,
	      "Events that these have lost: figures are off by that much.");
	put_programs(writer, "vmtrace_events_dropped_total", offsetof(struct program, events_lost));
	begin(writer, "vmtrace_unread_traces", "gauge", NULL,
	      "Traces that could not be read: their processes are in no figure.");
	fprintf(writer->out, "vmtrace_unread_traces %" PRIu64 "\n", writer->fleet->unread);
	begin(writer, "vmtrace_quarantined_traces", "gauge", NULL,
	      "Unread traces that are left out for a while: who read them was lost.");
	fprintf(writer->out, "vmtrace_quarantined_traces %" PRIu64 "\n", writer->fleet->left_out);
	begin(writer, "vmtrace_unlisted_processes", "gauge", NULL,
	      "Running processes beyond those that /sd names.");
	fprintf(writer->out, "vmtrace_unlisted_processes %" PRIu64 "\n", writer->fleet->unlisted);
	begin(writer, "vmtrace_answer_age_seconds", "gauge", "seconds",
	      "How long ago this answer was made; 0: 5 seconds at most. All ages in it are of "
	      "while it was made.");
}

int
vmt_fleet_write(struct vmt_fleet *fleet, FILE *out, struct vmt_err *err)
{
	const struct writer writer = {fleet, out};

	if (!join_small_ones(fleet))
		return vmt_err_set(err, ENOMEM, "not enough memory for the metrics");
	put_memory(&writer);
	put_recording(&writer);
	fputs(VMT_FLEET_END, out);
	return 0;
}
