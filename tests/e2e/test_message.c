/*
 * test_message.c: is the one line on standard error written only where it can do no harm?
 *
 * A program that itself writes nothing there is started with every kind of descriptor 2 that a
 * parent may give, and where the library has something to say as its trace can't be made. It ends
 * as it does bare, what it was given has either the whole line or nothing more than before.
 */
#include "tests/e2e/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LINE "vmtrace: not recording: the directory of the output file does not exist"
#define NO_INPUT (-1)
/* A program that waits is ended by SIGALRM, and fails the test. */
#define PATIENCE_S 60

/* What the child does before it becomes the program. */
struct stage {
	int error_output; /* becomes descriptor 2; -1: closed */
	int input;	  /* becomes descriptor 0; NO_INPUT: /dev/null */
	rlim_t file_bytes;
	bool has_limit;
	bool in_background; /* of the terminal that error_output is, under TOSTOP */
};

/* Makes the terminal this process's own, and another process its foreground. */
static void
go_into_background(int terminal)
{
	struct termios settings;
	pid_t other;

	setsid();
	ioctl(terminal, TIOCSCTTY, 0);
	tcgetattr(terminal, &settings);
	settings.c_lflag |= TOSTOP;
	tcsetattr(terminal, TCSANOW, &settings);
	other = fork();
	if (other == 0) {
		setpgid(0, 0);
		pause();
	}
	setpgid(other, other);
	tcsetpgrp(terminal, other);
	/* The session's leader is not the one that ends: its end would hang the terminal up. */
	pid_t job = fork();

	if (job == 0) {
		setpgid(0, 0);
		return;
	}
	int status = 0;

	waitpid(job, &status, WUNTRACED);
	kill(job, SIGKILL);
	kill(other, SIGKILL);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128);
}

static void
become_program(const struct stage *stage, bool preloaded_too)
{
	int input = stage->input == NO_INPUT ? open("/dev/null", O_RDONLY) : stage->input;
	int error_output = stage->error_output;

	/* A signal that is ignored would be no harm. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	if (stage->in_background)
		go_into_background(error_output);
	if (stage->has_limit) {
		struct rlimit limit = {stage->file_bytes, stage->file_bytes};

		setrlimit(RLIMIT_FSIZE, &limit);
	}
	if (preloaded_too) {
		setenv("LD_PRELOAD", built("libvmtrace.so"), 1);
		setenv("VMTRACE_OUTPUT", "/nonexistent/directory/t.vmt", 1);
	}
	alarm(PATIENCE_S);
	dup2(input, 0);
	if (error_output >= 0)
		dup2(error_output, 2);
	else
		close(2);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	execl("/bin/sh", "sh", "-c", ":; exit 3", (char *)NULL);
	_exit(127);
}

static void
run_staged(const struct stage *stage, bool preloaded_too)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		become_program(stage, preloaded_too);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
		fail_msg("%s: wait status %#x", preloaded_too ? "preloaded" : "bare", status);
}

/* What can be read from a descriptor at once. */
static size_t
drain(int fd, char *text, size_t room)
{
	size_t used = 0;
	ssize_t got;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (used < room - 1 && (got = read(fd, text + used, room - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	return used;
}

static void
expect_line(const char *text)
{
	size_t length = strlen(text);

	if (strncmp(text, LINE, strlen(LINE)) != 0 || text[length - 1] != '\n' ||
	    strchr(text, '\n') != text + length - 1)
		fail_msg("not the line: '%s'", text);
}

static void
fill(int fd)
{
	static const char bytes[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (size_t size = sizeof(bytes); size > 0; size /= 2)
		while (write(fd, bytes, size) > 0)
			;
	assert_int_equal(errno, EAGAIN);
	fcntl(fd, F_SETFL, 0);
}

static void
test_pipes(void **state)
{
	char text[1024];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, true);
	close(ends[1]);
	drain(ends[0], text, sizeof(text));
	expect_line(text);
	close(ends[0]);

	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	for (int i = 0; i < 2; i++)
		run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, i);
	close(ends[1]);

	assert_int_equal(pipe(ends), 0);
	fill(ends[1]);
	for (int i = 0; i < 2; i++)
		run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, i);
	close(ends[0]);
	close(ends[1]);
}

static void
try_sockets(int type)
{
	char text[1024];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, type, 0, ends), 0);
	run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, true);
	drain(ends[0], text, sizeof(text));
	expect_line(text);
	/* As inetd gives it: a conversation with somebody. */
	run_staged(&(struct stage){.error_output = ends[1], .input = ends[1]}, true);
	assert_int_equal(drain(ends[0], text, sizeof(text)), 0);
	fill(ends[1]);
	run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, true);
	close(ends[0]);
	for (int i = 0; i < 2; i++)
		run_staged(&(struct stage){.error_output = ends[1], .input = NO_INPUT}, i);
	close(ends[1]);
}

static void
test_sockets(void **state)
{
	(void)state;
	try_sockets(SOCK_STREAM);
	try_sockets(SOCK_DGRAM);
	try_sockets(SOCK_SEQPACKET);
}

static off_t
size_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_size;
}

static void
test_files(void **state)
{
	const char *path = scratch_file("err.log");
	char text[1024];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int reader = open(path, O_RDONLY);

	(void)state;
	run_staged(&(struct stage){.error_output = fd, .input = NO_INPUT}, true);
	drain(reader, text, sizeof(text));
	expect_line(text);
	rlim_t bytes = (rlim_t)size_of(fd);

	/* Behind what is there, as far as the limit goes and no further. */
	for (rlim_t limit = 0; limit <= 2 * bytes; limit++)
		if (limit <= 1 || limit + 1 >= 2 * bytes || limit == bytes) {
			struct stage stage = {
			    .error_output = fd, .input = NO_INPUT, .has_limit = true};
			off_t before = size_of(fd);

			stage.file_bytes = limit;
			run_staged(&stage, true);
			assert_int_equal(size_of(fd) - before,
					 limit == 2 * bytes ? (off_t)bytes : 0);
		}
	close(fd);

	/* One of its own, which it reads as well. */
	fd = open(path, O_RDWR);
	off_t before = size_of(fd);

	run_staged(&(struct stage){.error_output = fd, .input = NO_INPUT}, true);
	assert_int_equal(size_of(fd), before);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_true(read(fd, text, 10) == 10 && memcmp(text, "vmtrace: n", 10) == 0);
	close(fd);
	close(reader);
}

static void
test_terminals(void **state)
{
	char text[1024];
	int ours;
	int its;

	(void)state;
	assert_int_equal(openpty(&ours, &its, NULL, NULL, NULL), 0);
	run_staged(&(struct stage){.error_output = its, .input = NO_INPUT}, true);
	assert_true(drain(ours, text, sizeof(text)) > 0);
	assert_int_equal(strncmp(text, LINE, strlen(LINE)), 0);

	/* Stopped by ^S, which stops the writer bare as well if it writes. */
	assert_int_equal(tcflow(its, TCOOFF), 0);
	run_staged(&(struct stage){.error_output = its, .input = NO_INPUT}, true);
	assert_int_equal(tcflow(its, TCOON), 0);
	fill(its);
	run_staged(&(struct stage){.error_output = its, .input = NO_INPUT}, true);
	close(ours);
	run_staged(&(struct stage){.error_output = its, .input = NO_INPUT}, true);
	close(its);

	assert_int_equal(openpty(&ours, &its, NULL, NULL, NULL), 0);
	for (int i = 0; i < 2; i++)
		run_staged(
		    &(struct stage){.error_output = its, .input = NO_INPUT, .in_background = true},
		    i);
	assert_int_equal(drain(ours, text, sizeof(text)), 0);
	close(ours);
	close(its);
}

static void
test_what_is_no_place_for_a_line(void **state)
{
	int counter = eventfd(7, 0);
	int full = open("/dev/full", O_WRONLY);
	uint64_t count = 0;

	(void)state;
	run_staged(&(struct stage){.error_output = -1, .input = NO_INPUT}, true);
	run_staged(&(struct stage){.error_output = full, .input = NO_INPUT}, true);
	run_staged(&(struct stage){.error_output = counter, .input = NO_INPUT}, true);
	assert_int_equal(read(counter, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 7);
	close(counter);
	close(full);
}

/* Later than at the start descriptor 2 may be a file of the program's: a fork child that can't make
 * its trace says nothing there. */
static void
test_a_file_of_the_programs(void **state)
{
	static const char script[] =
	    "exec 2>\"$D/data\"; LD_PRELOAD= rm -r \"$D/traces\"; x=$(v=a; echo $v); echo $x";
	char library[PATH_MAX + 16];
	char directory[PATH_MAX + 32];
	char output[PATH_MAX + 32];
	struct stat data;
	struct run run;

	(void)state;
	assert_int_equal(mkdir(scratch_file("traces"), 0700), 0);
	snprintf(library, sizeof(library), "LD_PRELOAD=%s", built("libvmtrace.so"));
	snprintf(directory, sizeof(directory), "D=%s", scratch());
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", scratch_file("traces/%p.vmt"));
	run_program(&run, (const char *const[]){"/bin/sh", "-c", script, NULL},
		    (const char *const[]){library, directory, output, "VMTRACE_VERBOSE=1", NULL});
	assert_string_equal(run.out, "a\n");
	assert_int_equal(strncmp(run.err, "vmtrace: recording to", 21), 0);
	assert_int_equal(stat(scratch_file("data"), &data), 0);
	assert_int_equal(data.st_size, 0);
	run_free(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pipes),
	    cmocka_unit_test(test_sockets),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_terminals),
	    cmocka_unit_test(test_what_is_no_place_for_a_line),
	    cmocka_unit_test(test_a_file_of_the_programs),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
