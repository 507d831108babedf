#include "tools/cmd/snapshot_several.h"

#include "tools/cmd/snapshot_take.h"
#include "tools/cmd/trace_files.h"
#include "tools/cmd/tree_report.h"
#include "tools/memory_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_REFUSED 1

static bool
name_trace(char path[PATH_MAX], const char *directory, uint32_t pid)
{
	int length = snprintf(path, PATH_MAX, "%s/%" PRIu32 ".vmt", directory, pid);

	return length > 0 && length < PATH_MAX;
}

static int
take_one(uint32_t pid, const char *directory, struct vmt_err *err)
{
	char path[PATH_MAX];

	if (!name_trace(path, directory, pid))
		return vmt_err_set(err, ENAMETOOLONG, "%s: the path is too long", directory);
	return vmt_snapshot_take_file(pid, path, err);
}

struct outcome {
	size_t taken;
	size_t refused; /* of those that were named */
	size_t missed;	/* of the others: that end while others are looked at */
};

/* Who was named and is refused has a line that says why. */
static struct outcome
take_each(const struct vmt_snapshot_several *wanted, const char *directory)
{
	struct outcome outcome = {.taken = 0};

	for (size_t i = 0; i < wanted->pids->count; i++) {
		struct vmt_err why = {.text = ""};

		if (take_one(wanted->pids->all[i], directory, &why) >= 0) {
			outcome.taken++;
		} else if (i < wanted->pids->named) {
			fprintf(stderr, "vmtrace: %s\n", why.text);
			outcome.refused++;
		} else {
			outcome.missed++;
		}
	}
	if (outcome.missed > 0)
		fprintf(
		    stderr,
		    "vmtrace: %zu more of the tree ended before they were looked at, or can't be\n",
		    outcome.missed);
	return outcome;
}

static int
report(const struct vmt_snapshot_several *wanted, const char *directory, struct vmt_err *err)
{
	char path[PATH_MAX];
	char *operands[] = {path};
	struct vmt_tree_report tree = {.operands = operands,
				       .operand_count = 1,
				       .format = wanted->format,
				       .top = wanted->top,
				       .has_no_place = wanted->directory == NULL,
				       .most = VMT_TRACE_FILES_MOST};

	snprintf(path, sizeof(path), "%s", directory);
	vmt_memory_limit_set_machine();
	return vmt_tree_report_write(&tree, err);
}

static void
remove_all(const struct vmt_snapshot_several *wanted, const char *directory)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < wanted->pids->count; i++)
		if (name_trace(path, directory, wanted->pids->all[i]))
			unlink(path);
	rmdir(directory);
}

static int
take_into(const struct vmt_snapshot_several *wanted, const char *directory, struct vmt_err *err)
{
	struct outcome outcome = take_each(wanted, directory);
	int result = outcome.taken > 0 ? report(wanted, directory, err) : 0;

	return result == 0 && outcome.refused > 0 ? STATUS_REFUSED : result;
}

int
vmt_snapshot_several_take(const struct vmt_snapshot_several *wanted, struct vmt_err *err)
{
	char directory[] = "/tmp/vmtrace-snapshot-XXXXXX";
	int result;

	if (wanted->directory) {
		if (mkdir(wanted->directory, 0700) < 0 && errno != EEXIST)
			return vmt_err_set(err, errno, "%s: %s", wanted->directory,
					   strerror(errno));
		return take_into(wanted, wanted->directory, err);
	}
	if (!mkdtemp(directory))
		return vmt_err_set(err, errno, "%s: %s", directory, strerror(errno));
	result = take_into(wanted, directory, err);
	remove_all(wanted, directory);
	return result;
}
