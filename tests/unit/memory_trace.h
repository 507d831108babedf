/*
 * memory_trace.h: a trace in plain memory, for unit tests of preload modules that write events.
 *
 * One shard, nobody collects. memory_trace_begin makes it and turns recording on; memory_trace_next
 * takes map events in the order in which they were written.
 */
#ifndef VMT_TEST_MEMORY_TRACE_H
#define VMT_TEST_MEMORY_TRACE_H

#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/modules/modules.h"
#include "format/head.h"
#include "format/module_table.h"
#include "preload/libc/real.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_TRACE_WORDS (UINT64_C(1) << 16)

static uint64_t memory_trace_position;

/* What the library's start gives capture. */
static inline void
memory_trace_lend_loader(void)
{
	union {
		void *found;
		int (*call)(void *address, void *result);
	} finder = {vmt_real_find("_dl_find_object")};

	vmt_modules_set_finder(finder.call);
	vmt_modules_set_lister(dl_iterate_phdr);
}

static inline void
memory_trace_begin(void)
{
	static const struct vmt_head shape = {
	    .head_bytes = sizeof(struct vmt_head),
	    .shards = 1,
	    .heap_capacity = 64,
	    .map_capacity = 4096,
	    .stack_index_entries = 4096,
	    .stack_words = MEMORY_TRACE_WORDS,
	    .modules_bytes = 1 << 20,
	    .page_bytes = VMT_PAGE_LEAST_BYTES,
	};
	struct vmt_recording *process = &vmt_recording;
	struct vmt_head laid_out = shape;
	struct vmt_head *head;

	vmt_head_lay_out(&laid_out);
	head = aligned_alloc(VMT_PAGE_LEAST_BYTES, laid_out.chunks_offset);
	memset(head, 0, laid_out.chunks_offset);
	*head = laid_out;
	process->head = head;
	process->shard_mask = 0;
	vmt_config.stack_depth = 30;
	for (int class = 0; class < VMT_RING_CLASSES; class ++)
		process->rings[0][class] =
		    vmt_head_ring(head, (unsigned char *)head, 0, (enum vmt_ring_class) class);
	process->stacks = (struct vmt_stack_table){
	    .index = (uint64_t *)((char *)head + head->stack_index_offset),
	    .index_mask = head->stack_index_entries - 1,
	    .words = (uint64_t *)((char *)head + head->stack_words_offset),
	    .words_count = head->stack_words,
	    .words_used = &head->stack_words_used,
	    .dropped = &head->stacks_dropped,
	};
	memory_trace_position = 0;
	memory_trace_lend_loader();
	vmt_guard_set_up();
	vmt_guard_begin_recording();
	vmt_thread_mine()->depth = 1; /* as inside a hook */
}

static inline void
memory_trace_end(void)
{
	free(vmt_recording.head);
	vmt_recording.head = NULL;
}

/* The next map event; false: no more. */
static inline bool
memory_trace_next(struct vmt_map_event *event)
{
	const struct vmt_ring_view *ring = &vmt_recording.rings[0][VMT_RING_MAP];

	if (vmt_ring_look(ring, memory_trace_position) != VMT_RING_COMMITTED)
		return false;
	memcpy(event, vmt_ring_sequence(ring, memory_trace_position), sizeof(*event));
	vmt_ring_release(ring, memory_trace_position, VMT_RING_COMMITTED);
	memory_trace_position++;
	return true;
}

/* Whether the path of a module id ends in these words. */
static inline bool
memory_trace_module_is(uint32_t id, const char *end)
{
	const struct vmt_head *head = vmt_recording.head;
	struct vmt_module module;
	size_t length = strlen(end);

	return vmt_module_table_get((const unsigned char *)head + head->modules_offset,
				    head->modules_used, id, &module) &&
	       module.path_bytes >= length &&
	       memcmp(module.path + module.path_bytes - length, end, length) == 0;
}

#endif
