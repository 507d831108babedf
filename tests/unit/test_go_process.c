/*
 * The inside of a Go runtime, read out of memory as bytes: processes made by hand for each version
 * that is known, two that ran once, and memory that goes or moves at any moment.
 */
#include "base/sys.h"
#include "tests/fuzz/process_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct process_image image;

static long
read_image(long number, long pid, long local, long local_count, long remote, long remote_count)
{
	assert_int_equal(number, SYS_process_vm_readv);
	assert_int_equal(pid, 1);
	assert_int_equal(local_count, 1);
	return image_read(&image, (const void *)local, (const void *)remote, (size_t)remote_count);
}

#define vmt_sys_call6(number, a, b, c, d, e, f) read_image(number, a, b, c, d, e)
#include "collect/remote_read.c"
#undef vmt_sys_call6

#include "collect/go_free.h"
#include "collect/go_goroutines.h"
#include "collect/go_large_reader.h"
#include "collect/go_profile_reader.h"
#include "tests/fuzz/go_heap_objects.h"
#include "tests/fuzz/make_go_heap.h"
#include "tests/soak.h"

#define VERSIONS (sizeof(image_versions) / sizeof(*image_versions))

static unsigned char input[1 << 16];
static size_t length;
static struct vmt_go_spans spans;
static struct vmt_go_goroutines goroutines;
static struct vmt_go_large large;
static struct vmt_go_profile profile;

static void
let_go(void)
{
	vmt_go_spans_free(&spans);
	vmt_go_goroutines_free(&goroutines);
	vmt_go_large_free(&large);
	vmt_go_profile_free(&profile);
	memset(&spans, 0, sizeof(spans));
	memset(&goroutines, 0, sizeof(goroutines));
	memset(&large, 0, sizeof(large));
	memset(&profile, 0, sizeof(profile));
	image_close(&image);
}

static struct vmt_go_view
view_of(const struct image_head *head)
{
	return (struct vmt_go_view){.pid = 1,
				    .offsets = vmt_go_offsets_of(image_versions[head->version]),
				    .heap = head->addresses[2],
				    .all_goroutines = head->addresses[3],
				    .processors = head->addresses[4],
				    .profile = head->addresses[5],
				    .profile_cycle = head->addresses[6],
				    .profile_rate = head->addresses[7]};
}

/* All of the process, as a snapshot reads it. */
static void
read_process(int *free_result, int *profile_result)
{
	struct vmt_go_view view = view_of(&image.head);

	if (vmt_go_spans_read(&spans, &view) < 0)
		spans.count = spans.ranges.count = 0;
	*free_result = vmt_go_free_read(&spans, &view);
	if (vmt_go_goroutines_read(&goroutines, &view, &spans) < 0)
		goroutines.count = 0;
	assert_int_equal(vmt_go_large_read(&large, &view, &spans), 0);
	*profile_result = vmt_go_profile_read(&profile, &view, VMT_GO_PROFILE_MOST);
}

static void
open_made(unsigned version)
{
	length = make_go_heap(input, version);
	image_open(&image, input, length);
}

static void
made_processes_are_read_whole(void **state)
{
	unsigned known = 0;

	(void)state;
	for (unsigned version = 0; version < VERSIONS; version++) {
		int free_result, profile_result;

		if (!vmt_go_offsets_of(image_versions[version]))
			continue;
		known++;
		open_made(version);
		read_process(&free_result, &profile_result);
		assert_int_equal(spans.count, 47);
		assert_int_equal(goroutines.count, 8);
		assert_int_equal(large.objects, 6);
		assert_int_equal(large.site_count, 1);
		assert_int_equal(free_result, 0);
		assert_int_equal(profile_result, 0);
		assert_int_equal(profile.count, 21);
		assert_int_equal(profile.rows, 21);
		assert_int_equal(spans.unread + goroutines.unread + large.unread + profile.unread,
				 0);
		let_go();
	}
	assert_int_equal(known, 8);
}

static void
open_kept(const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "tests/fuzz/processes/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	length = fread(input, 1, sizeof(input), file);
	fclose(file);
	assert_true(length > 0 && length < sizeof(input));
	image_open(&image, input, length);
}

/* How many of the goroutines' stacks were begun by each of the two go statements of main.main,
 * which are those that began most. */
static uint64_t
count_of_go_statement(uint64_t *creator)
{
	const struct vmt_go_goroutine *rows = (const void *)goroutines.rows.bytes;
	uint64_t most = 0, found = 0;

	for (size_t i = 0; i < goroutines.count; i++) {
		uint64_t count = 0;

		for (size_t k = 0; k < goroutines.count; k++)
			count += rows[k].creator == rows[i].creator;
		if (rows[i].creator != *creator && count > most) {
			most = count;
			found = rows[i].creator;
		}
	}
	*creator = found;
	return most;
}

/* It has two go statements in a loop of eight, and has made seven large objects. */
static void
a_process_that_ran_is_read_whole(void **state)
{
	static const char *const names[] = {"go1.19", "go1.26"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int free_result, profile_result;
		uint64_t live = 0, creator = 0;

		open_kept(names[i]);
		read_process(&free_result, &profile_result);
		assert_int_equal(free_result, 0);
		assert_int_equal(profile_result, 0);
		assert_true(spans.count > 20);
		assert_int_equal(count_of_go_statement(&creator), 8);
		assert_int_equal(count_of_go_statement(&creator), 8);
		assert_int_equal(spans.unread + goroutines.unread + large.unread + profile.unread,
				 0);
		assert_int_equal(large.objects, 7);
		for (size_t k = 0; k < spans.count; k++)
			live += vmt_go_spans_rows(&spans)[k].span.class < 2;
		assert_int_equal(live, 7);
		assert_true(profile.rows > 6);
		let_go();
	}
}

static void
check_rows(void)
{
	const struct vmt_go_span_row *rows = vmt_go_spans_rows(&spans);
	const struct vmt_go_goroutine *stacks = (const void *)goroutines.rows.bytes;

	for (size_t i = 0; i < spans.count; i++) {
		assert_true(vmt_go_heap_is_span(&rows[i].span));
		assert_true(i == 0 ||
			    rows[i].span.start >= rows[i - 1].span.start + rows[i - 1].span.bytes);
	}
	for (size_t i = 0; i < goroutines.count; i++) {
		assert_non_null(vmt_go_spans_at(&spans, stacks[i].low));
		assert_true(i == 0 || stacks[i].low >= stacks[i - 1].high);
	}
	assert_true(spans.count + spans.unread <= spans.known);
	assert_true(goroutines.count + goroutines.unread <= goroutines.known);
}

/* Each region, gone at any moment: what is told then is as it was, and what is missing is counted,
 * or the whole is not told. */
static void
memory_that_goes_is_not_told(void **state)
{
	uint64_t pieces, regions;
	int free_result, profile_result;

	(void)state;
	open_made(4);
	read_process(&free_result, &profile_result);
	pieces = image.pieces_read;
	regions = image.part_count;
	let_go();
	for (uint64_t region = 0; region < regions; region++)
		for (uint64_t at = 0; at < pieces; at += soak_count(7, 1)) {
			open_made(4);
			image.changes[0] = (struct image_change){
			    .after = (uint32_t)at, .address = image.parts[region].address};
			image.change_count = 1;
			read_process(&free_result, &profile_result);
			check_rows();
			assert_true(spans.count == 0 || spans.count + spans.unread == 47);
			assert_true(goroutines.count == 0 || spans.count < 47 ||
				    goroutines.count + goroutines.unread == 8);
			assert_true(large.objects <= 6);
			assert_true(profile_result < 0 || profile.count == 21);
			let_go();
		}
}

/* A bucket counts one more object, at any moment: the object, then its bytes. */
static void
counts_that_move_are_read_again(void **state)
{
	const uint64_t frames = 4, of_made = 0x7f0000400000 + (6 + frames) * 8;
	uint64_t pieces, again = 0;
	int free_result, profile_result;

	(void)state;
	open_made(4);
	read_process(&free_result, &profile_result);
	pieces = image.pieces_read;
	let_go();
	for (uint64_t at = 0; at <= pieces; at++) {
		open_made(4);
		for (unsigned i = 0; i < 2; i++)
			image.changes[i] = (struct image_change){.after = (uint32_t)at,
								 .kind = IMAGE_ADD,
								 .address = of_made + 16 * i,
								 .value = i ? 40000 : 1};
		image.change_count = 2;
		read_process(&free_result, &profile_result);
		assert_int_equal(profile_result, 0);
		assert_int_equal(profile.count, 21);
		assert_int_equal(profile.rows, 21);
		assert_int_equal(profile.unread, 0);
		again += image.pieces_read > pieces;
		let_go();
	}
	/* It was seen to move. */
	assert_true(again > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(made_processes_are_read_whole),
	    cmocka_unit_test(a_process_that_ran_is_read_whole),
	    cmocka_unit_test(memory_that_goes_is_not_told),
	    cmocka_unit_test(counts_that_move_are_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
