#include "tools/render/diff_json.h"

#include "format/chunk.h"
#include "tools/render/diff_caveats.h"
#include "tools/render/diff_headline.h"
#include "tools/render/diff_headline_go.h"
#include "tools/render/emitter.h"
#include "tools/render/json_frames.h"
#include "tools/render/kernel_figures.h"

#include <string.h>

static void
print_figure(struct vmt_emitter *emitter, const char *key, const struct vmt_diff_figure *figure)
{
	bool known = figure->a != VMT_FIGURE_UNKNOWN && figure->b != VMT_FIGURE_UNKNOWN;

	if (!known) {
		vmt_emitter_string(emitter, key, NULL);
		return;
	}
	vmt_emitter_object(emitter, key);
	vmt_emitter_u64(emitter, "a", figure->a);
	vmt_emitter_u64(emitter, "b", figure->b);
	vmt_emitter_i64(emitter, "delta", vmt_diff_delta(figure));
	vmt_emitter_object_end(emitter);
}

static void
print_side(struct vmt_emitter *emitter, const char *key, const struct vmt_report *report,
	   const char *path, const struct vmt_diff_continuation *continues)
{
	const char *next = continues->next;
	const char *last = continues->last;

	vmt_emitter_object(emitter, key);
	vmt_emitter_string(emitter, "path", path);
	vmt_emitter_object(emitter, "process");
	vmt_emitter_u64(emitter, "pid", report->process.pid);
	vmt_emitter_string(emitter, "exe", report->process.exe);
	vmt_emitter_string(emitter, "cmdline", report->process.cmdline);
	vmt_emitter_string(emitter, "title", report->process.title);
	vmt_emitter_u64(emitter, "start_unix_ns", report->process.start_unix_ns);
	vmt_emitter_u64(emitter, "duration_ns", report->process.duration_ns);
	vmt_emitter_string(emitter, "end", report->process.end);
	vmt_emitter_string(emitter, "next_trace", next && *next ? next : NULL);
	vmt_emitter_string(emitter, "last_trace", last && *last ? last : NULL);
	vmt_emitter_object_end(emitter);
	vmt_emitter_object(emitter, "snapshot");
	vmt_emitter_bool(emitter, "taken", report->snapshot.taken);
	vmt_emitter_i64(emitter, "time_ns", report->snapshot.time_ns);
	vmt_emitter_u64(emitter, "rss_bytes", report->snapshot.rss_bytes);
	vmt_emitter_u64(emitter, "virtual_bytes", report->snapshot.virtual_bytes);
	vmt_emitter_u64(emitter, "skew_bytes", report->snapshot.skew_bytes);
	vmt_emitter_bool(emitter, "after_end", report->snapshot.after_end);
	vmt_emitter_u64(emitter, "index", report->snapshot.index);
	vmt_emitter_u64(emitter, "count", report->snapshot.count);
	vmt_emitter_object_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
print_kernel(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	vmt_emitter_object(emitter, "kernel");
	for (size_t i = 0; i < VMT_KERNEL_FIGURES_KEYS; i++) {
		const struct vmt_kernel_figures_key *key = &vmt_kernel_figures_keys[i];
		const struct vmt_diff_figure figure = {
		    vmt_kernel_figures_get(&diff->a->snapshot.kernel, key),
		    vmt_kernel_figures_get(&diff->b->snapshot.kernel, key)};

		print_figure(emitter, key->name, &figure);
	}
	vmt_emitter_object_end(emitter);
}

static void
print_totals(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	vmt_emitter_object(emitter, "totals");
	print_figure(emitter, "reserved_bytes", &diff->totals.reserved_bytes);
	print_figure(emitter, "committed_bytes", &diff->totals.committed_bytes);
	print_figure(emitter, "rss_bytes", &diff->totals.rss_bytes);
	print_figure(emitter, "virtual_bytes", &diff->totals.virtual_bytes);
	print_figure(emitter, "swap_bytes", &diff->totals.swap_bytes);
	print_figure(emitter, "huge_bytes", &diff->totals.huge_bytes);
	print_figure(emitter, "shared_bytes", &diff->totals.shared_bytes);
	print_figure(emitter, "never_touched_bytes", &diff->totals.never_touched_bytes);
	print_figure(emitter, "advice_taken_bytes", &diff->totals.taken_bytes);
	print_figure(emitter, "advice_stayed_bytes", &diff->totals.stayed_bytes);
	print_kernel(emitter, diff);
	vmt_emitter_object_end(emitter);
}

static void
print_classes(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	vmt_emitter_array(emitter, "classes");
	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "name", row->name);
		print_figure(emitter, "reserved_bytes", &row->reserved_bytes);
		print_figure(emitter, "accessible_bytes", &row->accessible_bytes);
		print_figure(emitter, "committed_bytes", &row->committed_bytes);
		print_figure(emitter, "swapped_bytes", &row->swapped_bytes);
		print_figure(emitter, "never_touched_bytes", &row->never_touched_bytes);
		print_figure(emitter, "hugetlb_bytes", &row->hugetlb_bytes);
		print_figure(emitter, "shared_bytes", &row->shared_bytes);
		vmt_emitter_bool(emitter, "estimate", row->estimate);
		vmt_emitter_u64(emitter, "error_bytes", row->error_bytes);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_site(struct vmt_emitter *emitter, const struct vmt_diff_site *row)
{
	struct vmt_diff_figure joined = {0, 0};

	for (size_t i = 0; i < row->member_count; i++)
		*(row->members[i].of_b ? &joined.b : &joined.a) += 1;
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "kind", row->kind);
	vmt_emitter_string(emitter, "match", vmt_diff_match_word(row->match));
	print_figure(emitter, "joined_sites", &joined);
	print_figure(emitter, "count", &row->count);
	print_figure(emitter, "live_count", &row->live_count);
	print_figure(emitter, "reserved_bytes", &row->reserved_bytes);
	print_figure(emitter, "committed_bytes", &row->committed_bytes);
	print_figure(emitter, "swapped_bytes", &row->swapped_bytes);
	print_figure(emitter, "never_touched_bytes", &row->never_touched_bytes);
	print_figure(emitter, "hugetlb_bytes", &row->hugetlb_bytes);
	print_figure(emitter, "total_reserved_bytes", &row->total_reserved_bytes);
	print_figure(emitter, "released_bytes", &row->released_bytes);
	print_figure(emitter, "end_count", &row->end_count);
	print_figure(emitter, "end_bytes", &row->end_bytes);
	print_figure(emitter, "temporary_count", &row->temporary_count);
	vmt_emitter_bool(emitter, "estimate", row->estimate);
	vmt_emitter_u64(emitter, "error_bytes", row->error_bytes);
	vmt_json_frames_print(emitter, &row->shown->stack, false);
	vmt_emitter_object_end(emitter);
}

static void
print_sites(struct vmt_emitter *emitter, const struct vmt_diff *diff, size_t top)
{
	vmt_emitter_array(emitter, "sites");
	for (size_t i = 0; i < diff->site_count && i < top; i++)
		print_site(emitter, &diff->sites[i]);
	vmt_emitter_array_end(emitter);
}

/* Of who touched memory; null unless page faults were sampled in both. */
static void
print_touchers(struct vmt_emitter *emitter, const struct vmt_diff *diff, size_t top)
{
	if (!diff->touch) {
		vmt_emitter_string(emitter, "committed_by", NULL);
		return;
	}
	vmt_emitter_array(emitter, "committed_by");
	for (size_t i = 0; i < diff->touch->site_count && i < top; i++) {
		const struct vmt_diff_site *row = &diff->touch->sites[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "match", vmt_diff_match_word(row->match));
		print_figure(emitter, "committed_bytes", &row->committed_bytes);
		vmt_emitter_bool(emitter, "estimate", row->estimate);
		vmt_json_frames_print(emitter, &row->shown->stack, false);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

/* Likewise, of live objects by Go line; null unless both reports know them. */
static void
print_live(struct vmt_emitter *emitter, const struct vmt_diff *diff, size_t top)
{
	if (!diff->live) {
		vmt_emitter_string(emitter, "live_objects", NULL);
		return;
	}
	vmt_emitter_array(emitter, "live_objects");
	for (size_t i = 0; i < diff->live->site_count && i < top; i++) {
		const struct vmt_diff_site *row = &diff->live->sites[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "match", vmt_diff_match_word(row->match));
		print_figure(emitter, "objects", &row->count);
		print_figure(emitter, "bytes", &row->committed_bytes);
		vmt_emitter_bool(emitter, "estimate", row->estimate);
		vmt_emitter_u64(emitter, "error_bytes", row->error_bytes);
		vmt_json_frames_print(emitter, &row->shown->stack, false);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

/* ... and of large ones, as far as Go has sampled them. */
static void
print_large(struct vmt_emitter *emitter, const struct vmt_diff *diff, size_t top)
{
	if (!diff->large) {
		vmt_emitter_string(emitter, "large_objects", NULL);
		return;
	}
	vmt_emitter_array(emitter, "large_objects");
	for (size_t i = 0; i < diff->large->site_count && i < top; i++) {
		const struct vmt_diff_site *row = &diff->large->sites[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "match", vmt_diff_match_word(row->match));
		print_figure(emitter, "objects", &row->count);
		print_figure(emitter, "reserved_bytes", &row->reserved_bytes);
		print_figure(emitter, "committed_bytes", &row->committed_bytes);
		vmt_emitter_u64(emitter, "error_bytes", row->error_bytes);
		vmt_json_frames_print(emitter, &row->shown->stack, false);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_verdict(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	char text[2048];

	vmt_emitter_object(emitter, "verdict");
	vmt_emitter_string(emitter, "kind", vmt_diff_kind_word(diff->verdict.kind));
	vmt_diff_headline_write(diff, text, sizeof(text));
	vmt_emitter_string(emitter, "text", text);
	vmt_emitter_u64(emitter, "moved_bytes", diff->verdict.moved_bytes);
	vmt_emitter_u64(emitter, "committed_noise_bytes", diff->verdict.committed_noise_bytes);
	vmt_emitter_u64(emitter, "reserved_noise_bytes", diff->verdict.reserved_noise_bytes);
	vmt_emitter_object_end(emitter);
}

/* What is not known is null. */
static void
print_go(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	static const char *const keys[VMT_GO_PARTS] = {
	    [VMT_GO_PART_OBJECTS] = "rss_objects_bytes",
	    [VMT_GO_PART_FREE_SLOTS] = "rss_free_slots_bytes",
	    [VMT_GO_PART_STACKS] = "rss_stacks_bytes",
	    [VMT_GO_PART_IDLE] = "rss_idle_bytes",
	    [VMT_GO_PART_RELEASED] = "rss_released_bytes",
	    [VMT_GO_PART_METADATA] = "rss_metadata_bytes",
	    [VMT_GO_PART_MALLOC] = "rss_malloc_bytes",
	    [VMT_GO_PART_OUTSIDE] = "rss_outside_bytes",
	};
	const struct vmt_diff_go *go = &diff->go;
	const struct vmt_diff_figure none = {VMT_FIGURE_UNKNOWN, VMT_FIGURE_UNKNOWN};
	char text[2048] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	if (!go->is_known) {
		vmt_emitter_string(emitter, "go", NULL);
		return;
	}
	vmt_diff_headline_go_say(&sentence, diff);
	vmt_emitter_object(emitter, "go");
	vmt_emitter_string(emitter, "cause", vmt_diff_go_cause_word(go->cause));
	vmt_emitter_string(emitter, "text", text[0] ? text : NULL);
	for (int part = 0; part < VMT_GO_PARTS; part++)
		print_figure(emitter, keys[part], &go->parts[part]);
	print_figure(emitter, "objects_bytes", &go->objects_bytes);
	print_figure(emitter, "fresh_bytes", &go->fresh_bytes);
	print_figure(emitter, "reused_bytes", &go->reused_bytes);
	print_figure(emitter, "live_bytes", go->has_counts ? &go->live_bytes : &none);
	print_figure(emitter, "young_bytes", go->has_counts ? &go->young_bytes : &none);
	vmt_emitter_object_end(emitter);
}

static void
print_caveats(struct vmt_emitter *emitter, const struct vmt_diff *diff)
{
	char text[2048];

	vmt_emitter_array(emitter, "caveats");
	for (unsigned i = 0;; i++) {
		vmt_diff_caveats_write(diff, i, text, sizeof(text));
		if (!text[0])
			break;
		vmt_emitter_string(emitter, NULL, text);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_selection_sum(struct vmt_emitter *emitter, const char *key,
		    const struct vmt_diff_selection_sum *sum)
{
	vmt_emitter_object(emitter, key);
	vmt_emitter_u64(emitter, "sites", sum->sites);
	print_figure(emitter, "committed_bytes", &sum->committed_bytes);
	print_figure(emitter, "reserved_bytes", &sum->reserved_bytes);
	vmt_emitter_object_end(emitter);
}

/* Which rows are left out; null: none. */
static void
print_selection(struct vmt_emitter *emitter, const struct vmt_diff_selection *selection)
{
	if (!selection) {
		vmt_emitter_string(emitter, "selection", NULL);
		return;
	}
	vmt_emitter_object(emitter, "selection");
	vmt_json_frames_patterns(emitter, selection->patterns);
	print_selection_sum(emitter, "shown", &selection->part);
	print_selection_sum(emitter, "all", &selection->all);
	vmt_emitter_object_end(emitter);
}

int
vmt_diff_json_print(const struct vmt_diff *diff, const struct vmt_diff_json_options *options,
		    FILE *out, struct vmt_err *err)
{
	const struct vmt_diff *shown = options->selection ? &options->selection->shown : diff;
	struct vmt_emitter emitter;

	vmt_emitter_begin(&emitter, out, VMT_EMITTER_JSON);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "schema", "vmtrace-diff/1");
	print_verdict(&emitter, diff);
	print_side(&emitter, "a", diff->a, options->paths[0], &diff->continues_a);
	print_side(&emitter, "b", diff->b, options->paths[1], &diff->continues_b);
	print_totals(&emitter, diff);
	print_classes(&emitter, diff);
	print_selection(&emitter, options->selection);
	print_sites(&emitter, shown, options->top);
	print_touchers(&emitter, shown, options->top);
	print_go(&emitter, diff);
	print_live(&emitter, diff, options->top);
	print_large(&emitter, diff, options->top);
	print_caveats(&emitter, diff);
	vmt_emitter_object_end(&emitter);
	return vmt_emitter_finish(&emitter, err);
}
