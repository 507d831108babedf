/* The inside of a Go heap as bytes: there and back, cut, and wrong. */
#include "tools/read/trace/go_heap_chunk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0xc000000000)
#define PAGE VMT_GO_PAGE_BYTES

static const struct vmt_go_span spans[] = {
    {.start = BASE, .bytes = PAGE, .slot_bytes = 48, .slots = 170, .allocated = 3, .class = 10},
    {.start = BASE + PAGE, .bytes = 4 * PAGE, .slots = 1, .allocated = 1, .class = 1},
    {.start = BASE + 8 * PAGE,
     .bytes = PAGE,
     .slot_bytes = 48,
     .slots = 170,
     .allocated = 170,
     .class = 10,
     .needs_zero = true},
    {.start = BASE + 9 * PAGE, .bytes = 4 * PAGE, .class = VMT_GO_SPAN_STACK},
    {.start = BASE + 13 * PAGE, .bytes = PAGE, .class = VMT_GO_SPAN_OTHER},
};
#define SPANS (sizeof(spans) / sizeof(spans[0]))

static const struct vmt_go_run runs[] = {{BASE, 512 * PAGE}, {BASE + 1024 * PAGE, PAGE}};

static const struct vmt_go_goroutine goroutines[] = {
    {BASE + 9 * PAGE, BASE + 9 * PAGE + 2048, 0x401234, 4},
    {BASE + 9 * PAGE + 2048, BASE + 10 * PAGE, 0x401234, 4},
    {BASE + 11 * PAGE, BASE + 12 * PAGE, 0x400100, VMT_GO_DEAD},
};
#define GOROUTINES (sizeof(goroutines) / sizeof(goroutines[0]))

static unsigned char payload[4096];
static const struct vmt_chunk header = {.kind = VMT_CHUNK_GO_HEAP,
					.record_bytes = sizeof(struct vmt_go_heap_head)};

/* Its length. */
static size_t
make(void)
{
	const struct vmt_go_heap_head head = {.snapshot = 7,
					      .spans_known = 9,
					      .spans = SPANS,
					      .spans_unread = 1,
					      .ranges = 2,
					      .free = 0,
					      .released = 1,
					      .goroutines = GOROUTINES};
	unsigned char *at = payload + sizeof(head);
	struct vmt_go_heap_coder coder;

	memcpy(payload, &head, sizeof(head));
	vmt_go_heap_begin(&coder);
	for (size_t i = 0; i < SPANS; i++)
		at = vmt_go_heap_put_span(&coder, at, &spans[i]);
	vmt_go_heap_begin(&coder);
	for (size_t i = 0; i < 2; i++)
		at = vmt_go_heap_put_run(&coder, at, &runs[i]);
	vmt_go_heap_begin(&coder);
	at = vmt_go_heap_put_run(&coder, at, &runs[1]);
	vmt_go_heap_begin(&coder);
	for (size_t i = 0; i < GOROUTINES; i++)
		at = vmt_go_heap_put_goroutine(&coder, at, &goroutines[i]);
	return (size_t)(at - payload);
}

static void
assert_same_span(const struct vmt_go_span *a, const struct vmt_go_span *b)
{
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->slot_bytes, b->slot_bytes);
	assert_int_equal(a->slots, b->slots);
	assert_int_equal(a->allocated, b->allocated);
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->needs_zero, b->needs_zero);
}

static void
what_is_written_is_read(void **state)
{
	size_t length = make();
	struct vmt_go_heap heap;
	struct vmt_err err;

	(void)state;
	assert_int_equal(vmt_go_heap_chunk_read(&heap, &header, payload, length, &err), 0);
	assert_int_equal(heap.head.snapshot, 7);
	assert_int_equal(heap.head.spans_unread, 1);
	for (size_t i = 0; i < SPANS; i++)
		assert_same_span(&heap.spans[i], &spans[i]);
	assert_memory_equal(heap.ranges, runs, sizeof(runs));
	assert_memory_equal(heap.released, &runs[1], sizeof(runs[1]));
	for (size_t i = 0; i < GOROUTINES; i++) {
		assert_int_equal(heap.goroutines[i].low, goroutines[i].low);
		assert_int_equal(heap.goroutines[i].high, goroutines[i].high);
		assert_int_equal(heap.goroutines[i].creator, goroutines[i].creator);
		assert_int_equal(heap.goroutines[i].status, goroutines[i].status);
	}
	vmt_go_heap_chunk_free(&heap);
}

/* A later version may have a longer head. */
static void
a_longer_head_is_passed_over(void **state)
{
	size_t length = make();
	size_t lists = length - sizeof(struct vmt_go_heap_head);
	struct vmt_chunk longer = header;
	struct vmt_go_heap heap;
	struct vmt_err err;

	(void)state;
	memmove(payload + sizeof(struct vmt_go_heap_head) + 16,
		payload + sizeof(struct vmt_go_heap_head), lists);
	longer.record_bytes += 16;
	assert_int_equal(vmt_go_heap_chunk_read(&heap, &longer, payload, length + 16, &err), 0);
	assert_same_span(&heap.spans[SPANS - 1], &spans[SPANS - 1]);
	vmt_go_heap_chunk_free(&heap);
}

static void
what_is_cut_is_an_error(void **state)
{
	size_t length = make();
	struct vmt_go_heap heap;
	struct vmt_err err;

	(void)state;
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(vmt_go_heap_chunk_read(&heap, &header, payload, cut, &err),
				 -EBADMSG);
}

/* Counts that no payload can hold make no room. */
static void
counts_are_bounded(void **state)
{
	static const size_t places[] = {
	    offsetof(struct vmt_go_heap_head, spans), offsetof(struct vmt_go_heap_head, ranges),
	    offsetof(struct vmt_go_heap_head, free), offsetof(struct vmt_go_heap_head, released),
	    offsetof(struct vmt_go_heap_head, goroutines)};
	struct vmt_go_heap heap;
	struct vmt_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t length = make();
		uint64_t huge = UINT64_C(1) << 60;

		memcpy(payload + places[i], &huge, sizeof(huge));
		assert_int_equal(vmt_go_heap_chunk_read(&heap, &header, payload, length, &err),
				 -EBADMSG);
	}
}

/* Every byte of the lists, changed: whatever is taken is in order. */
static void
what_is_wrong_is_in_order_or_an_error(void **state)
{
	size_t length = make();
	struct vmt_go_heap heap;
	struct vmt_err err;
	size_t refused = 0;

	(void)state;
	for (size_t at = sizeof(struct vmt_go_heap_head); at < length; at++) {
		for (unsigned value = 0; value < 256; value++) {
			uint64_t end = 0;

			make();
			payload[at] = (unsigned char)value;
			if (vmt_go_heap_chunk_read(&heap, &header, payload, length, &err)) {
				refused++;
				continue;
			}
			for (size_t i = 0; i < SPANS; i++) {
				assert_true(heap.spans[i].start >= end);
				assert_true(vmt_go_heap_is_span(&heap.spans[i]));
				end = heap.spans[i].start + heap.spans[i].bytes;
			}
			vmt_go_heap_chunk_free(&heap);
		}
	}
	assert_true(refused > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(a_longer_head_is_passed_over),
	    cmocka_unit_test(what_is_cut_is_an_error),
	    cmocka_unit_test(counts_are_bounded),
	    cmocka_unit_test(what_is_wrong_is_in_order_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
