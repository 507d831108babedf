#include "tools/cmd/dump_record.h"

#include "tools/cmd/event_fields.h"
#include "tools/read/trace/touch_heads.h"
#include "tools/render/kernel_figures.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define KIND_WIDTH (-16)
#define TIME_WIDTH 17
#define TIME_BYTES 40

static void
emit_protection(struct vmt_emitter *emitter, uint8_t protection)
{
	char text[] = {protection & PROT_READ ? 'r' : '-', protection & PROT_WRITE ? 'w' : '-',
		       protection & PROT_EXEC ? 'x' : '-', '\0'};

	vmt_emitter_string(emitter, "protection", text);
}

/* Begins a record: when, and what. */
static void
begin(struct vmt_dump_record *dumped, uint64_t ticks, const char *record, const char *kind)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	int64_t time_ns = vmt_trace_time_ns(dumped->trace, ticks);
	uint64_t distance = time_ns < 0 ? 0 - (uint64_t)time_ns : (uint64_t)time_ns;
	char text[TIME_BYTES];

	vmt_emitter_object(emitter, NULL);
	if (emitter->form == VMT_EMITTER_TEXT) {
		snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu64, time_ns < 0 ? "-" : "",
			 distance / 1000000000, distance % 1000000000);
		vmt_emitter_column(emitter, "time", TIME_WIDTH, text);
		vmt_emitter_column(emitter, "kind", KIND_WIDTH, kind != NULL ? kind : record);
		return;
	}
	vmt_emitter_i64(emitter, "time_ns", time_ns);
	vmt_emitter_string(emitter, "record", record);
	if (kind != NULL)
		vmt_emitter_string(emitter, "kind", kind);
}

static void
emit_module(struct vmt_dump_record *dumped, uint64_t id)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	struct vmt_module module;
	char build_id[2 * VMT_BUILD_ID_MAX_BYTES + 1] = "";

	vmt_emitter_u64(emitter, "module_id", id);
	if (id > UINT32_MAX || !vmt_trace_module(dumped->trace, (uint32_t)id, &module))
		return;
	vmt_emitter_bytes(emitter, "path", module.path, module.path_bytes);
	for (uint32_t i = 0; i < module.build_id_bytes && i < VMT_BUILD_ID_MAX_BYTES; i++)
		snprintf(build_id + (size_t)2 * i, 3, "%02x", module.build_id[i]);
	vmt_emitter_string(emitter, "build_id", build_id);
}

static void
emit_committed(struct vmt_emitter *emitter, const char *name, uint64_t bytes, uint8_t marks)
{
	if (!(marks & VMT_MARK_LOOKED))
		return;
	vmt_emitter_u64(emitter, name, bytes);
	if (marks & VMT_MARK_SAMPLED)
		vmt_emitter_bool(emitter, "committed_is_estimate", true);
	if (marks & VMT_MARK_PAGE_CACHE)
		vmt_emitter_bool(emitter, "committed_is_page_cache", true);
}

static void
emit_argument(struct vmt_dump_record *dumped, const struct vmt_event_argument *argument,
	      uint64_t value, uint8_t marks)
{
	struct vmt_emitter *emitter = &dumped->emitter;

	switch (argument->form) {
	case VMT_ARGUMENT_IS_NONE:
		break;
	case VMT_ARGUMENT_IS_NUMBER:
		vmt_emitter_u64(emitter, argument->name, value);
		break;
	case VMT_ARGUMENT_IS_SIGNED:
		vmt_emitter_i64(emitter, argument->name, (int64_t)value);
		break;
	case VMT_ARGUMENT_IS_ADDRESS:
		vmt_emitter_address(emitter, argument->name, value);
		break;
	case VMT_ARGUMENT_IS_COMMITTED:
		emit_committed(emitter, argument->name, value, marks);
		break;
	case VMT_ARGUMENT_IS_COMMITTED_AFTER:
		if (marks & VMT_MARK_LOOKED_AFTER)
			vmt_emitter_u64(emitter, argument->name, value);
		break;
	case VMT_ARGUMENT_IS_MODULE:
		emit_module(dumped, value);
		break;
	}
}

static void
emit_frames(struct vmt_dump_record *dumped, const uint64_t *frames, uint32_t count)
{
	vmt_emitter_array(&dumped->emitter, "frames");
	for (uint32_t i = 0; frames != NULL && i < count; i++)
		vmt_emitter_address(&dumped->emitter, NULL, frames[i]);
	vmt_emitter_array_end(&dumped->emitter);
}

static void
emit_fields(struct vmt_emitter *emitter, const struct vmt_event *event, unsigned fields)
{
	char number[VMT_EVENT_FIELDS_NUMBER_BYTES];

	if (fields & VMT_FIELD_ADDRESS)
		vmt_emitter_address(emitter, "address", event->address);
	if (fields & VMT_FIELD_LENGTH)
		vmt_emitter_u64(emitter, "length", event->length);
	if (fields & VMT_FIELD_PROTECTION)
		emit_protection(emitter, event->protection);
	if (fields & VMT_FIELD_FLAGS)
		vmt_emitter_address(emitter, "flags", event->flags);
	if (fields & VMT_FIELD_ADVICE)
		vmt_emitter_string(emitter, "advice",
				   vmt_event_fields_advice_name(event->advice, number));
}

void
vmt_dump_record_event(struct vmt_dump_record *dumped, const struct vmt_event *event)
{
	const struct vmt_event_fields *shape = vmt_event_fields_of(event->kind);
	struct vmt_emitter *emitter = &dumped->emitter;
	const uint64_t *frames;
	uint32_t count;

	begin(dumped, event->time, "event", vmt_event_fields_kind_name(event->kind));
	emit_fields(emitter, event, shape->fields);
	emit_argument(dumped, &shape->a, event->argument_a, event->marks);
	emit_argument(dumped, &shape->b, event->argument_b, event->marks);
	if (event->error != 0)
		vmt_emitter_i64(emitter, "error", event->error);
	vmt_emitter_u64(emitter, "thread", event->thread);
	vmt_emitter_u64(emitter, "stack_id", event->stack);
	if (dumped->stacks) {
		frames = vmt_trace_stack(dumped->trace, event->stack, &count);
		emit_frames(dumped, frames, count);
	}
	vmt_emitter_object_end(emitter);
	dumped->events++;
}

/* The stack as the reader keeps it, but for the exact address of its first frame. */
static void
emit_touch_frames(struct vmt_dump_record *dumped, uint32_t stack)
{
	uint64_t frames[VMT_STACK_MAX_FRAMES] = {0};
	uint32_t count;
	const uint64_t *kept =
	    vmt_touch_stacks_get(vmt_trace_touch_stacks(dumped->trace), stack, &count);

	if (kept != NULL) {
		memcpy(frames, kept, count * sizeof(frames[0]));
		frames[0]--;
	}
	emit_frames(dumped, frames, count);
}

void
vmt_dump_record_touch(struct vmt_dump_record *dumped, const struct vmt_record_touch *touch)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	const struct vmt_touch_sample *sample = &touch->sample;
	const struct vmt_touch_stacks *stacks = vmt_trace_touch_stacks(dumped->trace);
	uint32_t stack = vmt_touch_stacks_id(stacks, sample->stack);

	begin(dumped, sample->time, "touch", NULL);
	vmt_emitter_address(emitter, "address", sample->address);
	if (sample->page_shift != 0)
		vmt_emitter_u64(emitter, "page_bytes", UINT64_C(1) << sample->page_shift);
	vmt_emitter_u64(emitter, "period", touch->period);
	vmt_emitter_bool(emitter, "major", sample->major);
	vmt_emitter_bool(emitter, "kernel", sample->kernel);
	vmt_emitter_u64(emitter, "thread", sample->thread);
	vmt_emitter_u64(emitter, "touch_stack_id", stack);
	vmt_emitter_string(emitter, "stack_end",
			   vmt_touch_stacks_end_name(vmt_touch_stacks_end(stacks, stack)));
	if (dumped->stacks)
		emit_touch_frames(dumped, stack);
	vmt_emitter_object_end(emitter);
	dumped->touches++;
}

/* A figure that the system did not give is left out. */
static void
emit_figure(struct vmt_emitter *emitter, const char *key, uint64_t value)
{
	if (value != VMT_FIGURE_UNKNOWN)
		vmt_emitter_u64(emitter, key, value);
}

void
vmt_dump_record_usage(struct vmt_dump_record *dumped, const struct vmt_usage *usage)
{
	struct vmt_emitter *emitter = &dumped->emitter;

	begin(dumped, usage->time, "usage", NULL);
	emit_figure(emitter, "rss_bytes", usage->rss_bytes);
	emit_figure(emitter, "virtual_bytes", usage->virtual_bytes);
	emit_figure(emitter, "cgroup_current_bytes", usage->cgroup_current_bytes);
	emit_figure(emitter, "cgroup_peak_bytes", usage->cgroup_peak_bytes);
	emit_figure(emitter, "cgroup_limit_bytes", usage->cgroup_limit_bytes);
	emit_figure(emitter, "cgroup_anon_bytes", usage->cgroup_anon_bytes);
	emit_figure(emitter, "cgroup_file_bytes", usage->cgroup_file_bytes);
	emit_figure(emitter, "cgroup_shmem_bytes", usage->cgroup_shmem_bytes);
	emit_figure(emitter, "cgroup_oom_kills", usage->cgroup_oom_kills);
	emit_figure(emitter, "peak_rss_bytes", usage->peak_rss_bytes);
	vmt_emitter_object_end(emitter);
	dumped->usages++;
}

/* Pages of one mapping, by what they are. */
struct sums {
	uint64_t resident_bytes;
	uint64_t swapped_bytes;
	uint64_t huge_bytes;
	uint64_t file_bytes;
	uint64_t zero_bytes;
	uint64_t hugetlb_bytes;
	uint64_t shared_bytes;
};

static struct sums
sum_runs(const struct vmt_run *runs, uint32_t count)
{
	struct sums sums = {0};

	for (uint32_t i = 0; i < count; i++) {
		uint32_t kind = runs[i].kind;
		uint64_t bytes = runs[i].bytes;

		if ((kind & VMT_RUN_PRESENT) && !(kind & VMT_RUN_ZERO))
			sums.resident_bytes += bytes;
		sums.swapped_bytes += kind & VMT_RUN_SWAPPED ? bytes : 0;
		sums.huge_bytes += kind & VMT_RUN_HUGE ? bytes : 0;
		sums.file_bytes += kind & VMT_RUN_FILE ? bytes : 0;
		sums.zero_bytes += kind & VMT_RUN_ZERO ? bytes : 0;
		sums.hugetlb_bytes += kind & VMT_RUN_HUGETLB ? bytes : 0;
		sums.shared_bytes += kind & VMT_RUN_SHARED ? bytes : 0;
	}
	return sums;
}

static void
emit_runs(struct vmt_emitter *emitter, const struct vmt_run *runs, uint32_t count)
{
	vmt_emitter_array(emitter, "runs");
	for (uint32_t i = 0; i < count; i++) {
		vmt_emitter_object(emitter, NULL);
		vmt_emitter_address(emitter, "start", runs[i].start);
		vmt_emitter_u64(emitter, "bytes", runs[i].bytes);
		vmt_emitter_bool(emitter, "present", runs[i].kind & VMT_RUN_PRESENT);
		vmt_emitter_bool(emitter, "swapped", runs[i].kind & VMT_RUN_SWAPPED);
		vmt_emitter_bool(emitter, "huge", runs[i].kind & VMT_RUN_HUGE);
		vmt_emitter_bool(emitter, "file", runs[i].kind & VMT_RUN_FILE);
		vmt_emitter_bool(emitter, "zero", runs[i].kind & VMT_RUN_ZERO);
		vmt_emitter_bool(emitter, "hugetlb", runs[i].kind & VMT_RUN_HUGETLB);
		vmt_emitter_bool(emitter, "mapped_elsewhere", runs[i].kind & VMT_RUN_SHARED);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
}

static void
emit_mapping(struct vmt_dump_record *dumped, const struct vmt_snapshot *snapshot,
	     const struct vmt_snapshot_mapping *part)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	const struct vmt_mapping *mapping = &part->mapping;
	const struct vmt_run *runs = snapshot->runs + part->first_run;
	struct sums sums = sum_runs(runs, part->runs);

	vmt_emitter_object(emitter, NULL);
	if (emitter->form == VMT_EMITTER_TEXT) {
		vmt_emitter_column(emitter, NULL, TIME_WIDTH, "");
		vmt_emitter_column(emitter, NULL, KIND_WIDTH, "  mapping");
	}
	vmt_emitter_address(emitter, "start", mapping->start);
	vmt_emitter_address(emitter, "end", mapping->end);
	emit_protection(emitter, mapping->protection);
	vmt_emitter_bool(emitter, "shared", mapping->shared);
	vmt_emitter_u64(emitter, "resident_bytes", sums.resident_bytes);
	vmt_emitter_u64(emitter, "swapped_bytes", sums.swapped_bytes);
	vmt_emitter_u64(emitter, "huge_bytes", sums.huge_bytes);
	vmt_emitter_u64(emitter, "file_bytes", sums.file_bytes);
	vmt_emitter_u64(emitter, "zero_bytes", sums.zero_bytes);
	vmt_emitter_u64(emitter, "hugetlb_bytes", sums.hugetlb_bytes);
	vmt_emitter_u64(emitter, "mapped_elsewhere_bytes", sums.shared_bytes);
	vmt_emitter_u64(emitter, "offset", mapping->file_offset);
	vmt_emitter_u64(emitter, "device", mapping->device);
	vmt_emitter_u64(emitter, "inode", mapping->inode);
	vmt_emitter_bytes(emitter, "path", mapping->path, mapping->path_bytes);
	if (dumped->runs)
		emit_runs(emitter, runs, part->runs);
	vmt_emitter_object_end(emitter);
}

static const char *
name_of(const char *const *names, size_t count, uint32_t value)
{
	return value < count ? names[value] : "unknown";
}

static void
emit_snapshot_head(struct vmt_emitter *emitter, const struct vmt_snapshot_head *head)
{
	static const char *const sources[] = {"none", "pagemap-scan", "pagemap", "mincore"};
	static const char *const reasons[] = {"none",	  "first", "growth",
					      "periodic", "exit",  "request"};
	char key[64];

	vmt_emitter_u64(emitter, "index", head->index);
	vmt_emitter_string(emitter, "reason", name_of(reasons, 6, head->reason));
	vmt_emitter_string(emitter, "source", name_of(sources, 4, head->source));
	vmt_emitter_u64(emitter, "resident_bytes", head->resident_bytes);
	emit_figure(emitter, "rss_before_bytes", head->rss_before_bytes);
	emit_figure(emitter, "rss_after_bytes", head->rss_after_bytes);
	vmt_emitter_u64(emitter, "virtual_bytes", head->virtual_bytes);
	vmt_emitter_u64(emitter, "swap_bytes", head->swap_bytes);
	emit_figure(emitter, "huge_bytes", head->huge_bytes);
	emit_figure(emitter, "lazyfree_bytes", head->lazyfree_bytes);
	emit_figure(emitter, "peak_rss_bytes", head->peak_rss_bytes);
	emit_figure(emitter, "shared_rss_bytes", head->shared_rss_bytes);
	emit_figure(emitter, "proportional_anonymous_bytes", head->proportional_anonymous_bytes);
	for (size_t i = 0; i < VMT_KERNEL_FIGURES_KEYS; i++) {
		snprintf(key, sizeof(key), "kernel_%s", vmt_kernel_figures_keys[i].name);
		emit_figure(emitter, key,
			    vmt_kernel_figures_get(&head->kernel, &vmt_kernel_figures_keys[i]));
	}
	vmt_emitter_u64(emitter, "duration_ns", head->duration_ns);
	vmt_emitter_u64(emitter, "cpu_ns", head->cpu_ns);
}

void
vmt_dump_record_snapshot(struct vmt_dump_record *dumped, const struct vmt_snapshot *snapshot)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	bool text = emitter->form == VMT_EMITTER_TEXT;

	begin(dumped, snapshot->head.time, "snapshot", NULL);
	emit_snapshot_head(emitter, &snapshot->head);
	vmt_emitter_bool(emitter, "coarse", snapshot->coarse);
	if (text)
		vmt_emitter_object_end(emitter);
	else
		vmt_emitter_array(emitter, "mappings");
	for (uint32_t i = 0; i < snapshot->head.mappings; i++)
		emit_mapping(dumped, snapshot, &snapshot->mappings[i]);
	if (!text) {
		vmt_emitter_array_end(emitter);
		vmt_emitter_object_end(emitter);
	}
	dumped->snapshots++;
}

static void
emit_arguments(struct vmt_emitter *emitter, const struct vmt_head *head)
{
	const char *at = head->cmdline;
	const char *end = at + head->cmdline_bytes;

	vmt_emitter_array(emitter, "cmdline");
	while (at < end) {
		size_t length = strnlen(at, (size_t)(end - at));

		vmt_emitter_bytes(emitter, NULL, at, length);
		at += length + 1;
	}
	vmt_emitter_array_end(emitter);
}

void
vmt_dump_record_head(struct vmt_dump_record *dumped)
{
	static const char *const clocks[] = {"monotonic", "tsc"};
	static const char *const mallocs[] = {"off", "sampled", "all"};
	static const char *const stacks[] = {"none", "frame-pointer", "dwarf"};
	struct vmt_emitter *emitter = &dumped->emitter;
	const struct vmt_head *head = vmt_trace_head(dumped->trace);

	begin(dumped, head->clock_start.ticks, "head", NULL);
	vmt_emitter_u64(emitter, "version", head->version);
	vmt_emitter_u64(emitter, "pid", head->pid);
	vmt_emitter_u64(emitter, "parent_pid", head->parent_pid);
	vmt_emitter_string(emitter, "exe", head->exe);
	emit_arguments(emitter, head);
	vmt_emitter_u64(emitter, "start_unix_ns", head->start_unix_ns);
	vmt_emitter_address(emitter, "random_id", head->random_id);
	vmt_emitter_address(emitter, "forked_from", head->forked_from);
	vmt_emitter_string(emitter, "clock", name_of(clocks, 2, head->clock));
	vmt_emitter_string(emitter, "malloc", name_of(mallocs, 3, head->malloc_mode));
	vmt_emitter_u64(emitter, "malloc_sample_bytes", head->malloc_sample_bytes);
	vmt_emitter_string(emitter, "stacks", name_of(stacks, 3, head->stack_mode));
	vmt_emitter_u64(emitter, "stack_depth", head->stack_depth);
	vmt_emitter_u64(emitter, "page_bytes", head->page_bytes);
	vmt_emitter_address(emitter, "tracer_address", head->tracer_address);
	vmt_emitter_address(emitter, "notes", head->notes);
	vmt_emitter_object_end(emitter);
}

static void
emit_by_kind(struct vmt_emitter *emitter, const char *key, const uint64_t *counts)
{
	vmt_emitter_object(emitter, key);
	for (unsigned kind = 0; kind < VMT_EVENT_KINDS; kind++) {
		if (counts[kind] != 0)
			vmt_emitter_u64(emitter, vmt_event_fields_kind_name((uint8_t)kind),
					counts[kind]);
	}
	vmt_emitter_object_end(emitter);
}

/* A record that belongs to no instant: its place is the end of the dump. */
static void
begin_timeless(struct vmt_emitter *emitter, const char *record)
{
	vmt_emitter_object(emitter, NULL);
	if (emitter->form == VMT_EMITTER_TEXT)
		vmt_emitter_column(emitter, NULL, TIME_WIDTH, "");
	vmt_emitter_column(emitter, "record", KIND_WIDTH, record);
}

static void
emit_touch_loss(struct vmt_dump_record *dumped)
{
	struct vmt_touch_heads heads;

	vmt_touch_heads_add_up(&heads, dumped->trace);
	if (!heads.present)
		return;
	vmt_emitter_u64(&dumped->emitter, "touches_read", dumped->touches);
	vmt_emitter_u64(&dumped->emitter, "touches_lost", heads.samples_lost);
	vmt_emitter_u64(&dumped->emitter, "touches_skipped", heads.samples_skipped);
	emit_figure(&dumped->emitter, "minor_faults", heads.minor_faults);
	emit_figure(&dumped->emitter, "major_faults", heads.major_faults);
	if (heads.flags & VMT_TOUCH_REFUSED)
		vmt_emitter_u64(&dumped->emitter, "touches_refused", heads.refused);
}

void
vmt_dump_record_loss(struct vmt_dump_record *dumped)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	const struct vmt_trace_loss *loss = vmt_trace_loss(dumped->trace);

	begin_timeless(emitter, "loss");
	vmt_emitter_u64(emitter, "events_read", dumped->events);
	vmt_emitter_u64(emitter, "events_dropped", loss->events_dropped);
	vmt_emitter_u64(emitter, "events_overwritten", loss->events_overwritten);
	vmt_emitter_u64(emitter, "slots_abandoned", loss->slots_abandoned);
	vmt_emitter_u64(emitter, "events_missing", loss->events_missing);
	vmt_emitter_u64(emitter, "events_thinned", loss->events_thinned);
	vmt_emitter_u64(emitter, "stacks_dropped", loss->stacks_dropped);
	vmt_emitter_u64(emitter, "samples_dropped", loss->samples_dropped);
	emit_touch_loss(dumped);
	vmt_emitter_u64(emitter, "cut_bytes", loss->cut_bytes);
	emit_by_kind(emitter, "dropped", loss->dropped_by_kind);
	emit_by_kind(emitter, "overwritten", loss->overwritten_by_kind);
	vmt_emitter_object_end(emitter);
}

void
vmt_dump_record_end(struct vmt_dump_record *dumped)
{
	struct vmt_emitter *emitter = &dumped->emitter;
	const struct vmt_chunk_end *end = vmt_trace_end_chunk(dumped->trace);
	int status;
	const char *how = vmt_trace_end(dumped->trace, &status);

	if (end != NULL)
		begin(dumped, end->time, "end", NULL);
	else
		begin_timeless(emitter, "end");
	vmt_emitter_string(emitter, "end", how);
	vmt_emitter_i64(emitter, "status", status);
	vmt_emitter_u64(emitter, "snapshots", dumped->snapshots);
	vmt_emitter_u64(emitter, "usages", dumped->usages);
	if (end != NULL) {
		vmt_emitter_u64(emitter, "collector_cpu_ns", end->collector_cpu_ns);
		vmt_emitter_u64(emitter, "snapshots_skipped", end->snapshots_skipped);
	}
	vmt_emitter_object_end(emitter);
}
