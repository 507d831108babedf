#include "tests/e2e/successors.h"

#include "tests/e2e/harness.h"

#include <glob.h>

#define BYTES (INT64_C(64) << 20) /* that static_successor maps */

static bool
is_whole(json_t *site)
{
	return site && number(site, "total_reserved_bytes") == BYTES;
}

static bool
is_trace_of(json_t *root, int64_t pid, bool whole)
{
	return number(member(root, "process"), "pid") == pid &&
	       (!whole || is_whole(find_site(root, "mmap", "main", 3)));
}

static bool
has_trace(int64_t pid, bool whole)
{
	glob_t files;
	bool found = false;

	if (glob(scratch_file("child.*.vmt"), 0, NULL, &files) != 0)
		return false;
	for (size_t i = 0; i < files.gl_pathc && !found; i++) {
		json_t *root = report(files.gl_pathv[i], NULL);

		found = is_trace_of(root, pid, whole);
		json_decref(root);
	}
	globfree(&files);
	return found;
}

bool
successor_has_trace(int64_t pid)
{
	return has_trace(pid, false);
}

bool
successor_is_recorded(int64_t pid)
{
	return has_trace(pid, true);
}

void
successor_check(int64_t pid)
{
	assert_true(successor_is_recorded(pid));
}
