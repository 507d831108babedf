#include "format/go_heap.h"

#include "format/varint.h"

#include <string.h>

#define ADDRESSES (UINT64_C(1) << 56) /* below; no machine has more */
#define NEEDS_ZERO 1u
#define HAS_SHAPE 2u

void
vmt_go_heap_begin(struct vmt_go_heap_coder *coder)
{
	memset(coder, 0, sizeof(*coder));
}

bool
vmt_go_heap_is_span(const struct vmt_go_span *span)
{
	if (span->start % VMT_GO_PAGE_BYTES || span->bytes % VMT_GO_PAGE_BYTES ||
	    span->bytes == 0 || span->start >= ADDRESSES || span->bytes > ADDRESSES - span->start)
		return false;
	if (span->class >= VMT_GO_SPAN_CLASSES)
		return span->class >= VMT_GO_SPAN_STACK && span->slots == 0 && span->allocated == 0;
	if (span->allocated > span->slots)
		return false;
	if (span->class < 2)
		return span->slots == 1 && span->slot_bytes == 0;
	return span->slots != 0 && span->slot_bytes != 0 &&
	       span->slot_bytes <= span->bytes / span->slots;
}

/* Rows by rising address: the distance from the end of the one before, and the length. */
static unsigned char *
put_place(struct vmt_go_heap_coder *coder, unsigned char *at, uint64_t start, uint64_t bytes)
{
	at = vmt_varint_put(at, start - coder->address);
	coder->address = start + bytes;
	return vmt_varint_put(at, bytes);
}

static bool
get_place(struct vmt_go_heap_coder *coder, const unsigned char **at, const unsigned char *end,
	  uint64_t *start, uint64_t *bytes)
{
	uint64_t gap;

	if (!vmt_varint_get_bounded(at, end, ADDRESSES - coder->address, &gap))
		return false;
	*start = coder->address + gap;
	if (!vmt_varint_get_bounded(at, end, ADDRESSES - *start, bytes) || *bytes == 0)
		return false;
	coder->address = *start + *bytes;
	return true;
}

static bool
is_small(const struct vmt_go_span *span)
{
	return span->class >= 2 && span->class < VMT_GO_SPAN_CLASSES;
}

/* In units of the runtime's pages. */
static unsigned char *
put_pages(struct vmt_go_heap_coder *coder, unsigned char *at, uint64_t start, uint64_t bytes)
{
	return put_place(coder, at, start / VMT_GO_PAGE_BYTES, bytes / VMT_GO_PAGE_BYTES);
}

static bool
get_pages(struct vmt_go_heap_coder *coder, const unsigned char **at, const unsigned char *end,
	  uint64_t *start, uint64_t *bytes)
{
	if (!get_place(coder, at, end, start, bytes) ||
	    coder->address > ADDRESSES / VMT_GO_PAGE_BYTES)
		return false;
	*start *= VMT_GO_PAGE_BYTES;
	*bytes *= VMT_GO_PAGE_BYTES;
	return true;
}

unsigned char *
vmt_go_heap_put_span(struct vmt_go_heap_coder *coder, unsigned char *at,
		     const struct vmt_go_span *span)
{
	bool small = is_small(span);
	bool shaped = small && (coder->shapes[span->class].slots != span->slots ||
				coder->shapes[span->class].slot_bytes != span->slot_bytes);

	at = put_pages(coder, at, span->start, span->bytes);
	*at++ = span->class;
	*at++ = (unsigned char)((span->needs_zero ? NEEDS_ZERO : 0) | (shaped ? HAS_SHAPE : 0));
	if (shaped) {
		at = vmt_varint_put(at, span->slots);
		at = vmt_varint_put(at, span->slot_bytes);
		coder->shapes[span->class].slots = span->slots;
		coder->shapes[span->class].slot_bytes = (uint32_t)span->slot_bytes;
	}
	return span->class < VMT_GO_SPAN_CLASSES ? vmt_varint_put(at, span->allocated) : at;
}

static bool
get_shape(struct vmt_go_heap_coder *coder, const unsigned char **at, const unsigned char *end,
	  uint8_t class)
{
	uint64_t slots, slot_bytes;

	if (!vmt_varint_get_bounded(at, end, UINT32_MAX, &slots) ||
	    !vmt_varint_get_bounded(at, end, UINT32_MAX, &slot_bytes))
		return false;
	coder->shapes[class].slots = (uint32_t)slots;
	coder->shapes[class].slot_bytes = (uint32_t)slot_bytes;
	return true;
}

bool
vmt_go_heap_get_span(struct vmt_go_heap_coder *coder, const unsigned char **at,
		     const unsigned char *end, struct vmt_go_span *span)
{
	uint64_t allocated = 0;
	uint8_t marks;

	memset(span, 0, sizeof(*span));
	if (!get_pages(coder, at, end, &span->start, &span->bytes) ||
	    !vmt_varint_get_byte(at, end, &span->class) || !vmt_varint_get_byte(at, end, &marks))
		return false;
	if ((marks & HAS_SHAPE) && (!is_small(span) || !get_shape(coder, at, end, span->class)))
		return false;
	if (span->class < VMT_GO_SPAN_CLASSES &&
	    !vmt_varint_get_bounded(at, end, UINT32_MAX, &allocated))
		return false;
	span->allocated = (uint32_t)allocated;
	span->needs_zero = marks & NEEDS_ZERO;
	if (is_small(span)) {
		span->slots = coder->shapes[span->class].slots;
		span->slot_bytes = coder->shapes[span->class].slot_bytes;
	} else if (span->class < VMT_GO_SPAN_CLASSES) {
		span->slots = 1;
	}
	return vmt_go_heap_is_span(span);
}

unsigned char *
vmt_go_heap_put_run(struct vmt_go_heap_coder *coder, unsigned char *at,
		    const struct vmt_go_run *run)
{
	return put_pages(coder, at, run->start, run->bytes);
}

bool
vmt_go_heap_get_run(struct vmt_go_heap_coder *coder, const unsigned char **at,
		    const unsigned char *end, struct vmt_go_run *run)
{
	return get_pages(coder, at, end, &run->start, &run->bytes);
}

unsigned char *
vmt_go_heap_put_goroutine(struct vmt_go_heap_coder *coder, unsigned char *at,
			  const struct vmt_go_goroutine *goroutine)
{
	at = put_place(coder, at, goroutine->low, goroutine->high - goroutine->low);
	at = vmt_varint_put(at, vmt_varint_fold(goroutine->creator - coder->creator));
	coder->creator = goroutine->creator;
	return vmt_varint_put(at, goroutine->status);
}

bool
vmt_go_heap_get_goroutine(struct vmt_go_heap_coder *coder, const unsigned char **at,
			  const unsigned char *end, struct vmt_go_goroutine *goroutine)
{
	uint64_t bytes, creator, status;

	if (!get_place(coder, at, end, &goroutine->low, &bytes) ||
	    !vmt_varint_get(at, end, &creator) ||
	    !vmt_varint_get_bounded(at, end, UINT32_MAX, &status))
		return false;
	coder->creator += vmt_varint_unfold(creator);
	goroutine->high = goroutine->low + bytes;
	goroutine->creator = coder->creator;
	goroutine->status = (uint32_t)status;
	return true;
}
