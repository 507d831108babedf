#include "tools/cmd/record_tree.h"

#include "base/ticks.h"
#include "tools/cmd/trace_files.h"
#include "tools/model/tree/tree_build.h"
#include "tools/render/tree_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* The directory of all traces; false where they lie in several. */
static bool
find_directory(const struct vmt_record_summary *recorded, char *directory, size_t bytes)
{
	const char *first = recorded->paths[0];
	const char *slash = strrchr(first, '/');
	size_t length = slash ? (size_t)(slash - first) : 0;

	directory[0] = '\0';
	if (length >= bytes)
		return false;
	for (uint32_t i = 0; i < recorded->kept; i++) {
		const char *path = recorded->paths[i];
		const char *last = strrchr(path, '/');

		if ((last ? (size_t)(last - path) : 0) != length ||
		    strncmp(path, first, length) != 0 || !last != !slash)
			return false;
	}
	snprintf(directory, bytes, "%.*s%s", (int)length, first,
		 length == 0 ? (slash ? "/" : ".") : "");
	return true;
}

/* What has no trace is no matter where it is a small part. */
#define UNTRACED_PART 20u

static bool
has_much_untraced(const struct vmt_tree_family *family)
{
	return family->untraced.private_bytes > family->moment_rss_bytes / UNTRACED_PART;
}

/* Traces beside the recorded ones that are looked at. */
#define MOST_BESIDE 1024u

static bool
is_recorded(const struct vmt_record_summary *recorded, const char *path)
{
	for (uint32_t i = 0; i < recorded->kept; i++)
		if (strcmp(recorded->paths[i], path) == 0)
			return true;
	return false;
}

static uint64_t
ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_nsec;
}

static uint64_t
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return ns_of(&time);
}

/* A file's time is that of the kernel's last tick, which may lie before the moment it is asked. */
#define TICK_NS 10000000u

/* Written in the age_ns since the recording began. */
static bool
is_new(const char *path, uint64_t age_ns)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       ns_of(&status.st_mtim) + age_ns + TICK_NS >= now_ns();
}

/* The recorded ones, and what lies beside them and may be of the same tree: another collector's. */
static size_t
list_files(struct vmt_tree_file *files, const struct vmt_record_summary *recorded,
	   const struct vmt_trace_files *beside, uint64_t start_ns)
{
	size_t count = 0;
	uint64_t age_ns = vmt_ticks_monotonic_ns() - start_ns;

	for (uint32_t i = 0; i < recorded->kept; i++)
		files[count++] = (struct vmt_tree_file){recorded->paths[i], recorded->paths[i]};
	for (size_t i = 0; i < beside->count && count < recorded->kept + MOST_BESIDE; i++)
		if (!is_recorded(recorded, beside->all[i].path) &&
		    is_new(beside->all[i].path, age_ns))
			files[count++] =
			    (struct vmt_tree_file){beside->all[i].path, beside->all[i].path};
	return count;
}

/* Of trees with a recorded process. What ended before the recording began is an earlier one's: a
 * file's time is too coarse to tell. */
static size_t
count_beside(const struct vmt_tree *tree, const struct vmt_record_summary *recorded,
	     uint64_t start_ns)
{
	bool *is_ours = calloc(tree->family_count + 1, sizeof(*is_ours));
	size_t beside = 0;

	for (size_t i = 0; is_ours && i < tree->count; i++)
		if (is_recorded(recorded, tree->processes[i].path))
			is_ours[tree->processes[i].tree] = true;
	for (size_t i = 0; is_ours && i < tree->count; i++)
		beside += is_ours[tree->processes[i].tree] &&
			  tree->processes[i].end_ns >= (int64_t)start_ns &&
			  !is_recorded(recorded, tree->processes[i].path);
	free(is_ours);
	return beside;
}

/* Of the tree that has a recorded process and the most in RAM. */
static const struct vmt_tree_family *
find_family(const struct vmt_tree *tree, const struct vmt_record_summary *recorded)
{
	const struct vmt_tree_family *found = NULL;

	for (size_t i = 0; i < tree->count; i++) {
		const struct vmt_tree_family *family = &tree->families[tree->processes[i].tree];

		if (is_recorded(recorded, tree->processes[i].path) &&
		    (!found || family->moment_rss_bytes > found->moment_rss_bytes))
			found = family;
	}
	return found;
}

static void
print_beside(size_t beside, FILE *out)
{
	if (beside == 0)
		return;
	fprintf(out,
		"vmtrace: %zu more trace%s of this tree %s written without this collector: another "
		"user, another pid namespace, or too many processes at once\n",
		beside, beside == 1 ? "" : "s", beside == 1 ? "was" : "were");
}

static void
print(const struct vmt_tree *tree, const struct vmt_record_summary *recorded, const char *directory,
      uint64_t start_ns, FILE *out)
{
	const struct vmt_tree_family *family = find_family(tree, recorded);
	size_t beside = count_beside(tree, recorded, start_ns);
	char text[1024];

	print_beside(beside, out);
	if (!family ||
	    (family->there - family->unread < 2 && !has_much_untraced(family) && beside == 0))
		return;
	fprintf(out, "vmtrace: %s\n", vmt_tree_text_sum(tree, family, text, sizeof(text)));
	if (recorded->kept + beside < 2 || !*directory)
		return;
	fprintf(out, "vmtrace: all of them: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(directory), out);
	fprintf(out, "\nvmtrace: all of them as a page: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(directory), out);
	fprintf(out, " --format html -o tree.html\n");
}

void
vmt_record_tree_print(const struct vmt_record_summary *recorded, uint64_t start_ns, FILE *out)
{
	struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
	struct vmt_trace_files beside = {.count = 0};
	struct vmt_tree_file *files = calloc(recorded->kept + MOST_BESIDE, sizeof(*files));
	struct vmt_tree *tree = NULL;
	struct vmt_err err = {""};
	char directory[4096] = "";
	char *const operands[] = {directory};
	size_t count = 0;

	if (find_directory(recorded, directory, sizeof(directory)))
		(void)vmt_trace_files_find(&beside, operands, 1, VMT_TRACE_FILES_MOST, &err);
	if (files)
		count = list_files(files, recorded, &beside, start_ns);
	if (count > 0 && vmt_tree_build(&tree, files, count, &options, &err) == 0)
		print(tree, recorded, directory, start_ns, out);
	vmt_tree_free(tree);
	vmt_trace_files_free(&beside);
	free(files);
}
