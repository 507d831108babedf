/*
 * touch_batch.h: gathers the page faults of one process for a chunk
 *
 * Samples in the order of their times, each with a stack that stands once. A batch has a most of
 * either; when one is reached it is to be written. Single-threaded; memory is growable mappings,
 * made with the first sample.
 */
#ifndef VMT_TOUCH_BATCH_H
#define VMT_TOUCH_BATCH_H

#include "base/buffer.h"
#include "collect/writer.h"
#include "format/touch.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_TOUCH_BATCH_SAMPLES 4096u
#define VMT_TOUCH_BATCH_STACKS 1024u

struct vmt_touch_batch {
	struct vmt_buffer samples; /* struct vmt_touch_sample */
	struct vmt_buffer stacks;
	struct vmt_buffer frames; /* uint64_t, of all stacks */
	struct vmt_buffer table;  /* stacks by their hash */
	uint32_t sample_count;
	uint32_t stack_count;
	uint32_t frame_count;
};

/* The sample's stack index is set here. False: full, or there is no memory. */
bool vmt_touch_batch_add(struct vmt_touch_batch *batch, const struct vmt_touch_sample *sample,
			 const struct vmt_touch_stack *stack);

/* Writes a chunk, samples or none; `time` is its time where it has none. The batch is empty after
 * that, but for an error: the writer's, or -ENOMEM. */
int vmt_touch_batch_write(struct vmt_touch_batch *batch, const struct vmt_touch_head *head,
			  uint64_t time, struct vmt_buffer *scratch, struct vmt_writer *writer);

void vmt_touch_batch_drop(struct vmt_touch_batch *batch);
void vmt_touch_batch_free(struct vmt_touch_batch *batch);

#endif
