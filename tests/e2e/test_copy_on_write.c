/*
 * test_copy_on_write.c: whose writes made a server and its fork child have pages of their own?
 *
 * redis writes its memory to a file in a fork child, and answers requests meanwhile. What the
 * server writes to is copied for it: how much, the kernel tells by the server's private memory.
 */
#include "tests/e2e/fault_events.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/identities.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_TRIES 10
#define WRITER "setrangeCommand"
#define OTHERS_BYTES (512 * 1024)

static bool
has_frame(json_t *row, const char *function)
{
	json_t *frames = member(row, "frames");

	for (size_t i = 0; i < json_array_size(frames); i++) {
		const char *name = json_string_value(member(json_array_get(frames, i), "function"));

		if (name && strcmp(name, function) == 0)
			return true;
	}
	return false;
}

/* What all code un-shared, and what the requests' did. */
static int64_t
unshared(json_t *root, int64_t *by_writer)
{
	json_t *rows = member(root, "committed_by");
	int64_t all = 0;

	*by_writer = 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		int64_t bytes = number(row, "unshared_bytes");

		all += bytes;
		*by_writer += has_frame(row, WRITER) ? bytes : 0;
	}
	return all;
}

/* The server's report, and by how much its private memory grew; NULL: the child was done too early,
 * or samples were lost. */
static json_t *
save_once(const char *server, int64_t *private_bytes)
{
	char directory[PATH_MAX];
	char trace[PATH_MAX + 16];
	long long before, after;
	struct run run;
	json_t *root;
	bool done;

	snprintf(directory, sizeof(directory), "%s/saved", scratch());
	snprintf(trace, sizeof(trace), "%s/server.vmt", directory);
	(void)mkdir(directory, 0700);
	(void)unlink(trace);
	run_program(&run,
		    (const char *const[]){script_file("bgsave.sh"), server, directory,
					  built("vmtrace"), "record", "--touch", "1", "--follow",
					  "none", "-o", trace, "--", NULL},
		    NULL);
	done = run.exit_status == 0 && sscanf(run.out, "private %lld %lld", &before, &after) == 2;
	run_free(&run);
	if (!done)
		return NULL;
	*private_bytes = (after - before) * 1024;
	root = report(trace, (const char *const[]){"--at", "end", NULL});
	if (number(member(root, "touch"), "lost") == 0 &&
	    number(member(root, "touch"), "skipped") == 0)
		return root;
	json_decref(root);
	return NULL;
}

static void
the_requests_that_copied_pages_are_named(void **state)
{
	const char *server = scratch_file("redis-server");
	int64_t private_bytes = 0, by_writer, all;
	json_t *root = NULL;

	(void)state;
	if (lacks_events())
		skip();
	if (access("/usr/bin/redis-check-rdb", X_OK) != 0) {
		printf("skip: no redis\n");
		skip();
	}
	assert_int_equal(symlink("/usr/bin/redis-check-rdb", server), 0);
	for (int i = 0; i < MOST_TRIES && !root; i++)
		root = save_once(server, &private_bytes);
	assert_non_null(root);
	check_report(root);
	identities_check(root, "redis");
	all = unshared(root, &by_writer);
	assert_true(private_bytes > 8 * 1024 * 1024);
	if (by_writer < private_bytes * 9 / 10 || all > private_bytes + OTHERS_BYTES)
		fail_msg("un-shared %lld, by %s %lld, of %lld", (long long)all, WRITER,
			 (long long)by_writer, (long long)private_bytes);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_requests_that_copied_pages_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
