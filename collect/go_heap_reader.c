#include "collect/go_heap_reader.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/ticks.h"
#include "collect/go_free.h"
#include "collect/go_goroutines.h"
#include "collect/go_large_reader.h"
#include "collect/go_spans.h"
#include "collect/trace_clock.h"
#include "format/chunk.h"

#include <errno.h>
#include <string.h>

struct reading {
	struct vmt_go_view view;
	struct vmt_go_heap_head head;
	struct vmt_go_spans spans;
	struct vmt_go_goroutines goroutines;
	struct vmt_go_large large;
	bool has_large;
	struct vmt_buffer payload;
};

static bool
open_view(struct vmt_go_view *view, const struct vmt_go_heap_job *job)
{
	vmt_go_view_open(view, job->head, job->pid);
	view->pause = job->pause;
	view->context = job->context;
	return view->offsets && view->heap != 0;
}

/* How many rows there are to read, before any is read. */
static int
look(struct reading *reading, uint64_t *rows)
{
	struct vmt_go_heap_head *head = &reading->head;
	int result = vmt_go_spans_count(&reading->view, &head->spans_known);

	if (result < 0)
		return result == -EINVAL ? 0 : result;
	if (vmt_go_goroutines_count(&reading->view, &head->goroutines_known) < 0)
		head->goroutines_known = 0;
	*rows =
	    (head->spans_known < VMT_GO_HEAP_MOST ? head->spans_known : VMT_GO_HEAP_MOST) +
	    (head->goroutines_known < VMT_GO_HEAP_MOST ? head->goroutines_known : VMT_GO_HEAP_MOST);
	return 0;
}

/* Without goroutines' rows the spans are worth having, too. */
static int
read_all(struct reading *reading)
{
	struct vmt_go_heap_head *head = &reading->head;
	int result = vmt_go_spans_read(&reading->spans, &reading->view);

	if (result == -EAGAIN || result == -EINVAL) {
		head->flags |= VMT_GO_HEAP_UNSTEADY;
		reading->spans.count = reading->spans.ranges.count = 0;
		return 0;
	}
	if (result < 0)
		return result;
	if (vmt_go_free_read(&reading->spans, &reading->view) < 0)
		head->flags |= VMT_GO_HEAP_NOT_FREE;
	head->spans_known = reading->spans.known;
	head->spans = reading->spans.count;
	head->spans_unread = reading->spans.unread;
	head->ranges = reading->spans.ranges.count;
	head->free = reading->spans.free.count;
	head->released = reading->spans.released.count;
	reading->has_large =
	    vmt_go_large_read(&reading->large, &reading->view, &reading->spans) == 0;
	if (vmt_go_goroutines_read(&reading->goroutines, &reading->view, &reading->spans) < 0) {
		head->flags |= VMT_GO_HEAP_NO_STACKS;
		return 0;
	}
	head->goroutines_known = reading->goroutines.known;
	head->goroutines = reading->goroutines.count;
	head->goroutines_unread = reading->goroutines.unread;
	return 0;
}

static unsigned char *
put_runs(unsigned char *at, const struct vmt_go_runs *runs)
{
	const struct vmt_go_run *rows = (const void *)runs->rows.bytes;
	struct vmt_go_heap_coder coder;

	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; i < runs->count; i++)
		at = vmt_go_heap_put_run(&coder, at, &rows[i]);
	return at;
}

static unsigned char *
put_lists(const struct reading *reading, unsigned char *at)
{
	const struct vmt_go_goroutine *goroutines = (const void *)reading->goroutines.rows.bytes;
	const struct vmt_go_span_row *spans = vmt_go_spans_rows(&reading->spans);
	struct vmt_go_heap_coder coder;

	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; i < reading->head.spans; i++)
		at = vmt_go_heap_put_span(&coder, at, &spans[i].span);
	at = put_runs(at, &reading->spans.ranges);
	at = put_runs(at, &reading->spans.free);
	at = put_runs(at, &reading->spans.released);
	vmt_go_heap_begin(&coder);
	for (uint64_t i = 0; i < reading->head.goroutines; i++)
		at = vmt_go_heap_put_goroutine(&coder, at, &goroutines[i]);
	return at;
}

static int
write_chunk(struct reading *reading, const struct vmt_go_heap_job *job, struct vmt_writer *writer)
{
	const struct vmt_go_heap_head *head = &reading->head;
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_GO_HEAP, .record_bytes = sizeof(*head)};
	uint64_t rows = head->spans + head->ranges + head->free + head->released + head->goroutines;
	unsigned char *end;

	if (!vmt_buffer_reserve(&reading->payload,
				sizeof(*head) + rows * VMT_GO_HEAP_ROW_MAX_BYTES))
		return -ENOMEM;
	end = put_lists(reading, reading->payload.bytes + sizeof(*head));
	/* What was read may be a successor's. */
	if (job->maps_fd < 0 || !vmt_procfs_is_mapped(job->maps_fd))
		return -ESRCH;
	reading->head.time = vmt_trace_clock_now(job->head->clock);
	reading->head.monotonic_ns = vmt_ticks_monotonic_ns();
	memcpy(reading->payload.bytes, head, sizeof(*head));
	chunk.time_min = chunk.time_max = head->time;
	return vmt_writer_append(writer, &chunk, reading->payload.bytes,
				 (size_t)(end - reading->payload.bytes));
}

/* Behind the heap's own chunk, whose time it has. */
static int
write_large(struct reading *reading, struct vmt_writer *writer)
{
	const struct vmt_go_large_head head = {.time = reading->head.time,
					       .monotonic_ns = reading->head.monotonic_ns,
					       .snapshot = reading->head.snapshot,
					       .sites = reading->large.site_count,
					       .objects = reading->large.objects,
					       .unread = reading->large.unread};
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_GO_LARGE,
				  .record_bytes = sizeof(head),
				  .time_min = head.time,
				  .time_max = head.time};
	unsigned char *end;

	if (!vmt_buffer_reserve(&reading->payload,
				sizeof(head) + vmt_go_large_room(&reading->large)))
		return -ENOMEM;
	memcpy(reading->payload.bytes, &head, sizeof(head));
	end = vmt_go_large_write(&reading->large, reading->payload.bytes + sizeof(head));
	return vmt_writer_append(writer, &chunk, reading->payload.bytes,
				 (size_t)(end - reading->payload.bytes));
}

/* Into the reading, and its cost into the account. */
static int
read_measured(struct reading *reading, const struct vmt_go_heap_job *job, uint64_t rows)
{
	uint64_t before_ns = vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int result = read_all(reading);

	vmt_go_heap_cost_learn(job->cost, rows,
			       vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns,
			       vmt_ticks_monotonic_ns());
	return result;
}

int
vmt_go_heap_reader_take(const struct vmt_go_heap_job *job, struct vmt_writer *writer)
{
	struct reading reading = {.head = {.snapshot = job->snapshot}};
	uint64_t rows = 0;
	int result;

	if (!open_view(&reading.view, job))
		return -ENODATA;
	result = look(&reading, &rows);
	if (result == 0 &&
	    !vmt_go_heap_cost_allows(job->cost, rows, job->most_ns, vmt_ticks_monotonic_ns()))
		reading.head.flags |= VMT_GO_HEAP_TOO_DEAR;
	else if (result == 0)
		result = read_measured(&reading, job, rows);
	if (result == 0)
		result = write_chunk(&reading, job, writer);
	if (result == 0 && reading.has_large)
		result = write_large(&reading, writer);
	vmt_go_large_free(&reading.large);
	vmt_go_spans_free(&reading.spans);
	vmt_go_goroutines_free(&reading.goroutines);
	vmt_buffer_free(&reading.payload);
	return result;
}
