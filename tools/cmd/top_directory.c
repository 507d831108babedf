#include "tools/cmd/top_directory.h"

#include "base/ticks.h"
#include "tools/cmd/trace_files.h"
#include "tools/read/trace/expand.h"
#include "tools/read/trace/newest.h"
#include "tools/read/trace/process_end.h"
#include "tools/read/trace/trace_head.h"
#include "tools/render/sentence.h"
#include "tools/render/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MOST_TRACES 10000u

/* A file as it was when it was read. */
struct stamp {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
};

/* What is known of a trace. */
struct known {
	char *path;
	struct stamp stamp;
	bool is_over;	/* its process is known to have ended */
	bool runs;	/* it ran when it was read */
	bool is_read;	/* to its end, once */
	bool has_begun; /* what follows is of the file, and of a process that runs or did */
	uint64_t random_id;
	uint64_t start_ticks;
	uint32_t pid;
	struct vmt_newest newest;
};

struct vmt_top_directory {
	char *const *paths;
	int count;
	uint64_t most_ns;
	uint64_t opened_ns;
	struct known **known; /* sorted by path */
	size_t known_count;
	size_t next; /* where a reading begins: the first that the last one had no time for */
};

/* What one reading found. */
struct sums {
	uint64_t until_ns;
	uint64_t rss_bytes;
	size_t opened; /* files */
	size_t running;
	size_t ended;
	size_t waiting; /* not read to their end yet */
	size_t older;	/* known, and there was no time to look at them */
	size_t silent;	/* run, and no RSS is known of them yet */
	size_t unreadable;
	char why[300]; /* the first of those */
};

int
vmt_top_directory_open(struct vmt_top_directory **out, char *const *paths, int count,
		       uint64_t most_ns, struct vmt_err *err)
{
	struct vmt_top_directory *directory = calloc(1, sizeof(*directory));

	*out = directory;
	if (!directory)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", paths[0]);
	directory->paths = paths;
	directory->count = count;
	directory->most_ns = most_ns;
	directory->opened_ns = vmt_ticks_monotonic_ns();
	return 0;
}

static void
forget(struct known *known)
{
	if (!known)
		return;
	free(known->path);
	free(known);
}

void
vmt_top_directory_close(struct vmt_top_directory *directory)
{
	if (!directory)
		return;
	for (size_t i = 0; i < directory->known_count; i++)
		forget(directory->known[i]);
	free(directory->known);
	free(directory);
}

static struct known *
learn(const char *path)
{
	struct known *known = calloc(1, sizeof(*known));

	if (known)
		known->path = strdup(path);
	if (known && known->path)
		return known;
	free(known);
	return NULL;
}

/* Of each file what is known of it; who is gone is forgotten. Both lists are sorted by path. */
static int
update_known(struct vmt_top_directory *directory, const struct vmt_trace_files *files,
	     struct vmt_err *err)
{
	struct known **all = calloc(files->count + 1, sizeof(*all));
	size_t at = 0;
	bool done = all != NULL;

	for (size_t i = 0; i < files->count && done; i++) {
		int order = 1;

		while (at < directory->known_count && order > 0) {
			order = strcmp(files->all[i].path, directory->known[at]->path);
			if (order > 0)
				forget(directory->known[at++]);
		}
		all[i] = order == 0 ? directory->known[at++] : learn(files->all[i].path);
		done = all[i] != NULL;
	}
	while (at < directory->known_count)
		forget(directory->known[at++]);
	free(directory->known);
	directory->known = all;
	directory->known_count = all ? files->count : 0;
	return done ? 0 : vmt_err_set(err, ENOMEM, "%s: out of memory", directory->paths[0]);
}

static void
take_process(struct vmt_top_reading *reading, const struct known *known)
{
	struct vmt_top_item *items = reading->items[VMT_TOP_PROCESSES];
	struct vmt_top_item *item = &items[reading->counts[VMT_TOP_PROCESSES]++];

	*item = (struct vmt_top_item){.key = vmt_top_reading_key(2, known->path),
				      .committed_bytes = known->newest.rss_bytes};
	snprintf(item->kind, sizeof(item->kind), "%" PRIu32, known->pid);
	snprintf(item->name, sizeof(item->name), "%.239s", known->newest.title);
}

static struct stamp
stamp_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return (struct stamp){.bytes = 0};
	return (struct stamp){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Whether what was read of the file is of the trace that is there now. */
static bool
goes_on(const struct known *known, const struct stamp *stamp, const struct vmt_head *head,
	const struct vmt_file_reader *file)
{
	return known->has_begun && known->stamp.device == stamp->device &&
	       known->stamp.inode == stamp->inode && known->random_id == head->random_id &&
	       known->pid == head->pid && known->start_ticks == head->start_ticks &&
	       known->newest.offset <= file->bytes;
}

static void
begin(struct known *known, const struct vmt_head *head)
{
	known->random_id = head->random_id;
	known->pid = head->pid;
	known->start_ticks = head->start_ticks;
	known->has_begun = true;
	known->is_read = false;
	vmt_newest_begin(&known->newest, head);
}

/* With the figures that were read last. */
static void
show(const struct known *known, struct vmt_top_reading *reading, struct sums *sums)
{
	sums->running++;
	if (known->newest.rss_bytes == VMT_FIGURE_UNKNOWN) {
		sums->silent++;
		return;
	}
	take_process(reading, known);
	sums->rss_bytes += known->newest.rss_bytes;
}

static int
read_file(struct known *known, const struct stamp *stamp, struct vmt_top_reading *reading,
	  struct sums *sums, struct vmt_err *err)
{
	struct vmt_file_reader file;
	struct vmt_head head = {.pid = 0};
	int result = vmt_file_reader_open(&file, known->path, err);

	if (result == 0)
		result = vmt_trace_head_read(&file, &head, err);
	if (result < 0) {
		vmt_file_reader_close(&file);
		return result;
	}
	if (!goes_on(known, stamp, &head, &file))
		begin(known, &head);
	known->runs = vmt_process_end_runs(&head);
	if (known->runs) {
		bool is_whole = vmt_newest_read(&known->newest, &file, &head, sums->until_ns);

		sums->waiting += !is_whole;
		known->is_read |= is_whole;
		show(known, reading, sums);
	} else {
		known->is_over = vmt_process_end_is_over(&head);
		known->is_read = true;
		sums->ended++;
	}
	vmt_file_reader_close(&file);
	return 0;
}

/* What was known of it before, if anything. */
static void
pass_over(const struct known *known, struct vmt_top_reading *reading, struct sums *sums)
{
	if (!known->is_read)
		sums->waiting++;
	else
		sums->older++;
	if (!known->has_begun)
		return;
	if (known->runs)
		show(known, reading, sums);
	else
		sums->ended++;
}

/* One that is over is read again when its file has changed: it may be another trace now. None that
 * is compressed is being written. One file is opened in each reading, however long the others take,
 * so that all are some time. false: there was no time for it. */
static bool
take_file(struct known *known, struct vmt_top_reading *reading, struct sums *sums)
{
	const struct stamp stamp = stamp_of(known->path);
	struct vmt_err why = {""};

	if (known->is_over && is_same(&known->stamp, &stamp)) {
		sums->ended++;
		return true;
	}
	if (sums->opened > 0 && vmt_ticks_monotonic_ns() >= sums->until_ns) {
		pass_over(known, reading, sums);
		return false;
	}
	sums->opened++;
	known->is_over = vmt_expand_is_wanted_of(known->path);
	if (known->is_over) {
		known->runs = false;
		known->is_read = true;
		sums->ended++;
	} else if (read_file(known, &stamp, reading, sums, &why) < 0) {
		known->has_begun = false;
		known->is_read = true;
		if (sums->unreadable++ == 0)
			snprintf(sums->why, sizeof(sums->why), "%.299s", why.text);
	}
	known->stamp = stamp;
	return true;
}

static void
say(struct vmt_top_reading *reading, const struct sums *sums, size_t passed_over)
{
	struct vmt_sentence state = {reading->state, sizeof(reading->state), 0};
	struct vmt_sentence note = {reading->note, sizeof(reading->note), 0};
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(&state, "%zu run, %zu ended; RSS %s, shared pages counted in each",
			 sums->running, sums->ended, vmt_units_bytes(bytes, sums->rss_bytes));
	if (sums->running + sums->ended + sums->waiting + sums->unreadable == 0)
		vmt_sentence_say(&note, "There is no trace yet. ");
	if (sums->waiting)
		vmt_sentence_say(&note, "%zu trace%s not read to the end yet. ", sums->waiting,
				 sums->waiting == 1 ? " is" : "s are");
	if (sums->older)
		vmt_sentence_say(
		    &note, "There was no time for %zu trace%s: what is said of %s is older. ",
		    sums->older, sums->older == 1 ? "" : "s", sums->older == 1 ? "it" : "them");
	if (sums->silent)
		vmt_sentence_say(&note, "Of %zu that run no RSS is known yet. ", sums->silent);
	if (sums->unreadable)
		vmt_sentence_say(&note, "%zu trace%s can't be read%s: %s. ", sums->unreadable,
				 sums->unreadable == 1 ? "" : "s",
				 sums->unreadable == 1 ? "" : ", the first", sums->why);
	if (passed_over)
		vmt_sentence_say(&note, "%zu more trace%s left out.", passed_over,
				 passed_over == 1 ? " is" : "s are");
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

/* Of the files that there are now, in turn. */
static int
read_known(struct vmt_top_directory *directory, struct vmt_top_reading *reading, struct sums *sums,
	   struct vmt_err *err)
{
	const size_t count = directory->known_count;
	const size_t first = directory->next;
	struct vmt_top_item *items = calloc(count + 1, sizeof(*items));
	size_t next = count;

	if (!items)
		return vmt_err_set(err, ENOMEM, "%s: out of memory", directory->paths[0]);
	reading->items[VMT_TOP_PROCESSES] = items;
	sums->until_ns = vmt_ticks_monotonic_ns() + directory->most_ns;
	for (size_t i = 0; i < count; i++) {
		size_t at = (first + i) % count;

		if (!take_file(directory->known[at], reading, sums) && next == count)
			next = at;
	}
	directory->next = next < count ? next : first;
	reading->is_partial = sums->waiting > 0;
	return 0;
}

int
vmt_top_directory_read(struct vmt_top_directory *directory, struct vmt_top_reading *reading,
		       struct vmt_err *err)
{
	struct sums sums = {.rss_bytes = 0};
	struct vmt_trace_files files;
	int result = find_files(directory, &files, err);

	*reading = (struct vmt_top_reading){
	    .has_snapshot = true,
	    .goes_on = true,
	    .time_ns = (int64_t)(vmt_ticks_monotonic_ns() - directory->opened_ns),
	    .limit_bytes = VMT_FIGURE_UNKNOWN,
	};
	name_reading(directory, reading);
	if (result == 0)
		result = update_known(directory, &files, err);
	if (result == 0)
		result = read_known(directory, reading, &sums, err);
	if (result == 0)
		say(reading, &sums, files.passed_over);
	vmt_trace_files_free(&files);
	return result;
}
