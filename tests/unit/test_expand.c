/* Is a trace that was compressed as a whole read as it was, and a bomb refused? */
#include "format/head.h"
#include "tests/unit/trace_file.h"
#include "tools/read/trace/expand.h"
#include "tools/read/trace/file_reader.h"
#include "tools/read/trace/zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

#include <cmocka.h>

#define PLAIN_BYTES ((size_t)3 << 20)
#define FRAME_BYTES ((size_t)64 << 20)

/* The beginning of a trace, bytes that do not repeat soon, a hole, and more bytes. */
static unsigned char *
make_plain(void)
{
	unsigned char *plain = calloc(1, PLAIN_BYTES);
	uint32_t state = 1;

	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		state = state * 1103515245u + 12345u;
		if (i < PLAIN_BYTES / 3 || i > PLAIN_BYTES - 1000)
			plain[i] = (unsigned char)(state >> 24 & 15);
	}
	memcpy(plain, VMT_MAGIC, sizeof(VMT_MAGIC));
	return plain;
}

static void
append(const void *bytes, size_t length)
{
	int fd = open(trace_file_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

static void
append_gzip(const unsigned char *bytes, size_t length)
{
	gzFile file = gzopen(trace_file_path, "ab");

	assert_non_null(file);
	assert_int_equal(gzwrite(file, bytes, (unsigned)length), length);
	assert_int_equal(gzclose(file), Z_OK);
}

static size_t
append_zstd(const unsigned char *bytes, size_t length)
{
	unsigned char *packed = malloc(length);
	size_t packed_bytes = vmt_zstd_compress(NULL, packed, length, bytes, length);

	assert_true(packed_bytes > 0);
	append(packed, packed_bytes);
	free(packed);
	return packed_bytes;
}

static void
expect_plain(const unsigned char *plain, bool was_compressed)
{
	struct vmt_file_reader file;
	struct vmt_err err = {""};
	struct stat status;
	unsigned char *copy;

	assert_int_equal(vmt_file_reader_open(&file, trace_file_path, &err), 0);
	assert_int_equal(file.was_compressed, was_compressed);
	assert_int_equal(file.bytes, PLAIN_BYTES);
	copy = vmt_file_reader_copy(&file, 0, PLAIN_BYTES, &err);
	assert_memory_equal(copy, plain, PLAIN_BYTES);
	assert_int_equal(fstat(file.fd, &status), 0);
	if (was_compressed) {
		assert_int_equal(status.st_nlink, 0);
		assert_true((uint64_t)status.st_blocks * 512 < PLAIN_BYTES / 2); /* the hole */
	}
	free(copy);
	vmt_file_reader_close(&file);
}

/* The inode of what a trace is read from. */
static ino_t
inode_of_opened(void)
{
	struct vmt_file_reader file;
	struct vmt_err err = {""};
	struct stat status;

	assert_int_equal(vmt_file_reader_open(&file, trace_file_path, &err), 0);
	assert_int_equal(fstat(file.fd, &status), 0);
	vmt_file_reader_close(&file);
	return status.st_ino;
}

static void
set_age(time_t seconds)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};

	assert_int_equal(utimensat(AT_FDCWD, trace_file_path, times, 0), 0);
}

/* And anew when it has changed. */
static void
what_was_expanded_is_kept(void **state)
{
	unsigned char *plain = make_plain();
	ino_t first;

	(void)state;
	append_gzip(plain, PLAIN_BYTES);
	set_age(100);
	first = inode_of_opened();
	assert_int_equal(inode_of_opened(), first);
	expect_plain(plain, true);
	set_age(50);
	assert_int_not_equal(inode_of_opened(), first);
	free(plain);
}

static void
expect_refused(int code, const char *words)
{
	struct vmt_file_reader file;
	struct vmt_err err = {""};

	assert_int_equal(vmt_file_reader_open(&file, trace_file_path, &err), -code);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
	assert_non_null(strstr(err.text, trace_file_path));
}

static int
forget(void **state)
{
	(void)state;
	unlink(trace_file_path);
	return 0;
}

static void
compressed_traces_are_read_as_they_were(void **state)
{
	unsigned char *plain = make_plain();

	(void)state;
	append(plain, PLAIN_BYTES);
	expect_plain(plain, false);
	unlink(trace_file_path);
	append_gzip(plain, PLAIN_BYTES);
	expect_plain(plain, true);
	unlink(trace_file_path);
	append_zstd(plain, PLAIN_BYTES);
	expect_plain(plain, true);
	free(plain);
}

/* As `cat a.gz b.gz` and parallel compressors make them. */
static void
several_parts_are_one_file(void **state)
{
	unsigned char *plain = make_plain();

	(void)state;
	append_gzip(plain, 1000);
	append_gzip(plain + 1000, PLAIN_BYTES - 1000);
	expect_plain(plain, true);
	unlink(trace_file_path);
	append_zstd(plain, PLAIN_BYTES / 2);
	append_zstd(plain + PLAIN_BYTES / 2, PLAIN_BYTES / 2);
	expect_plain(plain, true);
	free(plain);
}

static void
what_is_cut_or_damaged_is_refused(void **state)
{
	unsigned char *plain = make_plain();
	struct stat status;
	int fd;

	(void)state;
	for (int form = 0; form < 2; form++) {
		unlink(trace_file_path);
		if (form == 0)
			append_gzip(plain, PLAIN_BYTES);
		else
			append_zstd(plain, PLAIN_BYTES);
		assert_int_equal(stat(trace_file_path, &status), 0);
		assert_int_equal(truncate(trace_file_path, status.st_size - 5), 0);
		expect_refused(EBADMSG, "cut or damaged");
		fd = open(trace_file_path, O_WRONLY);
		assert_int_equal(pwrite(fd, "damage damage damage", 20, status.st_size / 2), 20);
		close(fd);
		expect_refused(EBADMSG, "cut or damaged");
	}
	unlink(trace_file_path);
	append_gzip(plain, PLAIN_BYTES);
	append("garbage", 7);
	expect_refused(EBADMSG, "cut or damaged");
	free(plain);
}

static void
what_holds_no_trace_is_refused(void **state)
{
	unsigned char other[4096] = "#!/bin/sh\n";

	(void)state;
	append_gzip(other, sizeof(other));
	expect_refused(EBADMSG, "no vmtrace trace");
	unlink(trace_file_path);
	append_zstd(other, sizeof(other));
	expect_refused(EBADMSG, "no vmtrace trace");
}

/* Frames of 64 MiB, each a few kilobytes: holes up to the bound of all, data up to its own. */
static void
bombs_are_refused(void **state)
{
	unsigned char *frame = calloc(1, FRAME_BYTES);
	size_t packed = 0;
	unsigned count = 0;

	(void)state;
	memcpy(frame, VMT_MAGIC, sizeof(VMT_MAGIC));
	while (count * FRAME_BYTES <= VMT_EXPAND_WHOLE_BYTES + packed * VMT_EXPAND_RATIO) {
		packed += append_zstd(frame, FRAME_BYTES);
		count++;
	}
	expect_refused(E2BIG, "no trace does");
	unlink(trace_file_path);
	memset(frame + 4096, 0x5a, FRAME_BYTES - 4096);
	for (count = 0; count * FRAME_BYTES <= VMT_EXPAND_DATA_BYTES + FRAME_BYTES; count++)
		append_zstd(frame, FRAME_BYTES);
	expect_refused(E2BIG, "no trace does");
	free(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(compressed_traces_are_read_as_they_were, forget),
	    cmocka_unit_test_teardown(what_was_expanded_is_kept, forget),
	    cmocka_unit_test_teardown(several_parts_are_one_file, forget),
	    cmocka_unit_test_teardown(what_is_cut_or_damaged_is_refused, forget),
	    cmocka_unit_test_teardown(what_holds_no_trace_is_refused, forget),
	    cmocka_unit_test_teardown(bombs_are_refused, forget),
	};

	return cmocka_run_group_tests(tests, trace_file_begin, trace_file_end);
}
