/* The progress line, on a terminal that the test holds the other end of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/cmd/progress.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

static int
open_terminal(FILE **stream)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct termios raw;
	int slave;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	*stream = fdopen(slave, "r+");
	assert_non_null(*stream);
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	return master;
}

static void
expect_written(int master, const char *expected)
{
	char text[512] = "";
	ssize_t length = read(master, text, sizeof(text) - 1);

	assert_string_equal(length > 0 ? text : "", expected);
}

static void
appears_after_a_second_and_goes_at_the_end(void **state)
{
	struct vmt_progress progress;
	FILE *stream;
	int master = open_terminal(&stream);

	(void)state;
	vmt_progress_begin(&progress, stream, 5 * SECOND_NS);
	vmt_progress_tell(&progress, "reading events", 1, 3, 6 * SECOND_NS - 1);
	expect_written(master, "");
	vmt_progress_tell(&progress, "reading events", 1, 3, 6 * SECOND_NS);
	expect_written(master, "\rvmtrace: reading events: 33 %");
	vmt_progress_tell(&progress, "reading events", 2, 3, 6 * SECOND_NS + SECOND_NS / 20);
	expect_written(master, "");
	vmt_progress_tell(&progress, "naming", 4, 3, 6 * SECOND_NS + SECOND_NS / 10);
	expect_written(master, "\rvmtrace: naming: 100 %       ");
	vmt_progress_end(&progress);
	expect_written(master, "\r                      \r");
	vmt_progress_end(&progress);
	expect_written(master, "");
	fclose(stream);
	close(master);
}

static void
leaves_a_terminal_alone_that_need_not_wait(void **state)
{
	struct vmt_progress progress;
	FILE *stream;
	int master = open_terminal(&stream);

	(void)state;
	vmt_progress_begin(&progress, stream, 0);
	vmt_progress_tell(&progress, "reading events", 1, 2, SECOND_NS / 2);
	vmt_progress_end(&progress);
	expect_written(master, "");
	fclose(stream);
	close(master);
}

static void
writes_nothing_into_a_file(void **state)
{
	struct vmt_progress progress;
	FILE *stream = tmpfile();

	(void)state;
	assert_non_null(stream);
	vmt_progress_begin(&progress, stream, 0);
	vmt_progress_tell(&progress, "reading events", 1, 2, 9 * SECOND_NS);
	vmt_progress_end(&progress);
	assert_int_equal(ftell(stream), 0);
	fclose(stream);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(appears_after_a_second_and_goes_at_the_end),
	    cmocka_unit_test(leaves_a_terminal_alone_that_need_not_wait),
	    cmocka_unit_test(writes_nothing_into_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
