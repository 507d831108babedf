/*
 * Who allocated the large objects of a Go heap: read out of spans, specials and buckets that were
 * made by hand in this process's own memory, and may lie; and the chunk that holds it, cut or
 * wrong.
 */
#include "collect/go_large_reader.h"
#include "tools/read/trace/go_large_chunk.h"

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
#define CHUNK UINT64_C(0x4000000)
#define MOST 32
#define OBJECT_BYTES 512
#define CODE UINT64_C(0x401000)

struct made {
	unsigned char heap[1 << 17];
	unsigned char spans[MOST][OBJECT_BYTES];
	unsigned char specials[MOST][64];
	uint64_t buckets[MOST][16];
	uint64_t span_list[MOST];
	uint64_t range[2];
	uint64_t span_count;
	uint64_t special_count;
	uint64_t bucket_count;
};

static struct made *made;
static const struct vmt_go_offsets *offsets;
static struct vmt_go_view view;
static struct vmt_go_spans spans;
static struct vmt_go_large large;
static unsigned char payload[1 << 16];

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

static int
set_up(void **state)
{
	(void)state;
	offsets = vmt_go_offsets_of("go1.24.4");
	made = calloc(1, sizeof(*made));
	if (!made || !offsets)
		return -1;
	made->range[0] = BASE;
	made->range[1] = BASE + CHUNK;
	put_slice(made->heap + offsets->heap_ranges, made->range, 1);
	view = (struct vmt_go_view){
	    .pid = (uint32_t)getpid(), .offsets = offsets, .heap = (uintptr_t)made->heap};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_go_large_free(&large);
	vmt_go_spans_free(&spans);
	memset(&large, 0, sizeof(large));
	memset(&spans, 0, sizeof(spans));
	free(made);
	return 0;
}

static unsigned char *
add_span(uint64_t page, uint64_t pages)
{
	unsigned char *span = made->spans[made->span_count];

	assert_true(made->span_count < MOST);
	made->span_list[made->span_count++] = (uintptr_t)span;
	put(span, offsets->span_start, BASE + page * PAGE, 8);
	put(span, offsets->span_pages, pages, 8);
	put(span, offsets->span_state, 1, 1);
	put(span, offsets->span_slots, 1, offsets->span_slots_bytes);
	put(span, offsets->span_allocated, 1, 2);
	put_slice(made->heap + offsets->heap_spans, made->span_list, made->span_count);
	return span;
}

static uint64_t *
add_bucket(uint64_t object_bytes, uint64_t frames)
{
	uint64_t *bucket = made->buckets[made->bucket_count];

	assert_true(made->bucket_count < MOST && frames <= 10);
	bucket[2] = 1;
	bucket[4] = object_bytes;
	bucket[5] = frames;
	for (uint64_t i = 0; i < frames; i++)
		bucket[6 + i] = CODE + 16 * made->bucket_count + i;
	made->bucket_count++;
	return bucket;
}

/* Before the others of that span. */
static unsigned char *
add_special(unsigned char *span, uint64_t kind, const void *bucket)
{
	unsigned char *special = made->specials[made->special_count];

	assert_true(made->special_count++ < MOST);
	memcpy(special + offsets->special_next, span + offsets->span_specials, 8);
	special[offsets->special_kind] = (unsigned char)kind;
	put(special, offsets->profile_bucket, (uintptr_t)bucket, 8);
	put(span, offsets->span_specials, (uintptr_t)special, 8);
	return special;
}

static void
read_all(void)
{
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	assert_int_equal(vmt_go_large_read(&large, &view, &spans), 0);
}

static size_t
write_payload(void)
{
	const struct vmt_go_large_head head = {
	    .sites = large.site_count, .objects = large.objects, .unread = large.unread};
	unsigned char *end;

	assert_true(vmt_go_large_room(&large) <= sizeof(payload) - sizeof(head));
	memcpy(payload, &head, sizeof(head));
	end = vmt_go_large_write(&large, payload + sizeof(head));
	assert_true((size_t)(end - payload) <= sizeof(head) + vmt_go_large_room(&large));
	return (size_t)(end - payload);
}

static const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_large_head)};

static struct vmt_go_large_read
read_back(void)
{
	struct vmt_go_large_read back;
	struct vmt_err err;

	assert_int_equal(vmt_go_large_chunk_read(&back, &header, payload, write_payload(), &err),
			 0);
	return back;
}

/* Of the object at that page of the heap; NULL: it has none. */
static const struct vmt_go_profile_row *
site_at(const struct vmt_go_large_read *back, uint64_t page)
{
	for (uint64_t i = 0; i < back->head.objects; i++)
		if (back->objects[i].start == BASE + page * PAGE)
			return &back->sites[back->objects[i].site];
	return NULL;
}

static void
each_object_has_its_site(void **state)
{
	uint64_t *a = add_bucket(10 * PAGE, 3);
	uint64_t *b = add_bucket(5 * PAGE - 100, 0);
	struct vmt_go_large_read back;

	(void)state;
	add_special(add_span(20, 10), offsets->profile_kind, a);
	add_special(add_span(5, 5), offsets->profile_kind, b);
	add_special(add_span(40, 10), offsets->profile_kind, a);
	add_span(60, 10); /* not sampled */
	read_all();
	assert_int_equal(large.unread, 0);
	back = read_back();
	assert_int_equal(back.head.sites, 2);
	assert_int_equal(back.head.objects, 3);
	assert_int_equal(site_at(&back, 5)->object_bytes, 5 * PAGE - 100);
	assert_int_equal(site_at(&back, 5)->objects, 1);
	assert_int_equal(site_at(&back, 5)->frames, 0);
	assert_int_equal(site_at(&back, 20)->objects, 2);
	assert_ptr_equal(site_at(&back, 20), site_at(&back, 40));
	assert_null(site_at(&back, 60));
	assert_int_equal(back.address_count, 3);
	assert_int_equal(back.addresses[0], CODE);
	assert_int_equal(back.addresses[2], CODE + 2);
	vmt_go_large_chunk_free(&back);
}

/* A finalizer, a weak pointer. */
static void
other_specials_are_passed(void **state)
{
	unsigned char *span = add_span(20, 10);

	(void)state;
	add_special(span, offsets->profile_kind, add_bucket(10 * PAGE, 1));
	for (int i = 0; i < 5; i++)
		add_special(span, offsets->profile_kind + 1, NULL);
	add_special(add_span(40, 5), offsets->profile_kind + 1, NULL);
	read_all();
	assert_int_equal(large.objects, 1);
	assert_int_equal(large.unread, 0);
}

static void
a_circle_ends(void **state)
{
	unsigned char *span = add_span(20, 10);
	unsigned char *special = add_special(span, offsets->profile_kind + 1, NULL);

	(void)state;
	put(special, offsets->special_next, (uintptr_t)special, 8);
	read_all();
	assert_int_equal(large.objects, 0);
	assert_int_equal(large.unread, 1);
}

/* A bucket of another size is of another object: it was read while the two changed. */
static void
what_makes_no_sense_is_unread(void **state)
{
	uint64_t *cut = add_bucket(10 * PAGE, 1);
	uint64_t *other = add_bucket(10 * PAGE, 1);

	(void)state;
	cut[5] = UINT64_C(1) << 60;
	other[2] = 2;
	add_special(add_span(0, 10), offsets->profile_kind, add_bucket(11 * PAGE, 1));
	add_special(add_span(20, 10), offsets->profile_kind, (void *)8);
	add_special(add_span(40, 10), offsets->profile_kind, (char *)other + 4);
	add_special(add_span(60, 10), offsets->profile_kind, cut);
	add_special(add_span(80, 10), offsets->profile_kind, other);
	put(add_span(100, 10), offsets->span_specials, 16, 8); /* nothing is there */
	read_all();
	assert_int_equal(large.objects, 0);
	assert_int_equal(large.site_count, 0);
	assert_int_equal(large.unread, 6);
}

static void
free_span(void *context)
{
	put(context, offsets->span_specials, 0, 8);
}

/* It is freed while it is read: no line has it. */
static void
what_is_freed_meanwhile_is_unread(void **state)
{
	unsigned char *span = add_span(20, 10);

	(void)state;
	add_special(span, offsets->profile_kind, add_bucket(10 * PAGE, 1));
	assert_int_equal(vmt_go_spans_read(&spans, &view), 0);
	view.pause = free_span;
	view.context = span;
	assert_int_equal(vmt_go_large_read(&large, &view, &spans), 0);
	assert_int_equal(large.objects, 0);
	assert_int_equal(large.unread, 1);
}

/* Cut or damaged anywhere: an error, or objects in order, each with a site. */
static void
hostile_chunks_end_well(void **state)
{
	size_t length;
	uint32_t seed = 1;

	(void)state;
	for (uint64_t i = 0; i < 12; i++)
		add_special(add_span(20 * i, 10), offsets->profile_kind,
			    i % 3 ? made->buckets[0] : add_bucket(10 * PAGE, i % 10));
	read_all();
	length = write_payload();
	for (long round = 0; round < soak_count(20000, 2000000); round++) {
		size_t bytes = length;
		struct vmt_go_large_read back;
		struct vmt_err err;
		unsigned char *copy;

		seed = seed * 1664525 + 1013904223;
		if (round % 2 == 0)
			bytes = (seed >> 8) % (length + 1);
		copy = malloc(bytes ? bytes : 1);
		assert_non_null(copy);
		memcpy(copy, payload, bytes);
		for (int i = 0; bytes != 0 && i < 3; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % bytes] = (unsigned char)(seed >> 24);
		}
		if (vmt_go_large_chunk_read(&back, &header, copy, bytes, &err) == 0) {
			for (uint64_t i = 0; i < back.head.objects; i++)
				assert_true(
				    back.objects[i].site < back.head.sites &&
				    (i == 0 || back.objects[i].start > back.objects[i - 1].start));
			vmt_go_large_chunk_free(&back);
		}
		free(copy);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
	    TEST(each_object_has_its_site),
	    TEST(other_specials_are_passed),
	    TEST(a_circle_ends),
	    TEST(what_makes_no_sense_is_unread),
	    TEST(what_is_freed_meanwhile_is_unread),
	    TEST(hostile_chunks_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
