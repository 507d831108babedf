#include "tools/model/replay/replay_pair.h"
#include "tools/model/replay/unfinished_calls.h"
#include "tools/model/report/digest.h"
#include "tools/model/report/history_marks.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROWTH_PART 10u
#define PLACED_MOST 16384u /* many times what the library's table has room for */
/* Records: what it takes to hide a miss of every cache, and then another one. */
#define EXPECT_AHEAD 20u
#define EXPECT_SOON 8u

/* What a trace may cost: twenty times what one of dense events does. */
#define CPU_ALWAYS_NS UINT64_C(60000000000)
#define CPU_NS_PER_BYTE 10000u

/* Whether the kernel killed since the reading before. */
static bool
take_kills(struct vmt_report_draft *draft, uint64_t oom_kills)
{
	uint64_t before = draft->report.cgroup.oom_kills;

	if (oom_kills == VMT_FIGURE_UNKNOWN)
		return false;
	if (!draft->oom_kills_known)
		draft->first_oom_kills = oom_kills;
	draft->oom_kills_known = true;
	if (oom_kills > draft->first_oom_kills)
		draft->report.cgroup.oom_kills = oom_kills - draft->first_oom_kills;
	return draft->report.cgroup.oom_kills > before;
}

/* The kernel counts the peak since the cgroup was made: it is one of the recording where it rose
 * meanwhile, and where the kernel killed, as it does at the limit. Else there is what was seen. */
static void
take_peak(struct vmt_report_draft *draft, const struct vmt_usage *usage)
{
	struct vmt_report *report = &draft->report;

	report->cgroup.peak_bytes =
	    vmt_report_draft_larger_known(report->cgroup.peak_bytes, usage->cgroup_current_bytes);
	if (usage->cgroup_peak_bytes != VMT_FIGURE_UNKNOWN)
		draft->last_peak_bytes = usage->cgroup_peak_bytes;
	if (draft->first_peak_bytes == 0)
		draft->first_peak_bytes = draft->last_peak_bytes;
	if (draft->last_peak_bytes > draft->first_peak_bytes ||
	    (draft->last_peak_bytes > 0 && report->cgroup.oom_kills > 0))
		report->cgroup.peak_bytes = draft->last_peak_bytes;
	report->cgroup.peak_sampled = report->cgroup.peak_bytes != draft->last_peak_bytes;
}

/* What the kernel counts of the cgroup, at the moment when it was fullest. Readings are kept for a
 * while: of equal ones the first is when it was read. */
static void
take_fullest(struct vmt_report_draft *draft, const struct vmt_usage *usage)
{
	struct vmt_report *report = &draft->report;

	if (usage->cgroup_current_bytes == VMT_FIGURE_UNKNOWN ||
	    (report->cgroup.fullest.bytes != VMT_FIGURE_UNKNOWN &&
	     usage->cgroup_current_bytes <= report->cgroup.fullest.bytes))
		return;
	draft->fullest_time = usage->time;
	report->cgroup.fullest.bytes = usage->cgroup_current_bytes;
	report->cgroup.fullest.anonymous_bytes = usage->cgroup_anon_bytes;
	report->cgroup.fullest.file_bytes = usage->cgroup_file_bytes;
	report->cgroup.fullest.shared_memory_bytes = usage->cgroup_shmem_bytes;
	report->cgroup.fullest.process_rss_bytes = usage->rss_bytes;
}

static void
take_usage(struct vmt_report_draft *draft, const struct vmt_usage *usage)
{
	struct vmt_report *report = &draft->report;
	bool killed;

	vmt_rss_series_add(draft->line, (int64_t)usage->time, usage->rss_bytes);
	report->cgroup.is_read |= usage->cgroup_current_bytes != VMT_FIGURE_UNKNOWN ||
				  usage->cgroup_oom_kills != VMT_FIGURE_UNKNOWN;
	killed = take_kills(draft, usage->cgroup_oom_kills);
	take_peak(draft, usage);
	report->cgroup.last_bytes = usage->cgroup_current_bytes;
	/* What the killed one had is gone then, and this process may be the one. */
	if (!killed)
		take_fullest(draft, usage);
	if (usage->cgroup_limit_bytes != VMT_FIGURE_UNKNOWN)
		report->cgroup.limit_bytes = usage->cgroup_limit_bytes;
}

/* The first events list what was there before them. A snapshot may have come before the list was
 * written, and is still explained by it. */
static bool
is_inventory(const struct vmt_report_draft *draft, const struct vmt_event *event)
{
	return !draft->begun &&
	       (event->kind == VMT_EVENT_PRESENT || event->kind == VMT_EVENT_MODULE_LOAD);
}

static int
compare_tids(const void *left, const void *right)
{
	uint32_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return (a > b) - (a < b);
}

static int
take_tasks(struct vmt_report_draft *draft, const struct vmt_trace_chunk *chunk)
{
	struct vmt_err err = {{0}};
	const unsigned char *bytes;
	uint32_t *tids;
	size_t length;

	/* A chunk that can't be read says nothing of threads. */
	if (vmt_trace_payload(draft->trace, chunk, &bytes, &length, &err) || length == 0)
		return 0;
	tids = malloc(length);
	if (!tids)
		return -ENOMEM;
	memcpy(tids, bytes, length);
	qsort(tids, length / sizeof(*tids), sizeof(*tids), compare_tids);
	vmt_replay_keep_threads(draft->replay, chunk->header.time_min, tids,
				length / sizeof(*tids));
	free(tids);
	return 0;
}

int
vmt_report_events_take_tasks(struct vmt_report_draft *draft, uint64_t time)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	int status = 0;

	for (; !status && draft->tasks_at < count; draft->tasks_at++) {
		const struct vmt_chunk *header = &chunks[draft->tasks_at].header;

		if (header->kind != VMT_CHUNK_TASKS)
			continue;
		if (header->time_min > time)
			break;
		status = take_tasks(draft, &chunks[draft->tasks_at]);
	}
	return status;
}

/* When the last snapshot was taken. A list of threads after it was made for one that the process's
 * end forestalled: the end of its threads is the process's own, which releases nothing. */
static uint64_t
last_snapshot_time(const struct vmt_report_draft *draft)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_SNAPSHOT && chunks[i].header.time_max > last)
			last = chunks[i].header.time_max;
	return last;
}

/* What the parent did behind the fork is nothing to a child. */
static void
note_fork(struct vmt_report_draft *draft, const struct vmt_event *event)
{
	uint32_t child = draft->options->lent_to;

	if (event->kind == VMT_EVENT_FORK && child != 0 && event->argument_a == child &&
	    !draft->joined && event->time < draft->snapshot.head.time)
		draft->snapshot.head.time = event->time;
}

static void
reach_growth(struct vmt_report_draft *draft, uint64_t time)
{
	if (!draft->growth_from || time < draft->growth_from)
		return;
	vmt_sites_mark(draft->replay->sites);
	draft->growth_from = 0;
}

int
vmt_report_events_pass(struct vmt_report_draft *draft, uint64_t time)
{
	int status = vmt_report_events_take_tasks(draft, time);

	reach_growth(draft, time);
	vmt_report_window_reach(draft, time);
	draft->begun = true;
	return status ? status : vmt_report_snapshots_reach(draft, time);
}

static int
apply(struct vmt_report_draft *draft, const struct vmt_event *event)
{
	struct vmt_digest_writer *writer = draft->digest_writer;
	int status = writer ? vmt_digest_writer_before(writer, event) : 0;

	if (!status)
		status = vmt_replay_apply(draft->replay, event);
	if (!status && writer)
		vmt_digest_writer_after(writer, event);
	return status;
}

static int
take_event(struct vmt_report_draft *draft, const struct vmt_event *event)
{
	int status = vmt_report_events_take_tasks(draft, event->time);

	if (status)
		return status;
	draft->report.loss.events++;
	draft->last_event = event->time;
	draft->ends_with_exec = event->kind == VMT_EVENT_EXEC;
	reach_growth(draft, event->time);
	if (event->kind == VMT_EVENT_EXIT || event->kind == VMT_EVENT_EXEC)
		status = vmt_report_peak_hear(draft, event->length, event->time);
	if (status)
		return status;
	vmt_report_window_reach(draft, event->time);
	if (!is_inventory(draft, event)) {
		draft->begun = true;
		note_fork(draft, event);
		status = vmt_report_snapshots_reach(draft, event->time);
	}
	if (!status)
		status = apply(draft, event);
	return status ? status : vmt_history_marks_note(draft->marks, event);
}

static int
take_record(struct vmt_report_draft *draft, const struct vmt_record *record)
{
	if (record->time > draft->last_time)
		draft->last_time = record->time;
	vmt_report_compiled_reach(draft, record->time);
	if (record->kind == VMT_RECORD_USAGE)
		take_usage(draft, &record->usage);
	if (record->kind == VMT_RECORD_SNAPSHOT && draft->digest_writer)
		vmt_digest_writer_snapshot(draft->digest_writer, record->time);
	if (record->kind == VMT_RECORD_SNAPSHOT)
		return vmt_report_snapshots_take(draft, record->snapshot, record->time);
	if (record->kind == VMT_RECORD_TOUCH)
		return vmt_report_touch_take(draft, &record->touch);
	if (record->kind != VMT_RECORD_EVENT)
		return 0;
	return take_event(draft, &record->event);
}

/* What grew last is told of the last tenth before the last event that the collector wrote: a
 * program may hang for long where memory is short, and allocate nothing. */
static void
choose_growth(struct vmt_report_draft *draft)
{
	uint64_t first = vmt_trace_head(draft->trace)->clock_start.ticks;
	uint64_t last = 0;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_EVENTS && chunks[i].header.time_max > last)
			last = chunks[i].header.time_max;
	/* Whose calls were never seen, has what it had. */
	if (draft->options->no_growth || last <= first ||
	    (vmt_trace_head(draft->trace)->notes & VMT_NOTE_OUTSIDE))
		return;
	draft->growth_from = last - (last - first) / GROWTH_PART;
	draft->report.process.growth_from_ns = vmt_trace_time_ns(draft->trace, draft->growth_from);
}

static uint64_t
cpu_ns(void)
{
	struct timespec used = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void
limit_cpu(struct vmt_report_draft *draft)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += sizeof(chunks[i].header) + chunks[i].header.payload_bytes;
	draft->cpu_limit_ns = draft->options->cpu_ns;
	if (!draft->cpu_limit_ns)
		draft->cpu_limit_ns = CPU_ALWAYS_NS + bytes * CPU_NS_PER_BYTE;
	draft->cpu_limit_ns += cpu_ns();
}

/* Compression and chosen addresses can make a small file mean any amount of work. */
static int
check_cpu(const struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	if (cpu_ns() <= draft->cpu_limit_ns)
		return 0;
	return vmt_err_set(err, E2BIG,
			   "%s: gave up after %llu events: it takes far longer to read than any "
			   "program's trace of its size",
			   path, (unsigned long long)draft->report.loss.events);
}

/* What a record will need comes from memory while those before it are replayed. */
static void
expect(const struct vmt_report_draft *draft, const struct vmt_record *const *records, size_t count,
       size_t at)
{
	size_t ahead = at + EXPECT_AHEAD;
	size_t soon = at + EXPECT_SOON;

	if (ahead < count && records[ahead]->kind == VMT_RECORD_EVENT)
		vmt_replay_expect(draft->replay, &records[ahead]->event);
	if (soon < count && records[soon]->kind == VMT_RECORD_EVENT)
		vmt_replay_expect_soon(draft->replay, &records[soon]->event);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Ticks: before that time an event of the heap is nothing to anyone but the replay, unless a record
 * of another kind comes first. */
static uint64_t
quiet_until(const struct vmt_report_draft *draft)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);
	const struct vmt_trace_chunk *tasks =
	    draft->tasks_at < count ? &chunks[draft->tasks_at] : NULL;
	uint64_t until = draft->window_changes;

	if (!draft->begun || draft->compiled || (tasks && tasks->header.kind != VMT_CHUNK_TASKS))
		return 0;
	if (tasks)
		until = earlier(until, tasks->header.time_min);
	if (draft->growth_from)
		until = earlier(until, draft->growth_from);
	if (draft->chosen && !draft->joined)
		until = earlier(until, draft->snapshot.head.time);
	if (draft->waiting.first < draft->waiting.end)
		until = earlier(until, draft->waiting.items[draft->waiting.first].time);
	if (draft->digest_writer)
		until = earlier(until, vmt_digest_writer_cut(draft->digest_writer));
	if (draft->digest)
		until = earlier(until, vmt_digest_reader_next(draft->digest));
	return until;
}

static bool
is_quiet(const struct vmt_record *record, uint64_t until)
{
	return record->kind == VMT_RECORD_EVENT && record->event.kind < VMT_EVENT_FIRST_OF_MAP &&
	       record->time < until;
}

/* What take_record does for each of them, in one go. */
static void
note_quiet(struct vmt_report_draft *draft, uint64_t time, size_t count)
{
	draft->report.loss.events += count;
	draft->last_event = time;
	draft->ends_with_exec = false;
	if (time > draft->last_time)
		draft->last_time = time;
}

/* Two events that are one step to the replay: replay_pair.h. */
static bool
is_pair(const struct vmt_record *const *records, size_t count, size_t at, uint64_t until)
{
	return at + 1 < count && records[at]->event.address == records[at + 1]->event.address &&
	       is_quiet(records[at + 1], until) &&
	       vmt_replay_pair_is(&records[at]->event, &records[at + 1]->event);
}

/* The events from `from` on that are nothing to anyone but the replay; *to: behind the last. */
static int
take_quiet(struct vmt_report_draft *draft, const struct vmt_record *const *records, size_t count,
	   size_t from, size_t *to)
{
	bool expects = !vmt_replay_is_small(draft->replay);
	uint64_t until = quiet_until(draft);
	size_t at = from;
	int status = 0;

	for (; at < count && !status && is_quiet(records[at], until); at++) {
		if (expects)
			expect(draft, records, count, at);
		if (is_pair(records, count, at, until)) {
			if (expects)
				expect(draft, records, count, at + 1);
			status = vmt_replay_pair_apply(draft->replay, &records[at]->event,
						       &records[at + 1]->event);
			at++; /* an acquisition is nothing to the marks */
		} else {
			status = vmt_replay_apply(draft->replay, &records[at]->event);
		}
		if (!status && draft->marks)
			status = vmt_history_marks_note(draft->marks, &records[at]->event);
		if (draft->digest_writer)
			vmt_digest_writer_note(draft->digest_writer, &records[at]->event);
	}
	if (at > from)
		note_quiet(draft, records[at - 1]->time, at - from);
	*to = at;
	return status;
}

/* The same beside folds, in which most records are. */
static int
take_folded_batch(struct vmt_report_draft *draft, const struct vmt_record *const *records,
		  size_t count)
{
	size_t at = 0;
	int status = 0;

	while (at < count && !status) {
		size_t from = at;
		bool is_folded;

		status = vmt_digest_reader_reach(draft->digest, records[at], &is_folded);
		if (!status && !is_folded)
			status = take_quiet(draft, records, count, at, &at);
		if (!status && at == from && !is_folded)
			status = take_record(draft, records[at]);
		at += at == from;
	}
	return status;
}

static int
take_batch(struct vmt_report_draft *draft, const struct vmt_record *const *records, size_t count)
{
	size_t at = 0;
	int status = 0;

	if (draft->digest)
		return take_folded_batch(draft, records, count);
	if (draft->digest_writer)
		vmt_digest_writer_look(draft->digest_writer);
	while (at < count && !status) {
		status = take_quiet(draft, records, count, at, &at);
		if (at < count && !status)
			status = take_record(draft, records[at++]);
	}
	return status;
}

bool
vmt_report_events_lack_modules(const struct vmt_report_draft *draft)
{
	const struct vmt_trace_loss *loss = vmt_trace_loss(draft->trace);

	return loss->overwritten_by_kind[VMT_EVENT_MODULE_LOAD] ||
	       loss->dropped_by_kind[VMT_EVENT_MODULE_LOAD] || loss->events_missing ||
	       vmt_trace_head(draft->trace)->notes & VMT_NOTE_BUFFERED;
}

/* Where two were at one place at different times, only events could tell which was when. */
static int
place_module(struct vmt_report_draft *draft, uint32_t id, const struct vmt_module *module)
{
	struct vmt_module_history *history = draft->replay->history;
	uint32_t next = vmt_module_history_next(history, module->low);
	const struct vmt_span *there = next ? vmt_module_history_span(history, next) : NULL;
	struct vmt_event event = {.kind = VMT_EVENT_MODULE_LOAD,
				  .time = vmt_trace_head(draft->trace)->clock_start.ticks,
				  .address = module->low,
				  .length = module->high - module->low,
				  .argument_a = module->bias,
				  .argument_b = id};

	if (module->low == 0 || module->high <= module->low)
		return 0;
	if (there && there->low < module->high) {
		vmt_module_history_unload(history, there->low, there->module);
		return 0;
	}
	return vmt_replay_apply(draft->replay, &event);
}

/* The oldest events are the first to be overwritten, and those say where the program's modules
 * are. The module table knows where each was at first; events that are left say it again. */
static int
place_lost_modules(struct vmt_report_draft *draft)
{
	uint32_t id = VMT_MODULE_FIRST_ID;
	struct vmt_module module;
	int status = 0;

	if (!vmt_report_events_lack_modules(draft))
		return 0;
	for (uint32_t i = 0; i < PLACED_MOST && !status; i++) {
		if (!vmt_trace_module(draft->trace, id, &module))
			break;
		status = place_module(draft, id, &module);
		id = vmt_module_table_next(id, &module);
	}
	return status;
}

int
vmt_report_events_begin(struct vmt_report_draft *draft, const char *path, uint64_t until,
			struct vmt_err *err)
{
	int status = vmt_merge_open_until(&draft->merge, draft->trace, until, err);

	vmt_report_compiled_watch(draft);
	if (!status && place_lost_modules(draft))
		status = vmt_report_draft_no_memory(err, path);
	return status;
}

void
vmt_report_events_plan(struct vmt_report_draft *draft)
{
	vmt_report_touch_heads(draft);
	choose_growth(draft);
	vmt_report_peak_scan(draft);
	vmt_report_window_plan(draft);
	limit_cpu(draft);
}

int
vmt_report_events_run(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	const struct vmt_record *const *records = NULL;
	size_t count = 0;
	size_t chunks;
	int status = 0;

	(void)vmt_trace_chunks(draft->trace, &chunks);
	while (!status) {
		status = vmt_merge_next_batch(draft->merge, &records, &count, err);
		if (status || count == 0)
			break;
		vmt_report_draft_tell(draft, "reading events",
				      vmt_merge_chunks_opened(draft->merge), chunks);
		status = take_batch(draft, records, count);
		if (status && status != -ESTALE)
			status = vmt_report_draft_no_memory(err, path);
		if (!status)
			status = check_cpu(draft, path, err);
	}
	return status;
}

int
vmt_report_events_end(struct vmt_report_draft *draft, const char *path, struct vmt_err *err)
{
	int status = draft->digest ? vmt_digest_reader_finish(draft->digest) : 0;

	if (status == -ESTALE)
		return status;
	if (status || vmt_replay_heap_settle(draft->replay) ||
	    vmt_report_snapshots_reach(draft, UINT64_MAX) ||
	    vmt_report_events_take_tasks(draft, last_snapshot_time(draft)))
		status = vmt_report_draft_no_memory(err, path);
	vmt_unfinished_calls_settle(draft->replay);
	if (draft->growth_from)
		vmt_sites_mark(draft->replay->sites);
	vmt_report_window_close(draft);
	draft->report.loss.events_unknown = vmt_merge_events_unknown(draft->merge);
	return status;
}
