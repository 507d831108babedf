/*
 * The memory profile of a Go runtime: as bytes, there and back, cut, and wrong; and read out of a
 * list that was made by hand in this process's own memory, and may lie.
 */
#include "collect/go_profile_reader.h"
#include "tools/read/trace/go_profile_chunk.h"

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

#define MOST 64
#define WORDS 40 /* of a bucket as a whole: 6, its stack, then 4 counts for each of 4 times */
#define CODE UINT64_C(0x401000)

struct made {
	uint64_t head;
	uint64_t rate;
	uint32_t cycle;	     /* the lowest bit is a flag */
	uint64_t far[WORDS]; /* a bucket that is not read together with the others */
	unsigned char gap[1 << 17];
	uint64_t buckets[MOST][WORDS];
	uint64_t count;
};

static struct made *made;
static struct vmt_go_view view;
static struct vmt_go_profile profile;
static unsigned char payload[1 << 17];

static int
set_up(void **state)
{
	(void)state;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -1;
	made->rate = 512 << 10;
	made->cycle = 7 << 1 | 1;
	view = (struct vmt_go_view){.pid = (uint32_t)getpid(),
				    .profile = (uintptr_t)&made->head,
				    .profile_cycle = (uintptr_t)&made->cycle,
				    .profile_rate = (uintptr_t)&made->rate};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	vmt_go_profile_free(&profile);
	memset(&profile, 0, sizeof(profile));
	free(made);
	return 0;
}

/* The counts of time 0 (active) to 3 (future[2]) of a bucket. */
static uint64_t *
counts_of(uint64_t *bucket, unsigned time)
{
	return bucket + 6 + bucket[5] + (size_t)4 * time;
}

static void
count(uint64_t *bucket, unsigned time, uint64_t allocated, uint64_t freed)
{
	uint64_t *counts = counts_of(bucket, time);

	counts[0] = allocated;
	counts[1] = freed;
	counts[2] = allocated * bucket[4];
	counts[3] = freed * bucket[4];
}

/* Before all others, as the runtime does it. */
static uint64_t *
add_bucket(uint64_t object_bytes, uint64_t frames)
{
	uint64_t *bucket = made->buckets[made->count];

	assert_true(made->count < MOST && 6 + frames + 16 <= WORDS);
	bucket[1] = made->head;
	bucket[2] = 1;
	bucket[4] = object_bytes;
	bucket[5] = frames;
	for (uint64_t i = 0; i < frames; i++)
		bucket[6 + i] = CODE + 16 * made->count + i;
	made->head = (uintptr_t)bucket;
	made->count++;
	return bucket;
}

/* What a chunk of the profile says. */
static struct vmt_go_profile_read
read_back(void)
{
	const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_profile_head)};
	struct vmt_go_profile_head head = {.rows = profile.rows};
	struct vmt_go_profile_read back;
	struct vmt_err err;
	unsigned char *end;

	assert_true(profile.rows_bytes <= sizeof(payload) - sizeof(head));
	memcpy(payload, &head, sizeof(head));
	end = vmt_go_profile_write(&profile, payload + sizeof(head));
	assert_true((size_t)(end - payload) <= sizeof(head) + profile.rows_bytes);
	assert_int_equal(
	    vmt_go_profile_chunk_read(&back, &header, payload, (size_t)(end - payload), &err), 0);
	return back;
}

static void
what_is_live_is_told(void **state)
{
	struct vmt_go_profile_read back;
	uint64_t *bucket;

	(void)state;
	count(add_bucket(64, 3), 0, 10, 4);
	bucket = add_bucket(4096, 2);
	count(bucket, 0, 5, 5);
	count(bucket, 2, 3, 0);	  /* 7 % 3 is 1: the last collection's, still to be published */
	count(bucket, 1, 100, 0); /* of later ones */
	count(add_bucket(128, 1), 0, 8, 8);
	count(add_bucket(1 << 20, 0), 0, 1, 0);
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	assert_int_equal(profile.count, 4);
	assert_int_equal(profile.unread, 0);
	assert_int_equal(profile.rate_bytes, 512 << 10);
	assert_false(profile.uncollected);
	back = read_back();
	assert_int_equal(back.head.rows, 3);
	assert_int_equal(back.rows[0].objects, 1);
	assert_int_equal(back.rows[0].object_bytes, 1 << 20);
	assert_int_equal(back.rows[0].frames, 0);
	assert_int_equal(back.rows[1].objects, 3);
	assert_int_equal(back.rows[1].frames, 2);
	assert_int_equal(back.addresses[0], CODE + 16);
	assert_int_equal(back.addresses[1], CODE + 17);
	assert_int_equal(back.rows[2].objects, 6);
	assert_int_equal(back.rows[2].object_bytes, 64);
	assert_int_equal(back.addresses[4], CODE + 2);
	vmt_go_profile_chunk_free(&back);
}

/* As runtime.MemProfile does it. */
static void
before_the_first_collection_all_is_live(void **state)
{
	struct vmt_go_profile_read back;
	uint64_t *bucket = add_bucket(64, 1);

	(void)state;
	made->cycle = 0;
	count(bucket, 2, 5, 0);
	count(bucket, 3, 7, 0);
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	assert_true(profile.uncollected);
	back = read_back();
	assert_int_equal(back.head.rows, 1);
	assert_int_equal(back.rows[0].objects, 12);
	vmt_go_profile_chunk_free(&back);
}

static void
what_makes_no_sense_is_unread(void **state)
{
	(void)state;
	count(add_bucket(64, 1), 0, 10, 4);
	count(add_bucket(64, 1), 0, 4, 10);		   /* more freed than allocated */
	count(add_bucket(64, 1), 0, UINT64_C(1) << 60, 0); /* more than any machine has */
	count(add_bucket(UINT64_C(1) << 60, 1), 0, 16, 0); /* ... whose bytes wrap around */
	count(add_bucket(0, 1), 0, 16, 0);		   /* of nothing */
	count(add_bucket(64, 1), 0, 5, 0);
	counts_of(made->buckets[5], 0)[2] -= 64; /* half written */
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	assert_int_equal(profile.count, 6);
	assert_int_equal(profile.unread, 5);
	assert_int_equal(profile.rows, 1);
}

static void
a_circle_is_found(void **state)
{
	(void)state;
	for (int length = 1; length < 20; length++) {
		for (int tail = 0; tail < 20; tail++) {
			made->count = made->head = 0;
			for (int i = 0; i < length + tail; i++)
				count(add_bucket(64, 1), 0, 1, 0);
			made->buckets[0][1] = (uintptr_t)made->buckets[length - 1];
			assert_int_equal(vmt_go_profile_read(&profile, &view, 1000), -EINVAL);
		}
	}
}

static void
a_list_that_leads_astray_is_refused(void **state)
{
	uint64_t *bucket = add_bucket(64, 1);

	(void)state;
	made->head = 8; /* nothing is mapped there */
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	made->head = UINT64_MAX - 7;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	made->head = UINT64_C(1) << 46;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	made->head = (uintptr_t)bucket + 4;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	made->head = (uintptr_t)bucket;
	bucket[5] = UINT64_C(1) << 60;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	bucket[5] = 1;
	bucket[2] = 2; /* a profile of something else */
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EINVAL);
	bucket[2] = 1;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	made->head = 0;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	assert_int_equal(profile.count, 0);
	view.profile_rate = 0;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -ENODATA);
}

static void
a_long_list_is_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		count(add_bucket(64, 5), 0, 1, 0);
	assert_int_equal(vmt_go_profile_read(&profile, &view, 19), -E2BIG);
	assert_int_equal(profile.count, 19);
	assert_int_equal(vmt_go_profile_read(&profile, &view, 20), 0);
	assert_int_equal(profile.rows, 20);
}

/* A runtime whose cycle goes on each time that it is looked at: pauses are when it does. */
static void
go_on(void *context)
{
	(void)context;
	made->cycle += 2;
}

static void
what_moves_each_time_is_not_told(void **state)
{
	(void)state;
	count(add_bucket(64, 1), 0, 1, 0);
	view.pause = go_on;
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), -EAGAIN);
}

/* A bucket changes between its two readings: what the second one says counts, if it stays. */
static void
free_one(void *context)
{
	(void)context;
	count(made->far, 0, 10, 1);
}

static void
what_changes_is_read_again(void **state)
{
	struct vmt_go_profile_read back;

	(void)state;
	made->far[2] = 1;
	made->far[4] = 64;
	made->far[5] = 1;
	count(made->far, 0, 10, 0);
	made->head = (uintptr_t)made->far;
	count(add_bucket(64, 1), 0, 1, 1);
	view.pause = free_one; /* when the first one has been read again */
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	assert_int_equal(profile.unread, 0);
	assert_int_equal(counts_of(made->far, 0)[1], 1);
	back = read_back();
	assert_int_equal(back.head.rows, 1);
	assert_int_equal(back.rows[0].objects, 9);
	vmt_go_profile_chunk_free(&back);
}

/* Cut or damaged anywhere: an error, or rows that can be. */
static void
hostile_chunks_end_well(void **state)
{
	const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_profile_head)};
	uint32_t seed = 1;
	size_t length;

	(void)state;
	for (int i = 0; i < 12; i++)
		count(add_bucket(64, 5), 0, 1 + (uint64_t)i, 0);
	assert_int_equal(vmt_go_profile_read(&profile, &view, 100), 0);
	for (long round = 0; round < soak_count(20000, 2000000); round++) {
		struct vmt_go_profile_read back;
		struct vmt_err err;
		unsigned char *copy;

		back = read_back();
		vmt_go_profile_chunk_free(&back);
		length =
		    (size_t)(vmt_go_profile_write(&profile, payload + sizeof(back.head)) - payload);
		seed = seed * 1664525 + 1013904223;
		length = round % 2 ? length : (seed >> 8) % (length + 1);
		copy = malloc(length ? length : 1);
		assert_non_null(copy);
		memcpy(copy, payload, length);
		for (int i = 0; length != 0 && i < 3; i++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % length] = (unsigned char)(seed >> 24);
		}
		if (vmt_go_profile_chunk_read(&back, &header, copy, length, &err) == 0) {
			for (uint64_t i = 0; i < back.head.rows; i++)
				assert_true(vmt_go_profile_is_row(&back.rows[i]));
			vmt_go_profile_chunk_free(&back);
		}
		free(copy);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
	    TEST(what_is_live_is_told),
	    TEST(before_the_first_collection_all_is_live),
	    TEST(what_makes_no_sense_is_unread),
	    TEST(a_circle_is_found),
	    TEST(a_list_that_leads_astray_is_refused),
	    TEST(a_long_list_is_bounded),
	    TEST(what_moves_each_time_is_not_told),
	    TEST(what_changes_is_read_again),
	    TEST(hostile_chunks_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
