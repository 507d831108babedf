/* exports.c: see exports.h. */
#include "tests/e2e/exports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const exports_metrics[EXPORTS_METRICS] = {
    "alloc_objects",  "alloc_space",   "inuse_objects",	 "inuse_space",
    "released_space", "swapped_space", "committed_space"};

const struct exports_subject exports_subjects[EXPORTS_SUBJECTS] = {
    {"cache_demo", NULL, {NULL}},
    {"cache_demo", NULL, {"--malloc", "all", NULL}},
    {"cxx_frames", NULL, {"--malloc", "all", NULL}},
    {"thread_owners", "detached", {"--malloc", "all", NULL}},
    {"thread_owners", "arenas", {NULL}},
    {"retained", NULL, {NULL}},
    {"shared_memfd", NULL, {NULL}},
    {"brk_grow_shrink", NULL, {"--malloc", "off", NULL}},
};

static void
record_subject(const struct exports_subject *subject, const char *trace)
{
	char target[256];
	struct run run;

	snprintf(target, sizeof(target), "tests/target/%s", subject->target);
	record(&run, trace, subject->options,
	       (const char *const[]){built(target), subject->argument, NULL});
	if (run.exit_status != 0)
		fail_msg("%s: %s", target, run.err);
	run_free(&run);
}

const char *const *
exports_record(void)
{
	static char paths[EXPORTS_SUBJECTS][4096];
	static const char *traces[EXPORTS_SUBJECTS];

	for (size_t i = 0; i < EXPORTS_SUBJECTS; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%zu.vmt", i);
		snprintf(paths[i], sizeof(paths[i]), "%s", scratch_file(name));
		traces[i] = paths[i];
		record_subject(&exports_subjects[i], traces[i]);
	}
	return traces;
}

static uint64_t
sum_of_sites(json_t *report, const char *key)
{
	json_t *sites = member(report, "sites");
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(sites); i++)
		sum += (uint64_t)number(json_array_get(sites, i), key);
	return sum;
}

void
exports_expect(json_t *report, uint64_t totals[EXPORTS_METRICS])
{
	json_t *snapshot = member(report, "snapshot");

	totals[0] = sum_of_sites(report, "count");
	totals[1] = sum_of_sites(report, "total_reserved_bytes");
	totals[2] = sum_of_sites(report, "live_count");
	totals[3] = (uint64_t)number(snapshot, "virtual_bytes");
	totals[4] = sum_of_sites(report, "released_bytes");
	totals[5] = (uint64_t)number(snapshot, "swap_bytes");
	totals[6] = (uint64_t)number(snapshot, "rss_bytes");
}

void
exports_write(const char *trace, const char *format, const char *path, const char *option,
	      const char *value)
{
	const char *const argv[] = {
	    built("vmtrace"), "report", trace, "--format", format, "-o", path, option, value, NULL};
	struct run run;

	run_program(&run, argv, NULL);
	if (run.exit_status != 0)
		fail_msg("%s: %s", format, run.err);
	assert_string_equal(run.out, "");
	run_free(&run);
}

uint64_t
exports_sum_lines(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	uint64_t sum = 0;

	assert_non_null(file);
	while (getline(&line, &room, file) > 0) {
		const char *number = strrchr(line, ' ');

		assert_non_null(number);
		sum += strtoull(number, NULL, 10);
	}
	free(line);
	fclose(file);
	return sum;
}

unsigned
exports_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	close(fd);
	return ntohs(address.sin_port);
}

pid_t
exports_serve(const char *const argv[])
{
	pid_t test = getpid();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != test)
			_exit(98);
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	return pid;
}

void
exports_stop(pid_t server)
{
	int status;

	kill(server, SIGKILL);
	assert_int_equal(waitpid(server, &status, 0), server);
	assert_true(WIFSIGNALED(status));
}

bool
exports_fetch(struct run *run, pid_t server, const char *url, int64_t deadline_ms)
{
	const char *const argv[] = {"curl", "--silent", "--fail", "--max-time", "10", url, NULL};

	for (;;) {
		int status;

		run_program(run, argv, NULL);
		/* Whoever answered, it was not this server. */
		if (waitpid(server, &status, WNOHANG) == server) {
			print_message("server of %s: wait status %#x\n", url, (unsigned)status);
			run_free(run);
			return false;
		}
		if (run->exit_status == 0)
			return true;
		if (now_ms() > deadline_ms)
			fail_msg("curl %s: %d %s", url, run->exit_status, run->err);
		run_free(run);
		poll(NULL, 0, 50);
	}
}
