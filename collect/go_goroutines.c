#include "collect/go_goroutines.h"

#include "collect/address_sort.h"

#include <errno.h>
#include <string.h>

#define STACK_MOST_BYTES (UINT64_C(1) << 32)
#define STATUS_SCAN UINT32_C(0x1000) /* runtime._Gscan: a mark beside the status */
#define STATUS_MOST 15u

void
vmt_go_goroutines_free(struct vmt_go_goroutines *goroutines)
{
	vmt_buffer_free(&goroutines->pointers);
	vmt_buffer_free(&goroutines->rows);
	vmt_buffer_free(&goroutines->spare);
}

struct visit {
	struct vmt_go_goroutines *goroutines;
	const struct vmt_go_spans *spans;
	const struct vmt_go_offsets *offsets;
};

static struct vmt_go_goroutine *
rows_of(struct vmt_go_goroutines *goroutines)
{
	return (struct vmt_go_goroutine *)(void *)goroutines->rows.bytes;
}

static bool
has_sense(const struct vmt_go_goroutine *row, const struct vmt_go_spans *spans)
{
	const struct vmt_go_span *span = vmt_go_spans_at(spans, row->low);

	return row->status <= STATUS_MOST && row->low < row->high &&
	       row->high - row->low <= STACK_MOST_BYTES && span &&
	       span->class == VMT_GO_SPAN_STACK && row->high <= span->start + span->bytes;
}

static void
take(void *context, size_t index, const unsigned char *bytes)
{
	const struct visit *visit = context;
	struct vmt_go_goroutines *goroutines = visit->goroutines;
	struct vmt_go_goroutine row = {0};

	(void)index;
	if (bytes) {
		memcpy(&row.low, bytes + visit->offsets->g_stack_low, sizeof(row.low));
		memcpy(&row.high, bytes + visit->offsets->g_stack_high, sizeof(row.high));
		memcpy(&row.status, bytes + visit->offsets->g_status, sizeof(row.status));
		memcpy(&row.creator, bytes + visit->offsets->g_creator, sizeof(row.creator));
		row.status &= ~STATUS_SCAN;
		/* It has ended and given its stack back, or has not begun. */
		if (row.low == 0 && row.high == 0)
			return;
	}
	if (bytes && has_sense(&row, visit->spans))
		rows_of(goroutines)[goroutines->count++] = row;
	else
		goroutines->unread++;
}

static uint32_t
piece_bytes(const struct vmt_go_offsets *offsets)
{
	uint32_t most = offsets->g_stack_high;

	most = offsets->g_status > most ? offsets->g_status : most;
	most = offsets->g_creator > most ? offsets->g_creator : most;
	return most + (uint32_t)sizeof(uint64_t);
}

/* What lies over another is of two moments. */
static void
leave_out_overlaps(struct vmt_go_goroutines *goroutines)
{
	struct vmt_go_goroutine *rows = rows_of(goroutines);
	size_t kept = 0;

	for (size_t i = 0; i < goroutines->count; i++) {
		if (kept > 0 && rows[i].low < rows[kept - 1].high)
			goroutines->unread++;
		else
			rows[kept++] = rows[i];
	}
	goroutines->count = kept;
}

static int
read_list(const struct vmt_go_view *view, struct vmt_go_slice *list)
{
	if (view->all_goroutines == 0)
		return -ENODATA;
	return vmt_go_view_slice(view, view->all_goroutines, list);
}

int
vmt_go_goroutines_count(const struct vmt_go_view *view, uint64_t *count)
{
	struct vmt_go_slice list = {0};
	int result = read_list(view, &list);

	*count = result == 0 ? list.count : 0;
	return result;
}

int
vmt_go_goroutines_read(struct vmt_go_goroutines *goroutines, const struct vmt_go_view *view,
		       const struct vmt_go_spans *spans)
{
	struct visit visit = {goroutines, spans, view->offsets};
	struct vmt_remote_pieces pieces = {.pid = view->pid,
					   .piece_bytes = piece_bytes(view->offsets),
					   .visit = take,
					   .context = &visit,
					   .pause = view->pause,
					   .pause_context = view->context};
	struct vmt_go_slice list = {0};
	int result = read_list(view, &list);

	if (result < 0)
		return result;
	goroutines->known = list.count;
	pieces.count = list.count < VMT_GO_HEAP_MOST ? list.count : VMT_GO_HEAP_MOST;
	if (!vmt_buffer_reserve(&goroutines->pointers, pieces.count * sizeof(uint64_t) + 1) ||
	    !vmt_buffer_reserve(&goroutines->rows,
				pieces.count * sizeof(struct vmt_go_goroutine) + 1) ||
	    !vmt_buffer_reserve(&goroutines->spare,
				pieces.count * sizeof(struct vmt_go_goroutine) + 1))
		return -ENOMEM;
	pieces.addresses = (const uint64_t *)(const void *)goroutines->pointers.bytes;
	goroutines->unread = list.count - pieces.count;
	if (pieces.count == 0)
		return 0;
	result = vmt_remote_read(view->pid, list.address, goroutines->pointers.bytes,
				 pieces.count * sizeof(uint64_t));
	if (result == 0)
		result = vmt_remote_read_pieces(&pieces);
	if (result < 0)
		return result;
	vmt_address_sort(goroutines->rows.bytes, goroutines->count, sizeof(struct vmt_go_goroutine),
			 goroutines->spare.bytes);
	leave_out_overlaps(goroutines);
	return 0;
}
