/*
 * A Go runtime that was made by hand, in this process's own memory: what is read of it, and what
 * becomes of one that lies.
 */
#include "collect/go_free.h"
#include "collect/go_goroutines.h"
#include "collect/go_spans.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/soak.h"

#define BASE UINT64_C(0xc000000000)
#define PAGE VMT_GO_PAGE_BYTES
#define CHUNK UINT64_C(0x400000)
#define MOST 64
#define OBJECT_BYTES 512

/* The chunk of BASE, and its array. */
#define CHUNK_INDEX ((BASE + (UINT64_C(1) << 47)) / CHUNK)
#define ARRAY (CHUNK_INDEX / 8192)

struct made {
	unsigned char heap[1 << 17];
	unsigned char spans[MOST][OBJECT_BYTES];
	unsigned char goroutines[MOST][OBJECT_BYTES];
	unsigned char processor[OBJECT_BYTES];
	uint64_t span_list[MOST];
	uint64_t goroutine_list[MOST];
	uint64_t processor_list[1];
	uint64_t range[2];
	uint64_t used[8]; /* the bits of the one chunk, together */
	uint64_t given_back[8];
	uint64_t all_goroutines[3];
	uint64_t processors[3];
	uint64_t span_count;
	uint64_t goroutine_count;
};

static struct made *made;
static const struct vmt_go_offsets *offsets;
static struct vmt_go_view view;
static struct vmt_go_spans spans;
static struct vmt_go_goroutines goroutines;

static void
put(unsigned char *at, uint32_t offset, uint64_t value, size_t bytes)
{
	memcpy(at + offset, &value, bytes);
}

static void
put_slice(unsigned char *at, const void *list, uint64_t count)
{
	put(at, 0, (uintptr_t)list, 8);
	put(at, 8, count, 8);
	put(at, 16, count, 8);
}

/* One chunk of heap, all of it free. */
static void
set_up(void)
{
	offsets = vmt_go_offsets_of("go1.24.4");
	if (!offsets)
		skip();
	made = calloc(1, sizeof(*made));
	assert_non_null(made);
	made->range[0] = BASE;
	made->range[1] = BASE + CHUNK;
	put_slice(made->heap + offsets->heap_ranges, made->range, 1);
	put(made->heap, offsets->heap_chunks + ARRAY * 8,
	    (uintptr_t)made->used - CHUNK_INDEX % 8192 * 128, 8);
	made->processor_list[0] = (uintptr_t)made->processor;
	put_slice((unsigned char *)made->processors, made->processor_list, 1);
	view = (struct vmt_go_view){.pid = (uint32_t)getpid(),
				    .offsets = offsets,
				    .heap = (uintptr_t)made->heap,
				    .all_goroutines = (uintptr_t)made->all_goroutines,
				    .processors = (uintptr_t)made->processors};
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_go_spans_free(&spans);
	vmt_go_goroutines_free(&goroutines);
	memset(&spans, 0, sizeof(spans));
	memset(&goroutines, 0, sizeof(goroutines));
	free(made);
	made = NULL;
	return 0;
}

static unsigned char *
add_span(uint64_t page, uint64_t pages, uint64_t state, uint64_t class)
{
	unsigned char *span = made->spans[made->span_count];

	assert_true(made->span_count < MOST);
	made->span_list[made->span_count++] = (uintptr_t)span;
	put(span, offsets->span_start, BASE + page * PAGE, 8);
	put(span, offsets->span_pages, pages, 8);
	put(span, offsets->span_state, state, 1);
	put(span, offsets->span_class, class, 1);
	put_slice(made->heap + offsets->heap_spans, made->span_list, made->span_count);
	for (uint64_t i = page; i < page + pages && i < 512; i++)
		made->used[i / 64] |= UINT64_C(1) << i % 64;
	return span;
}

static void
add_small(uint64_t page, uint64_t slots, uint64_t slot_bytes, uint64_t allocated)
{
	unsigned char *span = add_span(page, 1, 1, 10);

	put(span, offsets->span_slots, slots, offsets->span_slots_bytes);
	put(span, offsets->span_slot_bytes, slot_bytes, 8);
	put(span, offsets->span_allocated, allocated, 2);
}

static void
add_large(uint64_t page, uint64_t pages)
{
	unsigned char *span = add_span(page, pages, 1, 0);

	put(span, offsets->span_slots, 1, offsets->span_slots_bytes);
	put(span, offsets->span_slot_bytes, pages * PAGE, 8);
	put(span, offsets->span_allocated, 1, 2);
	put(span, offsets->span_needzero, 1, 1);
}

static void
add_stacks(uint64_t page, uint64_t pages)
{
	put(add_span(page, pages, 2, 0), offsets->span_slot_bytes, 2048, 8);
}

static void
add_goroutine(uint64_t low, uint64_t high, uint32_t status, uint64_t creator)
{
	unsigned char *goroutine = made->goroutines[made->goroutine_count];

	assert_true(made->goroutine_count < MOST);
	made->goroutine_list[made->goroutine_count++] = (uintptr_t)goroutine;
	put(goroutine, offsets->g_stack_low, low, 8);
	put(goroutine, offsets->g_stack_high, high, 8);
	put(goroutine, offsets->g_status, status, 4);
	put(goroutine, offsets->g_creator, creator, 8);
	put_slice((unsigned char *)made->all_goroutines, made->goroutine_list,
		  made->goroutine_count);
}

static const struct vmt_go_span *
row(size_t i)
{
	assert_true(i < spans.count);
	return &vmt_go_spans_rows(&spans)[i].span;
}

static void
spans_are_read_in_order(void **state)
{
	(void)state;
	set_up();
	add_large(100, 4);
	add_small(7, 170, 48, 3);
	add_stacks(20, 4);
	(void)add_span(30, 2, 2, 0);
	(void)add_span(40, 2, 0, 0); /* no longer in use */
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(spans.count, 4);
	assert_int_equal(spans.unread, 0);
	assert_int_equal(spans.known, 5);
	assert_int_equal(row(0)->start, BASE + 7 * PAGE);
	assert_int_equal(row(0)->slots, 170);
	assert_int_equal(row(0)->slot_bytes, 48);
	assert_int_equal(row(0)->allocated, 3);
	assert_int_equal(row(1)->class, VMT_GO_SPAN_STACK);
	assert_int_equal(row(2)->class, VMT_GO_SPAN_OTHER);
	assert_int_equal(row(3)->bytes, 4 * PAGE);
	assert_true(row(3)->needs_zero);
	assert_ptr_equal(vmt_go_spans_at(&spans, BASE + 101 * PAGE), row(3));
	assert_null(vmt_go_spans_at(&spans, BASE + 104 * PAGE));
}

static uint64_t
bytes_of(const struct vmt_go_runs *runs)
{
	const struct vmt_go_run *rows = (const void *)runs->rows.bytes;
	uint64_t bytes = 0, end = 0;

	for (size_t i = 0; i < runs->count; i++) {
		assert_true(rows[i].start > end || end == 0);
		end = rows[i].start + rows[i].bytes;
		bytes += rows[i].bytes;
	}
	return bytes;
}

/* Of 512 pages 10 are in use, 64 are with a processor, and half of the rest was given back. */
static void
free_pages_are_told(void **state)
{
	(void)state;
	set_up();
	add_large(0, 10);
	made->used[7] = ~UINT64_C(0);
	put(made->processor, offsets->p_cache, BASE + 448 * PAGE, 8);
	put(made->processor, offsets->p_cache + 8, UINT64_C(0xff), 8);
	put(made->processor, offsets->p_cache + 16, UINT64_C(0xf0), 8);
	for (int i = 1; i < 4; i++)
		made->given_back[i] = ~UINT64_C(0);
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(vmt_go_free_read(&spans, &view), 0);
	assert_int_equal(bytes_of(&spans.released), (3 * 64 + 4) * PAGE);
	assert_int_equal(bytes_of(&spans.free), (512 - 10 - 4 * 64 + 4) * PAGE);
}

/* A processor's cache that makes no sense: nobody says what is free. */
static void
a_cache_that_makes_no_sense_is_not_taken(void **state)
{
	(void)state;
	set_up();
	add_large(0, 10);
	put(made->processor, offsets->p_cache, BASE + 1, 8);
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(spans.count, 1);
	assert_int_equal(vmt_go_free_read(&spans, &view), -EINVAL);
	assert_int_equal(spans.released.count + spans.free.count, 0);
}

/* What can't be is left out and counted; the rest stays. */
static void
nonsense_is_counted(void **state)
{
	(void)state;
	set_up();
	add_large(0, 4);
	(void)add_span(10, UINT64_C(1) << 60, 1, 0); /* pages */
	(void)add_span(10, 0, 1, 0);		     /* none */
	(void)add_span(10, 1, 77, 0);		     /* state */
	(void)add_span(10, 1, 1, 200);		     /* class */
	(void)add_span(600, 1, 2, 0);		     /* beyond the heap */
	(void)add_span(510, 4, 2, 0);		     /* in part beyond it */
	add_small(10, 170, 48, 171);		     /* more objects than slots */
	add_small(10, 170, 4096, 3);		     /* slots larger than the span */
	made->span_list[made->span_count++] = 8;     /* not mapped */
	made->span_list[made->span_count++] = UINT64_MAX - 7;
	add_large(20, 4);
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(spans.count, 2);
	assert_int_equal(spans.unread, 10);
	assert_int_equal(row(1)->start, BASE + 20 * PAGE);
}

/* Spans over one another, however many: none of those is said, and what lies beside them is. */
static void
spans_over_one_another_are_counted(void **state)
{
	(void)state;
	set_up();
	add_large(0, 4);
	add_large(10, 100);
	add_large(20, 4);
	add_large(30, 4);
	add_large(105, 10);
	add_large(200, 4);
	add_large(200, 4);
	add_large(300, 4);
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	for (size_t i = 1; i < spans.count; i++)
		assert_true(row(i)->start >= row(i - 1)->start + row(i - 1)->bytes);
	assert_int_equal(spans.count + spans.unread, 8);
	assert_int_equal(row(0)->start, BASE);
	assert_int_equal(row(spans.count - 1)->start, BASE + 300 * PAGE);
	for (size_t i = 0; i < spans.count; i++)
		assert_true(row(i)->start != BASE + 10 * PAGE &&
			    row(i)->start != BASE + 200 * PAGE);
}

static void
lists_that_lie_are_refused(void **state)
{
	struct vmt_go_slice list;
	uint64_t count;

	(void)state;
	set_up();
	add_large(0, 4);
	/* As many as there can't be: the list ends where memory does. */
	list =
	    (struct vmt_go_slice){(uintptr_t)made->span_list, UINT64_C(1) << 39, UINT64_C(1) << 39};
	memcpy(made->heap + offsets->heap_spans, &list, sizeof(list));
	assert_true(vmt_go_spans_read(&spans, &view) < 0);
	list.count = list.capacity = UINT64_C(1) << 60;
	memcpy(made->heap + offsets->heap_spans, &list, sizeof(list));
	assert_int_equal(vmt_go_spans_read(&spans, &view), -EINVAL);
	assert_int_equal(vmt_go_spans_count(&view, &count), -EINVAL);
	list = (struct vmt_go_slice){8, 4, 4};
	memcpy(made->heap + offsets->heap_spans, &list, sizeof(list));
	assert_int_equal(vmt_go_spans_read(&spans, &view), -EAGAIN);
	list = (struct vmt_go_slice){(uintptr_t)made->span_list, 4, 3};
	memcpy(made->heap + offsets->heap_spans, &list, sizeof(list));
	assert_int_equal(vmt_go_spans_read(&spans, &view), -EINVAL);
	/* Address space that ends before it begins. */
	put_slice(made->heap + offsets->heap_spans, made->span_list, 1);
	made->range[1] = made->range[0];
	assert_int_equal(vmt_go_spans_read(&spans, &view), -EINVAL);
	view.heap = 4096;
	assert_int_equal(vmt_go_spans_read(&spans, &view), -EFAULT);
}

static const struct vmt_go_goroutine *
goroutine(size_t i)
{
	assert_true(i < goroutines.count);
	return &((const struct vmt_go_goroutine *)(const void *)goroutines.rows.bytes)[i];
}

static void
goroutines_are_read(void **state)
{
	const uint64_t stacks = BASE + 20 * PAGE;

	(void)state;
	set_up();
	add_stacks(20, 4);
	add_large(30, 4);
	add_goroutine(stacks + 2048, stacks + 4096, 4, 0x402222);
	add_goroutine(stacks, stacks + 2048, 0x1000 | 4, 0x401111); /* being looked at */
	add_goroutine(0, 0, VMT_GO_DEAD, 0x401111);		    /* has given it back */
	add_goroutine(stacks + 8192, stacks + 16384, VMT_GO_DEAD, 0x401111);
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(vmt_go_goroutines_read(&goroutines, &view, &spans), 0);
	assert_int_equal(goroutines.known, 4);
	assert_int_equal(goroutines.count, 3);
	assert_int_equal(goroutines.unread, 0);
	assert_int_equal(goroutine(0)->creator, 0x401111);
	assert_int_equal(goroutine(0)->status, 4);
	assert_int_equal(goroutine(1)->low, stacks + 2048);
	assert_int_equal(goroutine(2)->status, VMT_GO_DEAD);
}

static void
goroutines_that_lie_are_counted(void **state)
{
	const uint64_t stacks = BASE + 20 * PAGE;

	(void)state;
	set_up();
	add_stacks(20, 4);
	add_large(30, 4);
	add_goroutine(stacks, stacks + 2048, 4, 1);
	add_goroutine(stacks + 1024, stacks + 4096, 4, 1);	 /* over the first */
	add_goroutine(stacks + 4096, stacks + 4096, 4, 1);	 /* empty */
	add_goroutine(stacks + 8192, stacks + 5 * PAGE, 4, 1);	 /* ends beyond its span */
	add_goroutine(BASE + 30 * PAGE, BASE + 31 * PAGE, 4, 1); /* in an object */
	add_goroutine(UINT64_MAX - 4096, UINT64_MAX, 4, 1);
	add_goroutine(stacks + 8192, stacks + 10240, 0xabcdef, 1); /* status */
	made->goroutine_list[0] = 16;				   /* not mapped */
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(vmt_go_goroutines_read(&goroutines, &view, &spans), 0);
	assert_int_equal(goroutines.count, 1);
	assert_int_equal(goroutines.unread, 6);
	assert_int_equal(goroutine(0)->low, stacks + 1024);
}

static void
check_order(void)
{
	for (size_t i = 0; i < spans.count; i++) {
		assert_true(vmt_go_heap_is_span(row(i)));
		assert_true(row(i)->start >= BASE && row(i)->start + row(i)->bytes <= BASE + CHUNK);
		assert_true(i == 0 || row(i)->start >= row(i - 1)->start + row(i - 1)->bytes);
	}
	for (size_t i = 0; i < goroutines.count; i++)
		assert_true(goroutine(i)->low < goroutine(i)->high &&
			    (i == 0 || goroutine(i)->low >= goroutine(i - 1)->high));
	(void)bytes_of(&spans.free);
	(void)bytes_of(&spans.released);
}

/* Bytes that are anything: whatever is taken is in order, and all that is known is counted. */
static void
random_memory_ends_well(void **state)
{
	uint64_t random = 88172645463325252; /* xorshift64 */
	uint64_t taken = 0, goroutines_taken = 0;

	(void)state;
	for (long round = 0; round < soak_count(300, 100000); round++) {
		set_up();
		for (int i = 0; i < 20; i++)
			add_large((uint64_t)i * 20, 4);
		add_stacks(500, 8);
		for (uint64_t i = 0; i < 20; i++)
			add_goroutine(BASE + (500 + i / 4) * PAGE + i % 4 * 2048,
				      BASE + (500 + i / 4) * PAGE + (i % 4 + 1) * 2048, 4, i);
		for (int i = 0; i < 60; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			if (i % 3 == 0)
				made->spans[random % 21][random / 64 % OBJECT_BYTES] ^=
				    (unsigned char)(random >> 32);
			else if (i % 3 == 1)
				made->goroutines[random % 20][random / 64 % OBJECT_BYTES] ^=
				    (unsigned char)(random >> 32);
			else
				made->used[random / 64 % 8] = made->given_back[random / 512 % 8] =
				    random;
		}
		made->span_list[random % 21] = random;
		made->goroutine_list[random % 20] = random;
		assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
		assert_true(spans.count + spans.unread <= spans.known);
		assert_int_equal(vmt_go_free_read(&spans, &view), 0);
		assert_int_equal(vmt_go_goroutines_read(&goroutines, &view, &spans), 0);
		assert_true(goroutines.count + goroutines.unread <= goroutines.known);
		check_order();
		taken += spans.count;
		goroutines_taken += goroutines.count;
		goroutines.count = 0;
		(void)tear_down(NULL);
	}
	assert_true(taken > 0 && goroutines_taken > 0);
}

static void
only_releases_have_offsets(void **state)
{
	(void)state;
	if (!vmt_go_offsets_of("go1.24.4"))
		skip();
	assert_int_equal(vmt_go_offsets_of("go1.19")->minor, 19);
	assert_int_equal(vmt_go_offsets_of("go1.26.10")->minor, 26);
	assert_null(vmt_go_offsets_of("go1.24.4 X:nogreenteagc"));
	assert_null(vmt_go_offsets_of("go1.24rc1"));
	assert_null(vmt_go_offsets_of("go1.24."));
	assert_null(vmt_go_offsets_of("go1.18.2"));
	assert_null(vmt_go_offsets_of("go1.99.1"));
	assert_null(vmt_go_offsets_of("devel go1.24-abc"));
	assert_null(vmt_go_offsets_of("unknown"));
	assert_null(vmt_go_offsets_of(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(spans_are_read_in_order, tear_down),
	    cmocka_unit_test_teardown(free_pages_are_told, tear_down),
	    cmocka_unit_test_teardown(a_cache_that_makes_no_sense_is_not_taken, tear_down),
	    cmocka_unit_test_teardown(nonsense_is_counted, tear_down),
	    cmocka_unit_test_teardown(spans_over_one_another_are_counted, tear_down),
	    cmocka_unit_test_teardown(lists_that_lie_are_refused, tear_down),
	    cmocka_unit_test_teardown(goroutines_are_read, tear_down),
	    cmocka_unit_test_teardown(goroutines_that_lie_are_counted, tear_down),
	    cmocka_unit_test_teardown(random_memory_ends_well, tear_down),
	    cmocka_unit_test(only_releases_have_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
