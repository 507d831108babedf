#include "collect/go_profile_writer.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "collect/go_profile_reader.h"
#include "collect/trace_clock.h"
#include "format/checksum.h"
#include "format/chunk.h"

#include <errno.h>
#include <string.h>

#define GUESS UINT64_C(1024) /* buckets, before any has been seen */

/* How many buckets may be read now: twice as many as there were, so that a list that has grown is
 * read to its end, or what the snapshot allows; 0: none. */
static uint64_t
allowed(const struct vmt_go_profile_job *job)
{
	struct vmt_go_profile_state *state = job->state;
	uint64_t rows = state->buckets < GUESS / 2 ? GUESS : 2 * state->buckets;
	uint64_t by_snapshot = job->most_ns / vmt_go_heap_cost_of(&state->cost, 1);

	if (by_snapshot >= rows)
		return by_snapshot;
	return vmt_go_heap_cost_allows(&state->cost, rows, job->most_ns, vmt_ticks_monotonic_ns())
		   ? rows
		   : 0;
}

/* Into the profile, and its cost into the account. */
static int
read_measured(struct vmt_go_profile *profile, const struct vmt_go_profile_job *job,
	      const struct vmt_go_view *view, uint64_t most)
{
	struct vmt_go_profile_state *state = job->state;
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int result = vmt_go_profile_read(profile, view, most);

	vmt_go_heap_cost_learn(&state->cost, profile->count,
			       vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns,
			       vmt_ticks_monotonic_ns());
	if (profile->count > state->buckets)
		state->buckets = profile->count;
	return result;
}

/* What became of the reading, for the chunk; an error: no chunk is worth it. */
static int
fill_head(struct vmt_go_profile_head *head, const struct vmt_go_profile *profile, int result)
{
	head->known = profile->count;
	if (result == -E2BIG)
		head->flags |= VMT_GO_PROFILE_TOO_DEAR;
	else if (result == -EAGAIN || result == -EINVAL)
		head->flags |= VMT_GO_PROFILE_UNSTEADY;
	else if (result < 0)
		return result;
	if (result < 0)
		return 0;
	head->rate_bytes = profile->rate_bytes;
	head->rows = profile->rows;
	head->unread = profile->unread;
	if (profile->uncollected)
		head->flags |= VMT_GO_PROFILE_UNCOLLECTED;
	return 0;
}

/* Behind room for the head; how many bytes both have. */
static size_t
put_rows(struct vmt_buffer *payload, struct vmt_go_profile_head *head,
	 const struct vmt_go_profile *profile, struct vmt_go_profile_state *state)
{
	unsigned char *rows = payload->bytes + sizeof(*head);
	size_t bytes = head->rows == 0 ? 0 : (size_t)(vmt_go_profile_write(profile, rows) - rows);
	uint32_t checksum = vmt_checksum_update(0, rows, bytes);

	if (state->is_written && state->checksum == checksum && bytes != 0) {
		head->flags |= VMT_GO_PROFILE_SAME;
		head->rows = 0;
		return sizeof(*head);
	}
	state->checksum = checksum;
	state->is_written = false; /* until it is */
	return sizeof(*head) + bytes;
}

static int
write_chunk(struct vmt_go_profile_head *head, const struct vmt_go_profile *profile,
	    const struct vmt_go_profile_job *job, struct vmt_writer *writer)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_GO_PROFILE, .record_bytes = sizeof(*head)};
	struct vmt_buffer payload = {0};
	size_t bytes;
	int result = -ESRCH;

	if (!vmt_buffer_reserve(&payload, sizeof(*head) + profile->rows_bytes) || !payload.bytes)
		return -ENOMEM;
	bytes = put_rows(&payload, head, profile, job->state);
	/* What was read may be a successor's. */
	if (job->maps_fd >= 0 && vmt_procfs_is_mapped(job->maps_fd)) {
		head->time = vmt_trace_clock_now(job->head->clock);
		head->monotonic_ns = vmt_ticks_monotonic_ns();
		memcpy(payload.bytes, head, sizeof(*head));
		chunk.time_min = chunk.time_max = head->time;
		result = vmt_writer_append(writer, &chunk, payload.bytes, bytes);
	}
	if (result == 0 && head->rows != 0)
		job->state->is_written = true;
	vmt_buffer_free(&payload);
	return result;
}

int
vmt_go_profile_writer_take(const struct vmt_go_profile_job *job, struct vmt_writer *writer)
{
	struct vmt_go_profile_head head = {.snapshot = job->snapshot};
	struct vmt_go_profile profile = {.count = 0};
	struct vmt_go_view view;
	uint64_t most = allowed(job);
	int result = -E2BIG;

	vmt_go_view_open(&view, job->head, job->pid);
	view.pause = job->pause;
	view.context = job->context;
	if (!view.offsets || view.profile == 0)
		return -ENODATA;
	if (most != 0)
		result = read_measured(&profile, job, &view, most);
	result = fill_head(&head, &profile, result);
	if (result == 0)
		result = write_chunk(&head, &profile, job, writer);
	vmt_go_profile_free(&profile);
	return result;
}
