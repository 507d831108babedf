#include "tools/render/json_touch.h"

#include "format/chunk.h"
#include "tools/render/json_frames.h"

#include <string.h>

static void
print_figure(struct vmt_emitter *emitter, const char *key, uint64_t figure)
{
	if (figure == VMT_FIGURE_UNKNOWN)
		vmt_emitter_string(emitter, key, NULL);
	else
		vmt_emitter_u64(emitter, key, figure);
}

void
vmt_json_touch(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	if (!report->touch.asked) {
		vmt_emitter_string(emitter, "touch", NULL);
		return;
	}
	vmt_emitter_object(emitter, "touch");
	vmt_emitter_string(emitter, "source", "perf page faults");
	vmt_emitter_string(emitter, "refused",
			   report->touch.is_refused ? strerror(report->touch.refused_errno) : NULL);
	if (report->touch.has_begun)
		vmt_emitter_i64(emitter, "from_ns", report->touch.from_ns);
	else
		vmt_emitter_string(emitter, "from_ns", NULL);
	vmt_emitter_u64(emitter, "period", report->touch.period);
	vmt_emitter_u64(emitter, "least_period", report->touch.least_period);
	vmt_emitter_u64(emitter, "most_period", report->touch.most_period);
	vmt_emitter_bool(emitter, "period_raised", report->touch.is_raised);
	vmt_emitter_u64(emitter, "samples", report->touch.samples);
	vmt_emitter_u64(emitter, "lost", report->touch.samples_lost);
	vmt_emitter_u64(emitter, "skipped", report->touch.samples_skipped);
	vmt_emitter_u64(emitter, "pauses", report->touch.pauses);
	print_figure(emitter, "minor_faults", report->touch.minor_faults);
	print_figure(emitter, "major_faults", report->touch.major_faults);
	print_figure(emitter, "unsampled_faults", report->touch.unsampled_faults);
	vmt_emitter_bool(emitter, "kernel_faults", report->touch.kernel_faults);
	vmt_emitter_bool(emitter, "page_sizes", report->touch.page_sizes);
	vmt_emitter_bool(emitter, "threads_to_come", report->touch.threads_to_come);
	vmt_emitter_bool(emitter, "major_sampled", report->touch.major_sampled);
	vmt_emitter_object_end(emitter);
}

static void
print_reserved(struct vmt_emitter *emitter, const struct vmt_report *report,
	       const struct vmt_reserved_part *part)
{
	const struct vmt_site *site =
	    part->site < report->site_count ? &report->sites[part->site] : NULL;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "class", part->class);
	vmt_emitter_string(emitter, "kind", site ? site->kind : NULL);
	if (site)
		vmt_emitter_u64(emitter, "stack_id", site->stack_id);
	else
		vmt_emitter_string(emitter, "stack_id", NULL);
	vmt_emitter_u64(emitter, "committed_bytes", part->bytes);
	vmt_emitter_bool(emitter, "estimate", part->estimate);
	vmt_emitter_object_end(emitter);
}

void
vmt_json_touch_committers(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "committed_by");
	for (size_t i = 0; i < report->committer_count; i++) {
		const struct vmt_committer *row = &report->committers[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "evidence", row->evidence);
		vmt_emitter_u64(emitter, "committed_bytes", row->committed_bytes);
		vmt_emitter_bool(emitter, "estimate", row->estimate);
		vmt_emitter_u64(emitter, "samples", row->samples);
		vmt_emitter_u64(emitter, "samples_now", vmt_report_samples(row->samples_now));
		vmt_emitter_u64(emitter, "unshared_bytes", row->unshared_bytes);
		vmt_emitter_bool(emitter, "unshared_is_estimate", row->unshared_is_estimate);
		vmt_emitter_bool(emitter, "unshared_is_least", row->unshared_is_least);
		vmt_emitter_array(emitter, "reserved_by");
		for (size_t j = 0; j < row->reserved_by_count; j++)
			print_reserved(emitter, report, &row->reserved_by[j]);
		vmt_emitter_array_end(emitter);
		vmt_emitter_string(emitter, "stack_end", row->stack_end);
		vmt_json_frames_print(emitter, &row->stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_snapshot(struct vmt_emitter *emitter, const char *key, const char *time_key, bool known,
	       uint32_t index, int64_t time_ns)
{
	if (known) {
		vmt_emitter_u64(emitter, key, index);
		vmt_emitter_i64(emitter, time_key, time_ns);
	} else {
		vmt_emitter_string(emitter, key, NULL);
		vmt_emitter_string(emitter, time_key, NULL);
	}
}

static void
print_came_in(struct vmt_emitter *emitter, const struct vmt_came_in *came_in)
{
	if (came_in->bytes == 0) {
		vmt_emitter_string(emitter, "came_in", NULL);
		return;
	}
	vmt_emitter_object(emitter, "came_in");
	vmt_emitter_u64(emitter, "committed_bytes", came_in->bytes);
	vmt_emitter_bool(emitter, "estimate", came_in->estimate);
	print_snapshot(emitter, "after_snapshot", "after_ns", came_in->has_after, came_in->after,
		       came_in->after_ns);
	print_snapshot(emitter, "by_snapshot", "by_ns", true, came_in->by, came_in->by_ns);
	vmt_emitter_object_end(emitter);
}

void
vmt_json_touch_site(struct vmt_emitter *emitter, const struct vmt_report *report,
		    const struct vmt_site *site)
{
	if (report->committer_count == 0) {
		print_came_in(emitter, &site->came_in);
		return;
	}
	vmt_emitter_array(emitter, "touched_by");
	for (size_t i = 0; i < site->touched_by_count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_u64(emitter, "committed_by", site->touched_by[i].row);
		vmt_emitter_u64(emitter, "committed_bytes", site->touched_by[i].bytes);
		vmt_emitter_bool(emitter, "estimate", site->touched_by[i].estimate);
		vmt_emitter_u64(emitter, "samples",
				vmt_report_samples(site->touched_by[i].samples));
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_u64(emitter, "unsampled_bytes", site->unsampled_bytes);
}
