#include "tools/serve/kept_traces.h"

#include "tools/memory_limit.h"
#include "tools/model/report/report_build.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static const struct vmt_report_options options = {.at = VMT_AT_END, .no_growth = true};
static const struct vmt_report_options options_with_names = {
    .at = VMT_AT_END, .no_growth = true, .symbols = true};

struct kept {
	char *path;
	uint64_t random_id;
	struct vmt_live_report *live; /* NULL: it is too large to be kept */
	bool has_names;
};

struct vmt_kept_traces {
	uint64_t most_bytes;
	struct kept all[VMT_KEPT_TRACES_MOST];
	size_t count;
};

struct vmt_kept_traces *
vmt_kept_traces_new(uint64_t most_bytes)
{
	struct vmt_kept_traces *kept = calloc(1, sizeof(*kept));

	if (kept)
		kept->most_bytes = most_bytes;
	return kept;
}

static void
drop(struct vmt_kept_traces *kept, size_t at)
{
	vmt_live_report_close(kept->all[at].live);
	free(kept->all[at].path);
	kept->all[at] = kept->all[--kept->count];
}

void
vmt_kept_traces_free(struct vmt_kept_traces *kept)
{
	if (!kept)
		return;
	while (kept->count > 0)
		drop(kept, kept->count - 1);
	free(kept);
}

static bool
is_of(const struct kept *kept, const struct vmt_running_trace *trace)
{
	return kept->random_id == trace->random_id && strcmp(kept->path, trace->path) == 0;
}

static bool
is_among(const struct kept *kept, const struct vmt_running_traces *running)
{
	for (size_t i = 0; i < running->count; i++)
		if (is_of(kept, &running->all[i]))
			return true;
	return false;
}

void
vmt_kept_traces_drop_others(struct vmt_kept_traces *kept, const struct vmt_running_traces *running)
{
	size_t before = kept->count;

	for (size_t i = kept->count; i-- > 0;)
		if (!is_among(&kept->all[i], running))
			drop(kept, i);
	if (kept->count < before)
		malloc_trim(0);
}

static struct kept *
find(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace)
{
	for (size_t i = 0; i < kept->count; i++)
		if (is_of(&kept->all[i], trace))
			return &kept->all[i];
	return NULL;
}

static bool
begin(struct kept *one, bool symbols)
{
	struct vmt_err err = {""};

	vmt_live_report_close(one->live);
	one->live = NULL;
	one->has_names = symbols;
	return vmt_live_report_open(&one->live, one->path, symbols ? &options_with_names : &options,
				    &err) == 0;
}

/* NULL: there is no room. */
static struct kept *
add(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace, bool symbols)
{
	struct kept *one = &kept->all[kept->count];

	if (kept->count == VMT_KEPT_TRACES_MOST)
		return NULL;
	*one = (struct kept){.path = strdup(trace->path), .random_id = trace->random_id};
	if (!one->path || !begin(one, symbols)) {
		free(one->path);
		return NULL;
	}
	kept->count++;
	return one;
}

void
vmt_kept_traces_read(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace,
		     bool symbols)
{
	struct kept *one = find(kept, trace);
	struct vmt_err err = {""};

	if (!one)
		one = add(kept, trace, symbols);
	if (!one || !one->live)
		return;
	if ((symbols && !one->has_names && !begin(one, true)) ||
	    vmt_live_report_read(one->live, &err) < 0) {
		drop(kept, (size_t)(one - kept->all));
		return;
	}
	vmt_live_report_rest(one->live);
	if (vmt_memory_limit_present() <= kept->most_bytes)
		return;
	vmt_live_report_close(one->live);
	one->live = NULL;
	malloc_trim(0);
}

void
vmt_kept_traces_fork(struct vmt_kept_traces *kept, bool with_it)
{
	for (size_t i = 0; i < kept->count; i++)
		if (kept->all[i].live)
			vmt_live_report_fork(kept->all[i].live, with_it);
}

int
vmt_kept_traces_report(struct vmt_kept_traces *kept, const struct vmt_running_trace *trace,
		       bool symbols, struct vmt_kept_report *report, struct vmt_err *err)
{
	struct kept *one = find(kept, trace);
	int result;

	*report = (struct vmt_kept_report){.report = NULL};
	if (one && one->live) {
		report->live = one->live;
		one->live = NULL;
		return vmt_live_report_finish(report->live, symbols, &report->report, err);
	}
	result = vmt_report_build(&report->own, trace->path,
				  symbols ? &options_with_names : &options, err);
	report->report = report->own;
	return result;
}

void
vmt_kept_report_free(struct vmt_kept_report *report)
{
	vmt_live_report_close(report->live);
	vmt_report_free(report->own);
	*report = (struct vmt_kept_report){.report = NULL};
}

size_t
vmt_kept_traces_count(const struct vmt_kept_traces *kept)
{
	size_t count = 0;

	for (size_t i = 0; i < kept->count; i++)
		count += kept->all[i].live != NULL;
	return count;
}
