#include "tools/read/trace/trace.h"

#include "base/ticks.h"
#include "format/codec.h"
#include "tools/read/trace/chunk_index.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/payload.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/trace_head.h"
#include "tools/read/trace/trace_stacks.h"
#include "tools/read/trace/undrained.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AWAITED_NS UINT64_C(2000000000)
#define AWAITED_ROUNDS 2u
/* For all traces that are opened together: any number may claim that their collector lives. */
#define ALL_AWAITED_NS (2 * AWAITED_NS)
#define GLANCE_NS 2000000L

/* 146 years: the distance of any two times is a number, too. */
#define MAX_TIME_NS (INT64_MAX / 2)

struct vmt_trace {
	struct vmt_file_reader file;
	struct vmt_head head;
	struct vmt_chunk_index index;
	struct vmt_undrained remains;
	struct vmt_trace_loss loss;
	bool without_stacks; /* those below are empty */
	struct vmt_trace_stacks *stacks;
	struct vmt_touch_stacks *touch_stacks;
	unsigned char *modules;
	uint64_t modules_used;
	struct vmt_payload payload;
	bool has_end;
	struct vmt_chunk_end end;
	const char *end_name;
	int end_status;
	uint64_t rate_ticks; /* rate_ticks ticks are rate_ns nanoseconds; neither is 0 */
	uint64_t rate_ns;
};

/* The words of the head that hooks and the collector go on writing, as they are by now: stacks and
 * modules that the chunks refer to are then all below the used counters. */
static void
refresh_head(struct vmt_trace *trace)
{
	static const size_t from = offsetof(struct vmt_head, stack_words_used);
	struct vmt_head now;

	if (!vmt_trace_head_read_known(&trace->file, &now))
		return;
	memcpy(&now, &trace->head, from);
	/* Its owner may have written anything meanwhile. */
	if (vmt_head_check(&now) == NULL)
		trace->head = now;
}

/* Who asks right after the process ended gets the whole answer: its collector writes the last of it
 * within its next round. Where the process is not seen and its collector has gone round twice
 * without a word of an end, it lives. */
static void
await_end(struct vmt_trace *trace)
{
	static const struct timespec glance = {0, GLANCE_NS};
	static uint64_t waited_ns;
	uint64_t from_ns = vmt_ticks_monotonic_ns();
	uint64_t until_ns = from_ns + AWAITED_NS;
	bool is_elsewhere = vmt_process_end_is_elsewhere(&trace->head);
	uint64_t heartbeat_ns = trace->head.heartbeat_ns;
	unsigned rounds = 0;

	while (!(is_elsewhere && rounds >= AWAITED_ROUNDS) &&
	       vmt_process_end_is_awaited(&trace->head) && vmt_ticks_monotonic_ns() < until_ns &&
	       waited_ns + vmt_ticks_monotonic_ns() - from_ns < ALL_AWAITED_NS) {
		nanosleep(&glance, NULL);
		refresh_head(trace);
		rounds += trace->head.heartbeat_ns != heartbeat_ns;
		heartbeat_ns = trace->head.heartbeat_ns;
	}
	waited_ns += vmt_ticks_monotonic_ns() - from_ns;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int
read_modules(struct vmt_trace *trace, struct vmt_err *err)
{
	const struct vmt_head *head = &trace->head;

	trace->modules_used = smaller(head->modules_used, head->modules_bytes);
	trace->modules =
	    vmt_file_reader_copy(&trace->file, head->modules_offset, trace->modules_used, err);
	return trace->modules != NULL ? 0 : -EIO;
}

int
vmt_trace_payload(struct vmt_trace *trace, const struct vmt_trace_chunk *chunk,
		  const unsigned char **bytes, size_t *length, struct vmt_err *err)
{
	return vmt_payload_read(&trace->payload, &trace->file, chunk, bytes, length, err);
}

/* The payload of the last chunk of a kind; NULL where there is none that can be read. */
static const struct vmt_trace_chunk *
last_payload(struct vmt_trace *trace, enum vmt_chunk_kind kind, const unsigned char **bytes,
	     size_t *length)
{
	const struct vmt_trace_chunk *chunk = vmt_chunk_index_last(&trace->index, kind);
	struct vmt_err ignored = {""};

	if (chunk == NULL || vmt_trace_payload(trace, chunk, bytes, length, &ignored) != 0)
		return NULL;
	return chunk;
}

static void
read_end(struct vmt_trace *trace)
{
	const unsigned char *bytes = NULL;
	size_t length = 0;

	if (last_payload(trace, VMT_CHUNK_END, &bytes, &length) != NULL &&
	    length >= VMT_CHUNK_END_LEAST_BYTES) {
		memcpy(&trace->end, bytes,
		       length < sizeof(trace->end) ? length : sizeof(trace->end));
		trace->has_end = true;
	}
	trace->end_name =
	    vmt_process_end_find(&trace->head, vmt_trace_end_chunk(trace), &trace->end_status);
}

static void
consider_pair(struct vmt_trace *trace, uint64_t ticks, uint64_t monotonic_ns)
{
	const struct vmt_clock_pair *start = &trace->head.clock_start;

	if (ticks <= start->ticks || monotonic_ns <= start->monotonic_ns)
		return;
	if (trace->rate_ns != 0 && ticks - start->ticks <= trace->rate_ticks)
		return;
	trace->rate_ticks = ticks - start->ticks;
	trace->rate_ns = monotonic_ns - start->monotonic_ns;
}

static void
consider_last_usage(struct vmt_trace *trace)
{
	const unsigned char *bytes = NULL;
	struct vmt_usage usage;
	size_t length = 0;
	const struct vmt_trace_chunk *chunk = last_payload(trace, VMT_CHUNK_USAGE, &bytes, &length);
	size_t record_bytes;

	if (chunk == NULL)
		return;
	record_bytes = vmt_codec_usage_bytes(&chunk->header);
	if (length < record_bytes)
		return;
	bytes += (length / record_bytes - 1) * record_bytes;
	if (vmt_codec_get_usage(&chunk->header, bytes, record_bytes, &usage) != 0)
		consider_pair(trace, usage.time, usage.monotonic_ns);
}

static void
consider_last_snapshot(struct vmt_trace *trace)
{
	const unsigned char *bytes = NULL;
	struct vmt_snapshot_head head;
	size_t length = 0;
	const struct vmt_trace_chunk *chunk =
	    last_payload(trace, VMT_CHUNK_SNAPSHOT, &bytes, &length);

	if (chunk != NULL && vmt_codec_get_snapshot_head(&chunk->header, bytes, length, &head) != 0)
		consider_pair(trace, head.time, head.monotonic_ns);
}

/* The clock's rate out of the two readings of both clocks that lie furthest apart. Where nobody
 * collected there is only the first: ticks then count as nanoseconds. */
static void
find_rate(struct vmt_trace *trace)
{
	if (trace->head.clock == VMT_CLOCK_TSC) {
		consider_pair(trace, trace->head.clock_last.ticks,
			      trace->head.clock_last.monotonic_ns);
		consider_last_usage(trace);
		consider_last_snapshot(trace);
		if (trace->has_end)
			consider_pair(trace, trace->end.time, trace->end.monotonic_ns);
	}
	if (trace->rate_ns == 0) {
		trace->rate_ticks = 1;
		trace->rate_ns = 1;
	}
}

/* What a living trace goes on writing. */
static int
read_growing(struct vmt_trace *trace, struct vmt_err *err)
{
	int result;

	await_end(trace);
	result = vmt_undrained_load(&trace->remains, &trace->file, &trace->head, err);
	/* Rings first, chunks last: an event that the collector moves meanwhile is seen in both,
	 * and its position tells; the other way round it would be seen in neither. */
	vmt_file_reader_refresh(&trace->file);
	if (result == 0)
		result = vmt_chunk_index_extend(&trace->index, &trace->file, &trace->head, err);
	if (result != 0)
		return result;
	refresh_head(trace);
	trace->loss.cut_bytes = trace->file.bytes - trace->index.end_offset;
	result =
	    vmt_undrained_settle(&trace->remains, &trace->head, &trace->index, &trace->loss, err);
	if (result == 0 && !trace->without_stacks)
		result = vmt_trace_stacks_load(trace->stacks, &trace->file, &trace->head, err);
	if (result == 0)
		result = read_modules(trace, err);
	if (result != 0)
		return result;
	trace->loss.stacks_dropped = trace->head.stacks_dropped;
	trace->loss.samples_dropped = trace->head.samples_dropped;
	trace->loss.chunks_unknown = trace->index.unknown;
	read_end(trace);
	trace->loss.cut = !trace->has_end && trace->head.collected_end != VMT_END_RUNNING;
	find_rate(trace);
	return 0;
}

static int
read_all(struct vmt_trace *trace, const char *path, struct vmt_err *err)
{
	int result = vmt_file_reader_open(&trace->file, path, err);

	if (result == 0)
		result = vmt_trace_head_read(&trace->file, &trace->head, err);
	if (result != 0)
		return result;
	vmt_chunk_index_begin(&trace->index, &trace->head);
	return read_growing(trace, err);
}

/* Whether what was read of the file stands there still. */
static bool
is_what_it_was(struct vmt_trace *trace)
{
	static const size_t fixed = offsetof(struct vmt_head, stack_words_used);
	struct vmt_head now;

	if (vmt_file_reader_was_replaced(&trace->file))
		return false;
	vmt_file_reader_refresh(&trace->file);
	return trace->file.bytes >= trace->index.end_offset &&
	       vmt_trace_head_read_known(&trace->file, &now) &&
	       memcmp(&now, &trace->head, fixed) == 0 && vmt_head_check(&now) == NULL &&
	       vmt_chunk_index_is_there(&trace->index, &trace->file);
}

int
vmt_trace_refresh(struct vmt_trace *trace, struct vmt_err *err)
{
	if (!is_what_it_was(trace))
		return -ESTALE;
	refresh_head(trace);
	vmt_undrained_free(&trace->remains);
	vmt_trace_stacks_free(trace->stacks);
	free(trace->modules);
	trace->modules = NULL;
	trace->loss = (struct vmt_trace_loss){.cut = false};
	trace->has_end = false;
	trace->rate_ticks = 0;
	trace->rate_ns = 0;
	return read_growing(trace, err);
}

static int
open_trace(struct vmt_trace **trace, const char *path, bool without_stacks, struct vmt_err *err)
{
	int result;

	*trace = aligned_alloc(_Alignof(struct vmt_trace), sizeof(**trace));
	if (*trace == NULL)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
	memset(*trace, 0, sizeof(**trace));
	(*trace)->file.fd = -1;
	(*trace)->without_stacks = without_stacks;
	(*trace)->touch_stacks = vmt_touch_stacks_new();
	(*trace)->stacks = calloc(1, sizeof(*(*trace)->stacks));
	if ((*trace)->touch_stacks != NULL && (*trace)->stacks != NULL)
		result = read_all(*trace, path, err);
	else
		result = vmt_err_set(err, ENOMEM, "%s: out of memory", path);
	if (result != 0) {
		vmt_trace_close(*trace);
		*trace = NULL;
	}
	return result;
}

int
vmt_trace_open(struct vmt_trace **trace, const char *path, struct vmt_err *err)
{
	return open_trace(trace, path, false, err);
}

int
vmt_trace_open_without_stacks(struct vmt_trace **trace, const char *path, struct vmt_err *err)
{
	return open_trace(trace, path, true, err);
}

void
vmt_trace_close(struct vmt_trace *trace)
{
	if (trace == NULL)
		return;
	vmt_undrained_free(&trace->remains);
	vmt_chunk_index_free(&trace->index);
	if (trace->stacks != NULL)
		vmt_trace_stacks_free(trace->stacks);
	free(trace->stacks);
	vmt_touch_stacks_free(trace->touch_stacks);
	free(trace->modules);
	vmt_payload_free(&trace->payload);
	vmt_file_reader_close(&trace->file);
	free(trace);
}

const char *
vmt_trace_path(const struct vmt_trace *trace)
{
	return trace->file.path;
}

const struct vmt_head *
vmt_trace_head(const struct vmt_trace *trace)
{
	return &trace->head;
}

const struct vmt_trace_loss *
vmt_trace_loss(const struct vmt_trace *trace)
{
	return &trace->loss;
}

const struct vmt_trace_chunk *
vmt_trace_chunks(const struct vmt_trace *trace, size_t *count)
{
	*count = trace->index.count;
	return trace->index.chunks;
}

const uint64_t *
vmt_trace_thin_from(const struct vmt_trace *trace)
{
	return trace->index.thin_from;
}

const char *
vmt_trace_end(const struct vmt_trace *trace, int *status)
{
	*status = trace->end_status;
	return trace->end_name;
}

const struct vmt_chunk_end *
vmt_trace_end_chunk(const struct vmt_trace *trace)
{
	return trace->has_end ? &trace->end : NULL;
}

const struct vmt_event *
vmt_trace_ring_events(const struct vmt_trace *trace, size_t *count)
{
	*count = trace->remains.count;
	return trace->remains.events;
}

const struct vmt_file_reader *
vmt_trace_file(const struct vmt_trace *trace)
{
	return &trace->file;
}

const uint64_t *
vmt_trace_stack(const struct vmt_trace *trace, uint32_t id, uint32_t *frames)
{
	return vmt_trace_stacks_get(trace->stacks, &trace->head, id, frames);
}

struct vmt_touch_stacks *
vmt_trace_touch_stacks(const struct vmt_trace *trace)
{
	return trace->touch_stacks;
}

bool
vmt_trace_module(const struct vmt_trace *trace, uint32_t id, struct vmt_module *module)
{
	return vmt_module_table_get(trace->modules, trace->modules_used, id, module);
}

int64_t
vmt_trace_time_ns(const struct vmt_trace *trace, uint64_t ticks)
{
	uint64_t start = trace->head.clock_start.ticks;
	uint64_t distance = ticks >= start ? ticks - start : start - ticks;
	unsigned __int128 ns = (unsigned __int128)distance * trace->rate_ns / trace->rate_ticks;

	assert(trace->rate_ticks != 0);
	if (ns > MAX_TIME_NS)
		ns = MAX_TIME_NS;
	return ticks >= start ? (int64_t)ns : -(int64_t)ns;
}

uint64_t
vmt_trace_ticks(const struct vmt_trace *trace, uint32_t ns)
{
	unsigned __int128 ticks = (unsigned __int128)ns * trace->rate_ticks / trace->rate_ns;

	assert(trace->rate_ns != 0);
	return ticks < UINT64_MAX ? (uint64_t)ticks : UINT64_MAX;
}
