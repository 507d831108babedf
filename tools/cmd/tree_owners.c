#include "tools/cmd/tree_owners.h"

#include "base/ticks.h"
#include "tools/model/report/report_build.h"
#include "tools/model/tree/tree_lend.h"
#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/headline_owners.h"

#include <stdlib.h>
#include <string.h>

/* Rows of what one process inherited, and the least part of it that is a row. */
#define MOST_ROWS 3u
#define LEAST_PART 100u
/* Parents, grandparents ... */
#define MOST_STEPS 8u
#define CPU_NS UINT64_C(5000000000)

/* The snapshot of a process at the moment of its tree. */
static bool
decode(const struct vmt_tree_process *process, struct vmt_snapshot *snapshot)
{
	const struct vmt_trace_chunk *chunks;
	struct vmt_err err = {""};
	struct vmt_trace *trace;
	size_t count;
	bool done;

	if (vmt_trace_open(&trace, process->path, &err) < 0)
		return false;
	chunks = vmt_trace_chunks(trace, &count);
	done = vmt_trace_head(trace)->random_id == process->random_id && process->chunk < count &&
	       chunks[process->chunk].header.kind == VMT_CHUNK_SNAPSHOT &&
	       vmt_snapshot_decode(snapshot, trace, &chunks[process->chunk], &err) == 0;
	vmt_trace_close(trace);
	return done;
}

/* A report of a trace, about a snapshot that is moved out. NULL: there is none. */
static struct vmt_report *
build(const struct vmt_tree_process *process, struct vmt_snapshot *snapshot, uint32_t child,
      struct vmt_tree_ranges *inherited, const char *sysroot)
{
	struct vmt_report_options options = {.symbols = true,
					     .sysroot = sysroot,
					     .cpu_ns = CPU_NS,
					     .lent = snapshot,
					     .lent_to = child,
					     .inherited = vmt_tree_lend_add,
					     .inherited_context = inherited};
	struct vmt_report *report = NULL;
	struct vmt_err err = {""};

	(void)vmt_report_build(&report, process->path, &options, &err);
	vmt_snapshot_decode_free(snapshot);
	return report;
}

static char *
owner_text(const struct vmt_report *report)
{
	char text[1024] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	vmt_headline_say_owner(&sentence, report);
	return *text ? strdup(text) : NULL;
}

static int
by_bytes(const void *left, const void *right)
{
	const struct vmt_tree_inherited *a = left;
	const struct vmt_tree_inherited *b = right;

	return (a->committed_bytes < b->committed_bytes) -
	       (a->committed_bytes > b->committed_bytes);
}

/* A row for what is worth one, until there is no memory. */
static void
add_row(struct vmt_tree_process *process, const struct vmt_tree_inherited *row, const char *call)
{
	struct vmt_tree_inherited *rows =
	    reallocarray(process->inherited, process->inherited_count + 1, sizeof(*rows));

	if (!rows)
		return;
	process->inherited = rows;
	rows[process->inherited_count] = *row;
	rows[process->inherited_count].call = strdup(call);
	process->inherited_count += rows[process->inherited_count].call != NULL;
}

static bool
is_of(const struct vmt_site *site, const char *class)
{
	return site->class && strcmp(site->class, class) == 0;
}

static bool
is_inherited(const char *class)
{
	return strcmp(class, vmt_classes_name(VMT_CLASS_INHERITED)) == 0;
}

/* Call sites, and of each class what no call site has; what was inherited before is explained by
 * the next trace. */
static void
add_rows(struct vmt_tree_process *process, size_t from, const struct vmt_report *report,
	 const struct vmt_site *sites, size_t site_count)
{
	uint64_t least_bytes = process->at.rss_bytes / LEAST_PART;
	char name[512];

	for (size_t i = 0; i < report->class_count; i++) {
		const struct vmt_class *class = &report->classes[i];
		struct vmt_tree_inherited row = {.from = from,
						 .committed_bytes = class->committed_bytes};

		for (size_t j = 0; j < site_count; j++)
			if (is_of(&sites[j], class->name))
				row.committed_bytes -=
				    sites[j].committed_bytes < row.committed_bytes
					? sites[j].committed_bytes
					: row.committed_bytes;
		if (row.committed_bytes > least_bytes && !is_inherited(class->name))
			add_row(process, &row, class->name);
	}
	for (size_t j = 0; j < site_count; j++) {
		struct vmt_tree_inherited row = {.from = from,
						 .committed_bytes = sites[j].committed_bytes,
						 .is_estimate = sites[j].estimate};

		if (row.committed_bytes > least_bytes && sites[j].stack.count > 0)
			add_row(process, &row,
				vmt_frame_text_owner(&sites[j].stack, name, sizeof(name)));
	}
}

static void
keep_largest(struct vmt_tree_process *process)
{
	if (process->inherited_count > 1)
		qsort(process->inherited, process->inherited_count, sizeof(*process->inherited),
		      by_bytes);
	while (process->inherited_count > MOST_ROWS)
		free(process->inherited[--process->inherited_count].call);
}

/* One step up: what of a snapshot lies in the ranges, by the trace of the one that forked. *ranges
 * is then what that one inherited itself. */
static void
explain_by(struct vmt_tree *tree, struct vmt_tree_process *process,
	   const struct vmt_tree_process *child, const struct vmt_snapshot *snapshot,
	   struct vmt_tree_ranges *ranges, const char *sysroot)
{
	const struct vmt_tree_process *parent = &tree->processes[child->parent];
	struct vmt_tree_ranges higher = {.count = 0};
	struct vmt_snapshot kept;
	struct vmt_report *report;
	struct vmt_site *sites;
	size_t count;

	if (vmt_tree_lend_keep(&kept, snapshot, ranges) == 0) {
		kept.head.time = child->start_time;
		report = build(parent, &kept, child->pid, &higher, sysroot);
		sites = report ? vmt_group_rows_merge(report, 0, &count) : NULL;
		if (sites)
			add_rows(process, child->parent, report, sites, count);
		free(sites);
		vmt_report_free(report);
	}
	free(ranges->all);
	*ranges = higher;
}

static void
explain_inherited(struct vmt_tree *tree, struct vmt_tree_process *process,
		  struct vmt_tree_ranges *ranges, const char *sysroot)
{
	const struct vmt_tree_process *child = process;
	struct vmt_snapshot snapshot;

	if (ranges->count == 0 || child->origin != VMT_TREE_FORK || !decode(process, &snapshot))
		return;
	for (unsigned i = 0; i < MOST_STEPS && ranges->count > 0; i++) {
		if (child->origin != VMT_TREE_FORK ||
		    child->clock != tree->processes[child->parent].clock)
			break;
		explain_by(tree, process, child, &snapshot, ranges, sysroot);
		child = &tree->processes[child->parent];
	}
	vmt_snapshot_decode_free(&snapshot);
	keep_largest(process);
}

static void
find_owner(struct vmt_tree *tree, struct vmt_tree_process *process, const char *sysroot)
{
	struct vmt_tree_ranges inherited = {.count = 0};
	struct vmt_snapshot snapshot;
	struct vmt_report *report;

	if (!decode(process, &snapshot))
		return;
	report = build(process, &snapshot, 0, &inherited, sysroot);
	if (report)
		process->owner = owner_text(report);
	vmt_report_free(report);
	explain_inherited(tree, process, &inherited, sysroot);
	free(inherited.all);
}

void
vmt_tree_owners_find(struct vmt_tree *tree, size_t most, uint64_t limit_ns, const char *sysroot)
{
	uint64_t until_ns = vmt_ticks_monotonic_ns() + limit_ns;

	for (size_t i = 0; i < tree->group_count && most > 0; i++) {
		struct vmt_tree_process *process = &tree->processes[tree->groups[i].largest];

		if (!process->has_snapshot)
			continue;
		if (vmt_ticks_monotonic_ns() >= until_ns)
			break;
		find_owner(tree, process, sysroot);
		most--;
	}
}
