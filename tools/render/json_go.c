#include "tools/render/json_go.h"

#include "format/chunk.h"
#include "tools/render/go_cause.h"
#include "tools/render/go_sentences.h"
#include "tools/render/json_frames.h"

/* A figure that may not be known. */
static void
print_figure(struct vmt_emitter *emitter, const char *key, uint64_t figure, bool known)
{
	if (known && figure != VMT_FIGURE_UNKNOWN)
		vmt_emitter_u64(emitter, key, figure);
	else
		vmt_emitter_string(emitter, key, NULL);
}

static void
print_pace(struct vmt_emitter *emitter, const struct vmt_go_figures *figures, bool known)
{
	if (known && figures->gc_percent >= 0)
		vmt_emitter_i64(emitter, "gc_percent", figures->gc_percent);
	else
		vmt_emitter_string(emitter, "gc_percent", NULL);
	print_figure(emitter, "heap_goal_bytes", figures->heap_goal_bytes,
		     known && figures->gc_percent >= 0);
	print_figure(emitter, "heap_live_bytes", figures->heap_live_bytes, known);
	print_figure(emitter, "heap_marked_bytes", figures->heap_marked_bytes, known);
	print_figure(emitter, "scavenger_goal_bytes", figures->scavenger_goal_bytes, known);
}

static void
print_figures(struct vmt_emitter *emitter, const struct vmt_go_figures *figures, bool known)
{
	print_figure(emitter, "heap_in_use_bytes", figures->heap_in_use_bytes, known);
	print_figure(emitter, "heap_idle_bytes", figures->heap_idle_bytes, known);
	print_figure(emitter, "heap_released_bytes", figures->heap_released_bytes, known);
	print_figure(emitter, "stacks_bytes", figures->stacks_bytes, known);
	print_figure(emitter, "metadata_bytes", figures->metadata_bytes, known);
	print_figure(emitter, "total_bytes", figures->total_bytes, known);
	print_figure(emitter, "memory_limit_bytes", figures->memory_limit_bytes, known);
	print_pace(emitter, figures, known && figures->has_pace);
}

static void
print_over_time(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "over_time");
	for (size_t i = 0; i < report->go.point_count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_i64(emitter, "time_ns", report->go.points[i].time_ns);
		print_figures(emitter, &report->go.points[i].figures, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_sizes(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "sizes");
	for (size_t i = 0; i < report->go.size_count; i++) {
		const struct vmt_go_size *size = &report->go.sizes[i];

		vmt_emitter_object(emitter, NULL);
		print_figure(emitter, "slot_bytes", size->slot_bytes, size->slot_bytes != 0);
		vmt_emitter_u64(emitter, "spans", size->spans);
		vmt_emitter_u64(emitter, "objects", size->objects);
		vmt_emitter_u64(emitter, "object_bytes", size->object_bytes);
		vmt_emitter_u64(emitter, "reserved_bytes", size->reserved_bytes);
		vmt_emitter_u64(emitter, "committed_bytes", size->committed_bytes);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_creators(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "goroutine_stacks");
	for (size_t i = 0; i < report->go.creator_count; i++) {
		const struct vmt_go_creator *row = &report->go.creators[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_bool(emitter, "ended", row->has_ended);
		vmt_emitter_u64(emitter, "goroutines", row->goroutines);
		vmt_emitter_u64(emitter, "reserved_bytes", row->reserved_bytes);
		vmt_emitter_u64(emitter, "committed_bytes", row->committed_bytes);
		vmt_json_frames_print(emitter, &row->stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

/* Live objects by line, as the runtime's memory profile has them. */
static void
print_live(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	bool known = !report->go.unprofiled;

	vmt_emitter_string(emitter, "unprofiled", report->go.unprofiled);
	print_figure(emitter, "profile_rate_bytes", report->go.profile_rate_bytes, known);
	vmt_emitter_bool(emitter, "profile_unscaled", report->go.is_unscaled);
	print_figure(emitter, "profile_entries", report->go.profile_entries, known);
	print_figure(emitter, "profile_unread", report->go.profile_unread, known);
	vmt_emitter_bool(emitter, "uncollected", report->go.is_uncollected);
	vmt_emitter_array(emitter, "live_objects");
	for (size_t i = 0; i < report->go.live_count; i++) {
		const struct vmt_go_live *row = &report->go.live[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_u64(emitter, "objects", row->objects);
		vmt_emitter_u64(emitter, "bytes", row->bytes);
		vmt_emitter_u64(emitter, "sampled_objects", row->sampled_objects);
		vmt_emitter_u64(emitter, "sampled_bytes", row->sampled_bytes);
		vmt_json_frames_print(emitter, &row->stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
print_large_figures(struct vmt_emitter *emitter, const struct vmt_go_large *row)
{
	vmt_emitter_u64(emitter, "objects", row->objects);
	vmt_emitter_u64(emitter, "reserved_bytes", row->reserved_bytes);
	vmt_emitter_u64(emitter, "committed_bytes", row->committed_bytes);
	vmt_emitter_u64(emitter, "swapped_bytes", row->swapped_bytes);
	vmt_emitter_u64(emitter, "untouched_bytes", row->untouched_bytes);
}

/* Large objects by line, by their spans. */
static void
print_large(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "large_objects");
	for (size_t i = 0; i < report->go.large_count; i++) {
		vmt_emitter_object(emitter, NULL);
		print_large_figures(emitter, &report->go.large[i]);
		vmt_json_frames_print(emitter, &report->go.large[i].stack, true);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_object(emitter, "large_of_unknown_line");
	print_large_figures(emitter, &report->go.other_large);
	vmt_emitter_object_end(emitter);
	print_figure(emitter, "large_unread", report->go.large_unread, report->go.has_large);
}

/* What the runtime's own lists say of its heap. */
static void
print_heap(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	bool known = !report->go.uncut;

	vmt_emitter_string(emitter, "uncut", report->go.uncut);
	print_figure(emitter, "spans", report->go.spans, known);
	print_figure(emitter, "spans_unread", report->go.spans_unread, known);
	print_figure(emitter, "goroutines", report->go.goroutines, known);
	print_figure(emitter, "goroutines_unread", report->go.goroutines_unread, known);
	print_sizes(emitter, report);
	print_creators(emitter, report);
	print_large(emitter, report);
}

static void
print_sentence(struct vmt_emitter *emitter, const char *key, const struct vmt_report *report,
	       void (*say)(struct vmt_sentence *sentence, const struct vmt_report *report))
{
	char text[4096] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	say(&sentence, report);
	vmt_emitter_string(emitter, key, text[0] ? text : NULL);
}

/* What RSS is made of, and what is to be said of it. */
static void
print_diagnosis(struct vmt_emitter *emitter, const struct vmt_report *report)
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
	const struct vmt_go_parts *parts = &report->go.parts;
	const struct vmt_go_objects *objects = &parts->objects;

	vmt_emitter_object(emitter, "diagnosis");
	vmt_emitter_string(emitter, "cause", vmt_go_parts_cause_name(parts->cause));
	print_figure(emitter, "cause_bytes", parts->cause_bytes,
		     parts->cause != VMT_GO_CAUSE_UNKNOWN);
	for (int part = 0; part < VMT_GO_PARTS; part++)
		print_figure(emitter, keys[part], parts->bytes[part], parts->is_known);
	print_figure(emitter, "live_bytes", objects->live_bytes, objects->is_known);
	print_figure(emitter, "since_bytes", objects->since_bytes, objects->is_known);
	print_figure(emitter, "unswept_bytes", objects->unswept_bytes, objects->is_known);
	print_sentence(emitter, "cause_text", report, vmt_go_cause_say);
	print_sentence(emitter, "above_text", report, vmt_go_sentences_above);
	print_sentence(emitter, "give_back_text", report, vmt_go_sentences_give_back);
	print_sentence(emitter, "limit_text", report, vmt_go_sentences_limit);
	vmt_emitter_object_end(emitter);
}

void
vmt_json_go(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	bool seen = !report->go.malloc_unseen;

	if (!report->go.version) {
		vmt_emitter_string(emitter, "go", NULL);
		return;
	}
	vmt_emitter_object(emitter, "go");
	vmt_emitter_string(emitter, "version", report->go.version);
	vmt_emitter_bool(emitter, "cgo", report->go.cgo);
	vmt_emitter_bool(emitter, "stripped", report->go.stripped);
	vmt_emitter_string(emitter, "uncounted", report->go.uncounted);
	print_figures(emitter, &report->go.figures, !report->go.uncounted);
	print_figure(emitter, "rss_go_bytes", report->go.go_bytes, !report->go.unseen);
	print_figure(emitter, "rss_malloc_live_bytes", report->go.malloc_live_bytes, seen);
	print_figure(emitter, "rss_malloc_retained_bytes", report->go.malloc_retained_bytes, seen);
	print_figure(emitter, "rss_neither_bytes", report->go.neither_bytes,
		     seen && !report->go.unseen && !report->go.is_partial &&
			 !report->go.heap_alone);
	print_diagnosis(emitter, report);
	print_over_time(emitter, report);
	print_heap(emitter, report);
	print_live(emitter, report);
	vmt_emitter_object_end(emitter);
}

void
vmt_json_go_sites(struct vmt_emitter *emitter, const struct vmt_report *report)
{
	vmt_emitter_array(emitter, "go_sites");
	for (size_t i = 0; i < report->coverage.go_site_count; i++) {
		const struct vmt_go_site_row *site = &report->coverage.go_sites[i];

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_string(emitter, "symbol", site->symbol);
		vmt_emitter_bool(emitter, "patched", site->patched);
		vmt_emitter_string(emitter, "why", site->patched ? NULL : site->why);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}
