/*
 * test_hostile.c: what can the files that a trace names, and the names themselves, do to who reads
 * it?
 *
 * A program with a name for a terminal to obey, one that was damaged after it was recorded, one
 * that became a FIFO; and a debuginfod server that must never hear of it.
 */
#include "tests/e2e/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAMAGES 12u

static unsigned char *
read_file(const char *path, size_t *length)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*length = (size_t)status.st_size;
	bytes = malloc(*length);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, *length), *length);
	close(fd);
	return bytes;
}

static void
write_program(const char *path, const unsigned char *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

/* Lines of text, and nothing that steers. */
static void
check_harmless(const char *what, const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		if ((*at < ' ' && *at != '\n') || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
			fail_msg("%s: byte %#x in: %.40s", what, *at, (const char *)at);
	}
}

static void
test_names_do_not_steer_a_terminal(void **state)
{
	static const char *const reads[][6] = {
	    {"report", NULL},
	    {"report", "--format", "json", NULL},
	    {"dump", NULL},
	    {"dump", "--format", "json", NULL},
	};
	char program[4300];
	char trace[4300];
	size_t length;
	unsigned char *bytes = read_file(built("tests/target/cache_demo"), &length);
	struct run run;

	(void)state;
	snprintf(program, sizeof(program), "%s",
		 scratch_file("p\033]0;owned\a\033[2J\xc2\x9b"
			      "31m\rq"));
	snprintf(trace, sizeof(trace), "%s", scratch_file("named.vmt"));
	write_program(program, bytes, length);
	free(bytes);
	record(&run, trace, NULL, (const char *const[]){program, "\033[31m", NULL});
	assert_int_equal(run.exit_status, 0);
	check_harmless("record", run.err);
	run_free(&run);
	for (size_t i = 0; i < sizeof(reads) / sizeof(*reads); i++) {
		const char *argv[8] = {built("vmtrace")};
		size_t count = 1;

		for (size_t k = 0; reads[i][k] != NULL; k++)
			argv[count++] = reads[i][k];
		argv[count] = trace;
		run_program(&run, argv, NULL);
		assert_int_equal(run.exit_status, 0);
		assert_non_null(says(run.out, "owned"));
		check_harmless(reads[i][0], run.out);
		run_free(&run);
	}
	run_program(&run, (const char *const[]){built("vmtrace"), "diff", trace, trace, NULL},
		    NULL);
	assert_int_equal(run.exit_status, 0);
	check_harmless("diff", run.out);
	run_free(&run);
}

/* The report of a trace whose program is as it is by now. */
static void
check_report_of(const char *trace)
{
	json_t *root = report(trace, NULL);

	check_report(root);
	assert_true(json_array_size(member(root, "sites")) > 0);
	json_decref(root);
}

static void
test_damaged_programs_cost_their_names_alone(void **state)
{
	char program[4300];
	char trace[4300];
	size_t length;
	unsigned char *bytes = read_file(built("tests/target/cache_demo"), &length);
	uint32_t random = 3;
	struct run run;

	(void)state;
	snprintf(program, sizeof(program), "%s", scratch_file("damaged"));
	snprintf(trace, sizeof(trace), "%s", scratch_file("damaged.vmt"));
	write_program(program, bytes, length);
	record(&run, trace, NULL, (const char *const[]){program, NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	check_report_of(trace);
	for (unsigned i = 0; i < DAMAGES; i++) {
		/* Behind the head and the notes, so that it counts as the same build. */
		for (unsigned flips = 0; flips < 200; flips++) {
			random = random * 1664525u + 1013904223u;
			bytes[4096 + random % (length - 4096)] ^= (unsigned char)(random >> 24);
		}
		write_program(program, bytes, length);
		check_report_of(trace);
	}
	write_program(program, bytes, length / 2);
	check_report_of(trace);
	assert_int_equal(unlink(program), 0);
	assert_int_equal(mkfifo(program, 0600), 0);
	check_report_of(trace);
	free(bytes);
}

/* A listener on the loopback; its address as a URL for debuginfod. */
static int
listen_here(char *url, size_t room)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(url, room, "DEBUGINFOD_URLS=http://127.0.0.1:%u/", ntohs(address.sin_port));
	return fd;
}

/* /bin/true has no debug information, and a build-id to ask for it with. */
static void
test_nothing_is_fetched(void **state)
{
	char trace[4300];
	char url[64];
	int fd = listen_here(url, sizeof(url));
	struct run run;

	(void)state;
	snprintf(trace, sizeof(trace), "%s", scratch_file("true.vmt"));
	record(&run, trace, (const char *const[]){"--malloc", "all", NULL},
	       (const char *const[]){"/bin/true", NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	run_program(&run, (const char *const[]){built("vmtrace"), "report", trace, NULL},
		    (const char *const[]){url, NULL});
	assert_int_equal(run.exit_status, 0);
	run_free(&run);
	assert_int_equal(accept(fd, NULL, NULL), -1); /* nobody came */
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names_do_not_steer_a_terminal),
	    cmocka_unit_test(test_damaged_programs_cost_their_names_alone),
	    cmocka_unit_test(test_nothing_is_fetched),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
