#include "tools/model/report/report_draft.h"

#include "tools/read/symbols/jit_names.h"
#include "tools/read/symbols/run_times.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* One part in so many of what all call sites have: less is not worth a line. */
#define WORTH_A_LINE 100u

int
vmt_report_compiled_open(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	int status = 0;

	for (size_t i = 0; i < count && !status; i++) {
		const unsigned char *bytes;
		size_t length;

		if (chunks[i].header.kind != VMT_CHUNK_JIT)
			continue;
		status = vmt_trace_payload(draft->trace, &chunks[i], &bytes, &length, err);
		if (status)
			return status;
		if (!draft->compiled)
			draft->compiled = vmt_jit_names_new();
		status =
		    draft->compiled ? vmt_jit_names_read(draft->compiled, bytes, length) : -ENOMEM;
	}
	if (!status && draft->compiled)
		status = vmt_jit_names_settle(draft->compiled);
	if (status)
		return vmt_report_draft_no_memory(err, path);
	if (draft->compiled)
		draft->report.compiled.functions = vmt_jit_names_count(draft->compiled);
	return 0;
}

static uint32_t
version_at(void *names, uint64_t address)
{
	return vmt_jit_names_version(names, address);
}

void
vmt_report_compiled_watch(struct vmt_report_draft *draft)
{
	if (draft->compiled && draft->options->symbols)
		vmt_module_history_set_compiled(
		    draft->replay->history,
		    &(struct vmt_compiled_source){version_at, draft->compiled});
}

void
vmt_report_compiled_reach(struct vmt_report_draft *draft, uint64_t time)
{
	if (draft->compiled && vmt_jit_names_reach(draft->compiled, time))
		vmt_module_history_changed(draft->replay->history);
}

static bool
is_nameless(const struct vmt_site *site, const struct vmt_run_time *run_time)
{
	for (size_t i = 0; i < site->stack.count; i++) {
		const struct vmt_frame *frame = &site->stack.frames[i];

		if (!frame->module && !frame->function)
			return true;
		if (run_time->frame && frame->function &&
		    strncmp(frame->function, run_time->frame, strlen(run_time->frame)) == 0)
			return true;
	}
	return false;
}

/* Whether call sites with such frames have much of the memory: in RAM, or else reserved. */
static bool
matters(const struct vmt_report *report, const struct vmt_run_time *run_time)
{
	double all[2] = {0, 0};
	double nameless[2] = {0, 0};

	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];
		double share = is_nameless(site, run_time) ? 1 : 0;

		all[0] += (double)site->committed_bytes;
		all[1] += (double)site->total_reserved_bytes;
		nameless[0] += share * (double)site->committed_bytes;
		nameless[1] += share * (double)site->total_reserved_bytes;
	}
	return (nameless[0] > 0 && nameless[0] * WORTH_A_LINE >= all[0]) ||
	       (nameless[1] > 0 && nameless[1] * WORTH_A_LINE >= all[1]);
}

int
vmt_report_compiled_cover(struct vmt_report_draft *draft)
{
	const struct vmt_run_time *run_time = vmt_run_times_of(draft->report.process.exe);
	int status = 0;

	if (!draft->options->symbols)
		return 0;
	if (draft->report.compiled.functions == 0 && run_time && matters(&draft->report, run_time))
		status = vmt_report_coverage_add(draft, "%s have no names here: %s",
						 run_time->functions, run_time->remedy);
	if (!status && draft->compiled && vmt_jit_names_is_cut(draft->compiled))
		status = vmt_report_coverage_add(
		    draft, "the program wrote down more compiled functions in /tmp/perf-PID.map "
			   "than a trace keeps: later ones have no names");
	if (!status && draft->report.compiled.reused)
		status = vmt_report_coverage_add(
		    draft,
		    "addresses of compiled code of which it is not known which of several "
		    "functions was there: %" PRIu64 ". The last one that the program's map had "
		    "soon after is named, \"(or other code)\" stands with it",
		    draft->report.compiled.reused);
	return status;
}
