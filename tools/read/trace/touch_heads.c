#include "tools/read/trace/touch_heads.h"

#include <string.h>

static bool
get_head(struct vmt_trace *trace, const struct vmt_trace_chunk *chunk, struct vmt_touch_head *head)
{
	struct vmt_touch_decoder decoder;
	const unsigned char *bytes;
	struct vmt_err err = {""};
	size_t length;

	return chunk->header.kind == VMT_CHUNK_TOUCH &&
	       vmt_trace_payload(trace, chunk, &bytes, &length, &err) == 0 &&
	       vmt_touch_begin_decode(&decoder, &chunk->header, bytes, length, head);
}

static uint64_t
sum(uint64_t left, uint64_t right)
{
	uint64_t result;

	return __builtin_add_overflow(left, right, &result) ? UINT64_MAX : result;
}

static void
add_samples(struct vmt_touch_heads *heads, const struct vmt_touch_head *head)
{
	uint64_t stood_for;

	if (head->samples == 0)
		return;
	if (__builtin_mul_overflow(head->period, (uint64_t)head->samples, &stood_for))
		stood_for = UINT64_MAX;
	heads->samples += head->samples;
	heads->stood_for = sum(heads->stood_for, stood_for);
	if (heads->least_period == 0 || head->period < heads->least_period)
		heads->least_period = head->period;
	if (head->period > heads->most_period)
		heads->most_period = head->period;
}

static void
take_known(uint64_t *figure, uint64_t now)
{
	if (now != VMT_FIGURE_UNKNOWN)
		*figure = now;
}

/* A process that has executed another program counts on: how many faults were this one's is not
 * known any longer. A refusal knows nothing of those before it. */
static void
take_counts(struct vmt_touch_heads *heads, const struct vmt_touch_head *head)
{
	if (head->flags & VMT_TOUCH_REFUSED)
		return;
	heads->minor_faults = head->minor_faults;
	heads->major_faults = head->major_faults;
}

static void
add(struct vmt_touch_heads *heads, const struct vmt_touch_head *head)
{
	bool pauses = head->period == 0 && !(head->flags & VMT_TOUCH_REFUSED);

	add_samples(heads, head);
	/* The period varies: of a chunk without samples it is that of none. */
	if (head->period != 0 && (head->samples != 0 || heads->samples == 0))
		heads->period = head->period;
	/* A pause may have several chunks. */
	heads->pauses += pauses && !heads->is_paused;
	heads->is_paused = pauses;
	take_counts(heads, head);
	take_known(&heads->samples_lost, head->samples_lost);
	take_known(&heads->samples_skipped, head->samples_skipped);
	heads->flags = head->flags | (heads->flags & VMT_TOUCH_RAISED);
	if (head->flags & VMT_TOUCH_REFUSED)
		heads->refused = head->refused;
	heads->present = true;
}

void
vmt_touch_heads_add_up(struct vmt_touch_heads *heads, struct vmt_trace *trace)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);
	struct vmt_touch_head head;

	*heads = (struct vmt_touch_heads){.minor_faults = VMT_FIGURE_UNKNOWN,
					  .major_faults = VMT_FIGURE_UNKNOWN};
	for (size_t i = 0; i < count; i++)
		if (get_head(trace, &chunks[i], &head)) {
			if (!heads->present || chunks[i].header.time_min < heads->from)
				heads->from = chunks[i].header.time_min;
			add(heads, &head);
		}
}
