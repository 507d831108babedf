/*
 * test_target_memory.c: is a process's memory read as it is, and a change of it taken back where it
 * lies, and only there?
 */
#include "inject/target_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 5u

static const uint8_t changed[BYTES] = {0xe9, 1, 2, 3, 4};
static const uint8_t old[BYTES] = {0x48, 0x8b, 0x15, 0xa1, 0x2e};

static int
take_back(const uint8_t *at)
{
	struct vmt_target target;
	int result;

	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	result = vmt_target_take_back(&target, (uintptr_t)at, changed, old, BYTES);
	vmt_target_close(&target);
	return result;
}

static uint8_t *
map(size_t bytes)
{
	uint8_t *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static void
a_change_is_taken_back(void **state)
{
	uint8_t *page = map(4096);

	(void)state;
	memcpy(page + 7, changed, BYTES);
	assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(take_back(page + 7), 0);
	assert_memory_equal(page + 7, old, BYTES);
	assert_int_equal(page[6], 0);
	assert_int_equal(page[7 + BYTES], 0);
	munmap(page, 4096);
}

/* Each of the bytes counts. */
static void
other_bytes_stay(void **state)
{
	uint8_t *page = map(4096);

	(void)state;
	for (size_t i = 0; i < BYTES; i++) {
		uint8_t before[BYTES];

		memcpy(page, changed, BYTES);
		page[i] ^= 1;
		memcpy(before, page, BYTES);
		assert_int_equal(take_back(page), 0);
		assert_memory_equal(page, before, BYTES);
	}
	munmap(page, 4096);
}

/* Also where a part of it is mapped. */
static void
what_is_gone_is_no_error(void **state)
{
	uint8_t *pages = map(2 * 4096);

	(void)state;
	assert_int_equal(munmap(pages + 4096, 4096), 0);
	memcpy(pages + 4096 - 2, changed, 2);
	assert_int_equal(take_back(pages + 4096 - 2), 0);
	assert_memory_equal(pages + 4096 - 2, changed, 2);
	munmap(pages, 4096);
	assert_int_equal(take_back(pages), 0);
}

/* What a user has mapped to be read is no place for bytes of code. */
static void
a_file_stays(void **state)
{
	char name[] = "/tmp/vmtrace_take_back_XXXXXX";
	uint8_t content[4096], now[4096];
	uint8_t *page;
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	memset(content, 0x5a, sizeof(content));
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	page = mmap(NULL, sizeof(content), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(take_back(page + 100), 0);
	assert_int_equal(pread(fd, now, sizeof(now), 0), sizeof(now));
	assert_memory_equal(now, content, sizeof(now));
	munmap(page, sizeof(content));
	close(fd);
}

static uint8_t *
map_numbered(size_t bytes)
{
	uint8_t *pages = map(bytes);

	for (size_t i = 0; i < bytes; i++)
		pages[i] = (uint8_t)(i / 7);
	return pages;
}

/* Whatever the process itself may do with the pages, at one go or one after another. */
static void
all_pages_are_read(void **state)
{
	size_t bytes = 5 * (size_t)4096;
	uint8_t *pages = map_numbered(bytes);
	uint8_t now[5 * 4096], expected[5 * 4096];
	struct vmt_target target;

	(void)state;
	memcpy(expected, pages, bytes);
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	for (int round = 0; round < 4; round++) {
		target.reads_at_once = round & 1;
		if (round == 2)
			assert_int_equal(mprotect(pages + (size_t)2 * 4096, 4096, PROT_NONE), 0);
		memset(now, 0xff, sizeof(now));
		assert_int_equal(vmt_target_read(&target, (uintptr_t)pages + 3, now, bytes - 3), 0);
		assert_memory_equal(now, expected + 3, bytes - 3);
		memset(now, 0xff, sizeof(now));
		assert_int_equal(vmt_target_read_some(&target, (uintptr_t)pages, now, bytes),
				 bytes);
		assert_memory_equal(now, expected, bytes);
	}
	vmt_target_close(&target);
	munmap(pages, bytes);
}

static void
what_lies_before_a_hole_is_read(void **state)
{
	size_t bytes = 4 * (size_t)4096;
	uint8_t *pages = map_numbered(bytes);
	uint8_t now[4 * 4096];
	struct vmt_target target;

	(void)state;
	assert_int_equal(munmap(pages + (size_t)3 * 4096, 4096), 0);
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	for (int round = 0; round < 2; round++) {
		target.reads_at_once = round & 1;
		assert_int_equal(vmt_target_read(&target, (uintptr_t)pages, now, bytes), -EIO);
		assert_int_equal(vmt_target_read_some(&target, (uintptr_t)pages, now, bytes),
				 3 * 4096);
		assert_memory_equal(now, pages, (size_t)3 * 4096);
	}
	vmt_target_close(&target);
	munmap(pages, (size_t)3 * 4096);
}

/* Its number may be another's. */
static void
nothing_is_read_of_who_took_the_number(void **state)
{
	uint8_t *pages = map_numbered((size_t)2 * 4096);
	uint8_t now[2 * 4096];
	struct vmt_target target;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(vmt_target_open(&target, child), 0);
	target.reads_at_once = true;
	assert_int_equal(vmt_target_read(&target, (uintptr_t)pages, now, sizeof(now)), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	target.pid = getpid();
	assert_int_equal(vmt_target_read(&target, (uintptr_t)pages, now, sizeof(now)), -EIO);
	assert_int_equal(vmt_target_read_some(&target, (uintptr_t)pages, now, sizeof(now)), 0);
	vmt_target_close(&target);
	munmap(pages, (size_t)2 * 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_change_is_taken_back),
	    cmocka_unit_test(other_bytes_stay),
	    cmocka_unit_test(what_is_gone_is_no_error),
	    cmocka_unit_test(a_file_stays),
	    cmocka_unit_test(all_pages_are_read),
	    cmocka_unit_test(what_lies_before_a_hole_is_read),
	    cmocka_unit_test(nothing_is_read_of_who_took_the_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
