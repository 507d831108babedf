/* A process that goes on for long keeps none of the file pages that only its beginning needed. */
#include "tools/startup_pages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Relocation writes these two, and nobody else: a page of the file has other bytes there. */
static int (*const volatile compare)(const char *, const char *) = strcmp;
static const char *const volatile word = "word";

/* KiB of files that are mapped in and can't be written to. */
static uint64_t
files_kib(void)
{
	char line[4096];
	char flags[5] = "";
	uint64_t kib, sum = 0;
	bool wanted = false;
	FILE *smaps = fopen("/proc/self/smaps", "re");

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%*x-%*x %4s", flags) == 1)
			wanted = flags[1] == '-' && strchr(line, '/');
		else if (wanted && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
			sum += kib;
	}
	fclose(smaps);
	return sum;
}

/* Both readings need the same pages of the C library, so the first one has them, too. */
static void
test_what_the_start_needed_is_released(void **state)
{
	(void)state;
	uint64_t before = files_kib();

	vmt_startup_pages_release();
	uint64_t after = files_kib();

	print_message("%" PRIu64 " KiB before, %" PRIu64 " after\n", before, after);
	assert_true(after < before);
	assert_int_equal(compare(word, "word"), 0);
}

/* Of this program's own code, as a debugger changes it for a breakpoint. */
static unsigned char *
change_code(void)
{
	unsigned char *byte = (unsigned char *)(uintptr_t)files_kib;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned char other = (unsigned char)~*byte;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &other, 1, (off_t)(uintptr_t)byte), 1);
	close(fd);
	return byte;
}

static void
test_code_that_was_changed_stays(void **state)
{
	unsigned char before = *(volatile unsigned char *)(uintptr_t)files_kib;
	volatile unsigned char *byte = change_code();

	(void)state;
	vmt_startup_pages_release();
	assert_int_equal(*byte, (unsigned char)~before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_the_start_needed_is_released),
	    cmocka_unit_test(test_code_that_was_changed_stays), /* and last: it is broken */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
