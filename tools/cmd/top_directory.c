#include "tools/cmd/top_directory.h"

#include "base/ticks.h"
#include "tools/cmd/trace_files.h"
#include "tools/model/tree/tree_scan.h"
#include "tools/render/sentence.h"
#include "tools/render/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TRACES 10000u

struct vmt_top_directory {
	char *const *paths;
	int count;
	uint64_t opened_ns;
	char **ended; /* paths of traces whose process is known to have ended, sorted */
	size_t ended_count;
};

/* What one reading found. */
struct sums {
	uint64_t rss_bytes;
	size_t ended;
	size_t unreadable;
	char why[300]; /* the first of those */
};

int
vmt_top_directory_open(struct vmt_top_directory **out, char *const *paths, int count,
		       struct vmt_err *err)
{
	struct vmt_top_directory *directory = calloc(1, sizeof(*directory));

	*out = directory;
	if (!directory)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", paths[0]);
	directory->paths = paths;
	directory->count = count;
	directory->opened_ns = vmt_ticks_monotonic_ns();
	return 0;
}

void
vmt_top_directory_close(struct vmt_top_directory *directory)
{
	if (!directory)
		return;
	for (size_t i = 0; i < directory->ended_count; i++)
		free(directory->ended[i]);
	free(directory->ended);
	free(directory);
}

static int
compare_paths(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool
has_ended(const struct vmt_top_directory *directory, char *path)
{
	return directory->ended_count && bsearch(&path, directory->ended, directory->ended_count,
						 sizeof(path), compare_paths);
}

/* Without memory it is read again the next time. */
static void
note_ended(struct vmt_top_directory *directory, const char *path)
{
	char **all = reallocarray(directory->ended, directory->ended_count + 1, sizeof(*all));

	if (!all)
		return;
	directory->ended = all;
	all[directory->ended_count] = strdup(path);
	if (!all[directory->ended_count])
		return;
	directory->ended_count++;
	qsort(all, directory->ended_count, sizeof(*all), compare_paths);
}

static void
take_process(struct vmt_top_reading *reading, const struct vmt_tree_process *process)
{
	struct vmt_top_item *items = reading->items[VMT_TOP_PROCESSES];
	struct vmt_top_item *item = &items[reading->counts[VMT_TOP_PROCESSES]++];

	*item = (struct vmt_top_item){.key = vmt_top_reading_key(2, process->path),
				      .committed_bytes = process->last.rss_bytes};
	snprintf(item->kind, sizeof(item->kind), "%" PRIu32, process->pid);
	snprintf(item->name, sizeof(item->name), "%.239s", process->title);
}

/* One that is not seen from here may write again. */
static bool
is_over(const struct vmt_tree_process *process)
{
	return strcmp(process->end, "ending") != 0 &&
	       !(process->is_unseen && strcmp(process->end, "cut") == 0);
}

static void
take_file(struct vmt_top_directory *directory, const struct vmt_tree_file *file,
	  struct vmt_top_reading *reading, struct sums *sums)
{
	struct vmt_tree_process process;
	struct vmt_err why = {""};

	if (has_ended(directory, file->path)) {
		sums->ended++;
		return;
	}
	if (vmt_tree_scan(&process, file->path, file->name, VMT_TREE_POINTS, &why) < 0) {
		if (sums->unreadable++ == 0)
			snprintf(sums->why, sizeof(sums->why), "%.299s", why.text);
		return;
	}
	if (vmt_tree_scan_runs(&process)) {
		take_process(reading, &process);
		sums->rss_bytes += process.last.rss_bytes;
	} else {
		if (is_over(&process))
			note_ended(directory, file->path);
		sums->ended++;
	}
	vmt_tree_scan_free(&process);
}

static void
say(struct vmt_top_reading *reading, const struct sums *sums, size_t passed_over)
{
	struct vmt_sentence state = {reading->state, sizeof(reading->state), 0};
	struct vmt_sentence note = {reading->note, sizeof(reading->note), 0};
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(&state, "%zu run, %zu ended; RSS %s, shared pages counted in each",
			 reading->counts[VMT_TOP_PROCESSES], sums->ended,
			 vmt_units_bytes(bytes, sums->rss_bytes));
	if (reading->counts[VMT_TOP_PROCESSES] + sums->ended + sums->unreadable == 0)
		vmt_sentence_say(&note, "There is no trace yet. ");
	if (sums->unreadable)
		vmt_sentence_say(&note, "%zu traces can't be read, the first: %s. ",
				 sums->unreadable, sums->why);
	if (passed_over)
		vmt_sentence_say(&note, "%zu more traces are left out.", passed_over);
}

static bool
is_empty(char *path)
{
	struct vmt_trace_files files;
	struct vmt_err err = {""};
	int result = vmt_trace_files_find(&files, &path, 1, 0, &err);

	vmt_trace_files_free(&files);
	return result == -ENOENT && vmt_trace_files_is_directory(path);
}

/* But for directories that have none yet, or none any more. */
static int
find_files(const struct vmt_top_directory *directory, struct vmt_trace_files *files,
	   struct vmt_err *err)
{
	char **paths = calloc((size_t)directory->count, sizeof(*paths));
	int count = 0;
	int result;

	*files = (struct vmt_trace_files){.most = MOST_TRACES};
	if (!paths)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", directory->paths[0]);
	for (int i = 0; i < directory->count; i++)
		if (!is_empty(directory->paths[i]))
			paths[count++] = directory->paths[i];
	result = vmt_trace_files_find(files, paths, count, MOST_TRACES, err);
	free(paths);
	return result;
}

static void
name_reading(const struct vmt_top_directory *directory, struct vmt_top_reading *reading)
{
	char more[40] = "";

	if (directory->count > 1)
		snprintf(more, sizeof(more), " and %d more", directory->count - 1);
	snprintf(reading->command, sizeof(reading->command), "%.200s%s", directory->paths[0], more);
}

int
vmt_top_directory_read(struct vmt_top_directory *directory, struct vmt_top_reading *reading,
		       struct vmt_err *err)
{
	struct vmt_trace_files files;
	struct sums sums = {.rss_bytes = 0};
	struct vmt_top_item *items = NULL;
	int result = find_files(directory, &files, err);

	*reading = (struct vmt_top_reading){
	    .has_snapshot = true,
	    .goes_on = true,
	    .time_ns = (int64_t)(vmt_ticks_monotonic_ns() - directory->opened_ns),
	    .limit_bytes = VMT_FIGURE_UNKNOWN,
	};
	name_reading(directory, reading);
	if (result == 0) {
		items = calloc(files.count + 1, sizeof(*items));
		if (!items)
			result = vmt_err_set(err, ENOMEM, "%s: out of memory", directory->paths[0]);
	}
	reading->items[VMT_TOP_PROCESSES] = items;
	for (size_t i = 0; items && i < files.count; i++)
		take_file(directory, &files.all[i], reading, &sums);
	if (result == 0)
		say(reading, &sums, files.passed_over);
	vmt_trace_files_free(&files);
	return result;
}
