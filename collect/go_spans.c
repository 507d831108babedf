#include "collect/go_spans.h"

#include "base/assert.h"
#include "collect/address_sort.h"

#include <errno.h>
#include <string.h>

#define TRIES 3
#define AGAIN_MOST 16384u  /* spans that are read again in one round */
#define AGAIN_AT_ONCE 256u /* between two pauses */
#define RANGES_MOST 65536u

/* runtime.mSpanState */
#define STATE_DEAD 0u
#define STATE_IN_USE 1u
#define STATE_MANUAL 2u

void
vmt_go_spans_free(struct vmt_go_spans *spans)
{
	vmt_buffer_free(&spans->pointers);
	vmt_buffer_free(&spans->rows);
	vmt_buffer_free(&spans->spare);
	vmt_buffer_free(&spans->ranges.rows);
	vmt_buffer_free(&spans->free.rows);
	vmt_buffer_free(&spans->released.rows);
}

static struct vmt_go_span_row *
rows_of(struct vmt_go_spans *spans)
{
	return (struct vmt_go_span_row *)(void *)spans->rows.bytes;
}

static uint64_t
word_at(const unsigned char *bytes, uint32_t offset, uint32_t width)
{
	uint64_t word = 0;

	memcpy(&word, bytes + offset, width);
	return word;
}

/* Whether it lies in the address space of the heap. */
static bool
is_in_range(const struct vmt_go_spans *spans, const struct vmt_go_span *span)
{
	const struct vmt_go_run *ranges = (const void *)spans->ranges.rows.bytes;
	size_t low = 0, high = spans->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].start + ranges[middle].bytes <= span->start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < spans->ranges.count && span->start >= ranges[low].start &&
	       span->bytes <= ranges[low].start + ranges[low].bytes - span->start;
}

enum found { IS_SPAN, IS_DEAD, IS_NONSENSE };

/* What the bytes of a runtime.mspan say. */
static enum found
parse(const struct vmt_go_offsets *offsets, const unsigned char *bytes, struct vmt_go_span_row *row)
{
	struct vmt_go_span *span = &row->span;
	uint64_t state = word_at(bytes, offsets->span_state, 1);
	uint64_t pages = word_at(bytes, offsets->span_pages, 8);
	uint64_t slots = word_at(bytes, offsets->span_slots, offsets->span_slots_bytes);
	uint64_t slot_bytes = word_at(bytes, offsets->span_slot_bytes, 8);

	if (state == STATE_DEAD)
		return IS_DEAD;
	if (state > STATE_MANUAL || pages > UINT32_MAX || slots > UINT32_MAX)
		return IS_NONSENSE;
	row->specials = word_at(bytes, offsets->span_specials, 8);
	*span = (struct vmt_go_span){
	    .start = word_at(bytes, offsets->span_start, 8),
	    .bytes = pages * VMT_GO_PAGE_BYTES,
	    .needs_zero = word_at(bytes, offsets->span_needzero, 1) != 0,
	};
	if (state == STATE_MANUAL) {
		/* Stacks have a size; the collector's buffers and bitmaps have none. */
		span->class = slot_bytes != 0 ? VMT_GO_SPAN_STACK : VMT_GO_SPAN_OTHER;
		return vmt_go_heap_is_span(span) ? IS_SPAN : IS_NONSENSE;
	}
	span->class = (uint8_t)word_at(bytes, offsets->span_class, 1);
	span->slots = (uint32_t)slots;
	span->allocated = (uint32_t)word_at(bytes, offsets->span_allocated, 2);
	if (span->class >= 2)
		span->slot_bytes = slot_bytes;
	return span->class < VMT_GO_SPAN_CLASSES && vmt_go_heap_is_span(span) ? IS_SPAN
									      : IS_NONSENSE;
}

bool
vmt_go_spans_parse(const struct vmt_go_offsets *offsets, const unsigned char *bytes,
		   struct vmt_go_span_row *row)
{
	return parse(offsets, bytes, row) == IS_SPAN;
}

struct visit {
	struct vmt_go_spans *spans;
	const struct vmt_go_view *view;
};

static void
take_span(void *context, size_t index, const unsigned char *bytes)
{
	const struct visit *visit = context;
	struct vmt_go_spans *spans = visit->spans;
	struct vmt_go_span_row row = {.span = {0}};
	enum found found = bytes ? parse(visit->view->offsets, bytes, &row) : IS_NONSENSE;

	if (found == IS_SPAN && !is_in_range(spans, &row.span))
		found = IS_NONSENSE;
	spans->unread += found == IS_NONSENSE;
	if (found != IS_SPAN)
		return;
	memcpy(&row.descriptor, spans->pointers.bytes + index * sizeof(uint64_t),
	       sizeof(row.descriptor));
	rows_of(spans)[spans->count++] = row;
}

static int
read_rows(struct vmt_go_spans *spans, const struct vmt_go_view *view, uint64_t count)
{
	struct visit visit = {spans, view};
	struct vmt_remote_pieces pieces = {
	    .pid = view->pid,
	    .addresses = (const uint64_t *)(const void *)spans->pointers.bytes,
	    .count = count,
	    .piece_bytes = view->offsets->span_bytes,
	    .visit = take_span,
	    .context = &visit,
	    .pause = view->pause,
	    .pause_context = view->context,
	};

	spans->count = 0;
	spans->unread = 0;
	return vmt_remote_read_pieces(&pieces);
}

static int
read_list(const struct vmt_go_view *view, struct vmt_go_slice *list)
{
	int result = vmt_go_view_slice(view, view->heap + view->offsets->heap_spans, list);

	if (result == 0 && list->capacity > UINT64_C(1) << 40)
		result = -EINVAL;
	return result;
}

int
vmt_go_spans_count(const struct vmt_go_view *view, uint64_t *count)
{
	struct vmt_go_slice list = {0};
	int result = read_list(view, &list);

	*count = result == 0 ? list.count : 0;
	return result;
}

/* The list grows into a larger array, and the old one is unmapped. */
static int
read_once(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	struct vmt_go_slice list = {0}, after = {0};
	uint64_t count;
	int result = read_list(view, &list);

	if (result < 0)
		return result;
	count = list.count < VMT_GO_HEAP_MOST ? list.count : VMT_GO_HEAP_MOST;
	if (!vmt_buffer_reserve(&spans->pointers, count * sizeof(uint64_t) + 1) ||
	    !vmt_buffer_reserve(&spans->rows, count * sizeof(struct vmt_go_span_row) + 1) ||
	    !vmt_buffer_reserve(&spans->spare, count * sizeof(struct vmt_go_span_row) + 1))
		return -ENOMEM;
	spans->known = list.count;
	result = count == 0 ? 0
			    : vmt_remote_read(view->pid, list.address, spans->pointers.bytes,
					      count * sizeof(uint64_t));
	if (result == -EFAULT)
		return -EAGAIN;
	if (result == 0)
		result = read_rows(spans, view, count);
	if (result == 0)
		result = read_list(view, &after);
	if (result == 0 && after.address != list.address)
		result = -EAGAIN;
	spans->unread += list.count - count;
	return result;
}

static void
sort(struct vmt_go_spans *spans)
{
	vmt_address_sort(spans->rows.bytes, spans->count, sizeof(struct vmt_go_span_row),
			 spans->spare.bytes);
}

/* Reads a span of which the row contradicts another; false: it is gone. */
static bool
read_again(struct vmt_go_spans *spans, const struct vmt_go_view *view, struct vmt_go_span_row *row)
{
	unsigned char bytes[VMT_REMOTE_PIECE_MOST_BYTES];
	enum found found = IS_NONSENSE;

	vmt_assert(view->offsets->span_bytes <= sizeof(bytes));
	if (vmt_remote_read(view->pid, row->descriptor, bytes, view->offsets->span_bytes) == 0)
		found = parse(view->offsets, bytes, row);
	if (found == IS_SPAN && !is_in_range(spans, &row->span))
		found = IS_NONSENSE;
	spans->unread += found == IS_NONSENSE;
	return found == IS_SPAN;
}

/* Whether row i lies over a neighbour. */
static bool
is_doubtful(const struct vmt_go_span_row *rows, size_t count, size_t i)
{
	if (i > 0 && rows[i - 1].span.start + rows[i - 1].span.bytes > rows[i].span.start)
		return true;
	return i + 1 < count && rows[i].span.start + rows[i].span.bytes > rows[i + 1].span.start;
}

/* What changed hands while it was read is told twice, or half. Each round reads again what lies
 * over a neighbour, up to a bound; after the last one it is left out. */
static void
settle(struct vmt_go_spans *spans, const struct vmt_go_view *view, bool last)
{
	struct vmt_go_span_row *rows = rows_of(spans);
	unsigned char *doubtful = spans->spare.bytes;
	size_t again = 0;
	size_t kept = 0;

	for (size_t i = 0; i < spans->count; i++)
		doubtful[i] = is_doubtful(rows, spans->count, i);
	for (size_t i = 0; i < spans->count; i++) {
		struct vmt_go_span_row row = rows[i];

		again += doubtful[i];
		if (doubtful[i] && (last || again > AGAIN_MOST))
			spans->unread++;
		else if (!doubtful[i] || read_again(spans, view, &row))
			rows[kept++] = row;
		if (doubtful[i] && view->pause && again % AGAIN_AT_ONCE == 0)
			view->pause(view->context);
	}
	spans->count = kept;
}

/* Whatever lies over another one lies over its next neighbour too, so the last round leaves none.
 */
static void
settle_all(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	for (int round = 0; round <= TRIES; round++) {
		sort(spans);
		settle(spans, view, round == TRIES);
	}
}

static int
read_ranges(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	struct vmt_go_slice list = {0};
	struct vmt_go_run *runs;
	uint64_t end = 0;
	int result = vmt_go_view_slice(view, view->heap + view->offsets->heap_ranges, &list);

	if (result < 0)
		return result;
	if (list.count == 0 || list.count > RANGES_MOST)
		return -EINVAL;
	if (!vmt_buffer_reserve(&spans->ranges.rows, list.count * sizeof(*runs)))
		return -ENOMEM;
	runs = (struct vmt_go_run *)(void *)spans->ranges.rows.bytes;
	result = vmt_remote_read(view->pid, list.address, runs, list.count * sizeof(*runs));
	if (result < 0)
		return result == -EFAULT ? -EAGAIN : result;
	for (uint64_t i = 0; i < list.count; i++) {
		uint64_t limit = runs[i].bytes; /* the runtime's pairs are start and end */

		if (runs[i].start < end || limit <= runs[i].start || limit >= UINT64_C(1) << 56 ||
		    runs[i].start % VMT_GO_PAGE_BYTES || limit % VMT_GO_PAGE_BYTES)
			return -EINVAL;
		end = limit;
		runs[i].bytes = limit - runs[i].start;
	}
	spans->ranges.count = list.count;
	return 0;
}

int
vmt_go_spans_read(struct vmt_go_spans *spans, const struct vmt_go_view *view)
{
	int result = -EAGAIN;

	for (int i = 0; i < TRIES && (result == -EAGAIN || result == -EINVAL); i++) {
		result = read_ranges(spans, view);
		if (result == 0)
			result = read_once(spans, view);
	}
	if (result < 0)
		return result;
	settle_all(spans, view);
	return 0;
}

const struct vmt_go_span *
vmt_go_spans_at(const struct vmt_go_spans *spans, uint64_t address)
{
	const struct vmt_go_span_row *rows = vmt_go_spans_rows(spans);
	size_t low = 0, high = spans->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle].span.start + rows[middle].span.bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < spans->count && rows[low].span.start <= address ? &rows[low].span : NULL;
}
