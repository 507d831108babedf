/*
 * walk_trace.h: does everything that can be read of a trace hold together?
 *
 * Opens a file, merges all its records, reads every snapshot, stack and module, and says what it
 * met. Broken promises of the reader (time runs backwards, an empty message ...) abort: for unit
 * tests on damaged traces, and for the fuzzer.
 */
#ifndef WALK_TRACE_H
#define WALK_TRACE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/read/trace/merge.h"
#include "tools/read/trace/snapshot_decode.h"
#include "tools/read/trace/trace.h"

#define WALK_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct walk_result {
	int result; /* 0 or negative errno */
	struct vmt_err err;
	uint64_t events;
	uint64_t usages;
	uint64_t touches;
	uint64_t snapshots;
	uint64_t mappings;
	uint64_t runs;
	size_t chunks;
	struct vmt_trace_loss loss;
};

static inline void
walk_trace_snapshot(struct walk_result *walk, struct vmt_trace *trace,
		    const struct vmt_record *record)
{
	struct vmt_snapshot snapshot;

	walk->result = vmt_snapshot_decode(&snapshot, trace, record->snapshot, &walk->err);
	if (walk->result != 0)
		return;
	WALK_CHECK(snapshot.head.time == record->time);
	for (uint32_t i = 0; i < snapshot.head.mappings; i++) {
		const struct vmt_snapshot_mapping *part = &snapshot.mappings[i];

		WALK_CHECK(part->mapping.start < part->mapping.end);
		WALK_CHECK(part->first_run + part->runs <= snapshot.head.runs);
		for (uint32_t r = 0; r < part->runs; r++) {
			const struct vmt_run *run = &snapshot.runs[part->first_run + r];

			WALK_CHECK(run->start >= part->mapping.start);
			WALK_CHECK(run->start + run->bytes <= part->mapping.end);
		}
	}
	walk->snapshots++;
	walk->mappings += snapshot.head.mappings;
	walk->runs += snapshot.head.runs;
	vmt_snapshot_decode_free(&snapshot);
}

static inline void
walk_trace_event(struct vmt_trace *trace, const struct vmt_event *event)
{
	uint32_t count;
	const uint64_t *frames = vmt_trace_stack(trace, event->stack, &count);
	struct vmt_module module;
	uint64_t sum = 0;

	for (uint32_t i = 0; frames != NULL && i < count; i++)
		sum += frames[i];
	if (vmt_trace_module(trace, (uint32_t)event->argument_b, &module)) {
		for (uint32_t i = 0; i < module.path_bytes; i++)
			sum += (unsigned char)module.path[i];
	}
	WALK_CHECK(event->kind < VMT_EVENT_KINDS);
	__asm__ volatile("" : : "r"(sum));
}

static inline void
walk_trace_touch(struct vmt_trace *trace, const struct vmt_record_touch *touch)
{
	const struct vmt_touch_stacks *stacks = vmt_trace_touch_stacks(trace);
	uint32_t id = vmt_touch_stacks_id(stacks, touch->sample.stack);
	uint32_t count;
	const uint64_t *frames = vmt_touch_stacks_get(stacks, id, &count);
	uint64_t sum = 0;

	WALK_CHECK((frames != NULL) == (id != 0) && count <= VMT_STACK_MAX_FRAMES);
	for (uint32_t i = 0; i < count; i++)
		sum += frames[i];
	__asm__ volatile("" : : "r"(sum));
}

static inline void
walk_trace_records(struct walk_result *walk, struct vmt_trace *trace)
{
	struct vmt_merge *merge;
	struct vmt_record record;
	uint64_t last = 0;

	walk->result = vmt_merge_open(&merge, trace, &walk->err);
	while (walk->result == 0) {
		walk->result = vmt_merge_next(merge, &record, &walk->err);
		if (walk->result != 0 || record.kind == VMT_RECORD_END)
			break;
		WALK_CHECK(record.time >= last);
		last = record.time;
		(void)vmt_trace_time_ns(trace, last);
		if (record.kind == VMT_RECORD_EVENT) {
			walk_trace_event(trace, &record.event);
			walk->events++;
		} else if (record.kind == VMT_RECORD_USAGE) {
			walk->usages++;
		} else if (record.kind == VMT_RECORD_TOUCH) {
			walk_trace_touch(trace, &record.touch);
			walk->touches++;
		} else {
			walk_trace_snapshot(walk, trace, &record);
		}
	}
	vmt_merge_close(merge);
}

/* Reads the whole file. */
static inline struct walk_result
walk_trace(const char *path)
{
	struct walk_result walk = {.err = {""}};
	struct vmt_trace *trace;
	int status;

	walk.result = vmt_trace_open(&trace, path, &walk.err);
	WALK_CHECK((walk.result == 0) == (trace != NULL));
	if (walk.result == 0) {
		walk.loss = *vmt_trace_loss(trace);
		(void)vmt_trace_chunks(trace, &walk.chunks);
		WALK_CHECK(vmt_trace_end(trace, &status) != NULL);
		walk_trace_records(&walk, trace);
		vmt_trace_close(trace);
	}
	WALK_CHECK((walk.result < 0) == (walk.err.text[0] != '\0'));
	WALK_CHECK(walk.result == 0 || strstr(walk.err.text, path) != NULL);
	WALK_CHECK(strchr(walk.err.text, '\n') == NULL);
	return walk;
}

#endif
