#include "tools/cmd/record_pid.h"

#include "base/ticks.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/record_attach.h"
#include "tools/cmd/record_summary.h"
#include "tools/cmd/record_tree.h"
#include "tools/cmd/snapshot_pids.h"
#include "tools/cmd/snapshot_take.h"
#include "tools/cmd/stop_signals.h"
#include "tools/render/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTENSION ".vmt"
#define MAX_NAMES 1000
#define STATUS_REFUSED 1
#define SUFFIX_BYTES 64u /* what is put behind a name at most */

struct watch {
	uint32_t pid;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t for_ns;   /* UINT64_MAX: no end is set */
	bool replaces;	   /* a file that has the name makes room */
	bool is_placed;	   /* the trace has its name */
	int place_error;   /* positive errno: it could not get it */
	char path[PATH_MAX];
	char hidden[PATH_MAX + 64]; /* its name until then */
};

static void
read_name(uint32_t pid, char *name, size_t room)
{
	char link[64], path[PATH_MAX];
	const char *slash;
	ssize_t bytes;

	snprintf(link, sizeof(link), "/proc/%" PRIu32 "/exe", pid);
	bytes = readlink(link, path, sizeof(path) - 1);
	path[bytes > 0 ? bytes : 0] = '\0';
	slash = strrchr(path, '/');
	snprintf(name, room, "%s", slash && slash[1] ? slash + 1 : "program");
	if (strchr(name, ' ')) /* " (deleted)" */
		*strchr(name, ' ') = '\0';
}

/* The template with %n and %p written out. False: it is too long. */
static bool
expand(struct watch *watch, const char *template)
{
	char name[NAME_MAX + 1], pid[16], other[2] = "";
	size_t used = 0;

	read_name(watch->pid, name, sizeof(name));
	snprintf(pid, sizeof(pid), "%" PRIu32, watch->pid);
	for (; *template; template ++) {
		const char *piece = other;

		if (*template == '%' && template[1] == 'n')
			piece = name;
		if (*template == '%' && template[1] == 'p')
			piece = pid;
		template += *template == '%' && template[1];
		other[0] = *template;
		if (used + strlen(piece) + SUFFIX_BYTES >= sizeof(watch->path))
			return false;
		memcpy(watch->path + used, piece, strlen(piece) + 1);
		used += strlen(piece);
	}
	return true;
}

static int
choose_path(struct watch *watch, const struct vmt_record_settings *wanted, struct vmt_err *err)
{
	const char *given = wanted->options.values[VMT_SETTING_OUTPUT];
	const char *template = vmt_record_settings_text(wanted, VMT_SETTING_OUTPUT);
	struct stat status;

	if (!template || !*template)
		template = vmt_settings[VMT_SETTING_OUTPUT].fallback;
	if (!expand(watch, template))
		return vmt_err_set(err, ENAMETOOLONG, "%s: too long; see --output", template);
	watch->replaces = given && !strchr(given, '%');
	if (watch->replaces && lstat(watch->path, &status) == 0 && !S_ISREG(status.st_mode))
		return vmt_err_set(err, EEXIST, "%s: exists and is not a regular file",
				   watch->path);
	return 0;
}

/* Beside its place: it takes it when it has a head. */
static int
make_file(struct watch *watch, struct vmt_err *err)
{
	const char *slash = strrchr(watch->path, '/');
	int directory_bytes = slash ? (int)(slash + 1 - watch->path) : 0;
	int fd;

	snprintf(watch->hidden, sizeof(watch->hidden), "%.*s.vmtrace-%d-%" PRIu32 EXTENSION,
		 directory_bytes, watch->path, (int)getpid(), watch->pid);
	fd = open(watch->hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return vmt_err_set(err, errno, "%s: %s; name another place with --output",
				   watch->path, strerror(errno));
	return fd;
}

/* The n-th name; a template never replaces anything. */
static int
put_name(const struct watch *watch, char *name, size_t room, int attempt)
{
	size_t bytes = strlen(watch->path);
	size_t extension = sizeof(EXTENSION) - 1;

	if (bytes > extension && strcmp(watch->path + bytes - extension, EXTENSION) == 0)
		bytes -= extension;
	if (attempt == 0)
		return snprintf(name, room, "%s", watch->path);
	return snprintf(name, room, "%.*s.%d" EXTENSION, (int)bytes, watch->path, attempt);
}

static int
place_beside(struct watch *watch)
{
	char name[PATH_MAX + 16];

	for (int attempt = 0; attempt < MAX_NAMES; attempt++) {
		if (put_name(watch, name, sizeof(name), attempt) >= PATH_MAX)
			return ENAMETOOLONG;
		if (link(watch->hidden, name) == 0) {
			unlink(watch->hidden);
			snprintf(watch->path, sizeof(watch->path), "%.*s", PATH_MAX - 1, name);
			return 0;
		}
		if (errno != EEXIST)
			return errno;
	}
	return EEXIST;
}

static void
place(struct watch *watch)
{
	if (watch->replaces)
		watch->place_error = rename(watch->hidden, watch->path) == 0 ? 0 : errno;
	else
		watch->place_error = place_beside(watch);
	watch->is_placed = watch->place_error == 0;
	if (!watch->is_placed)
		return;
	fprintf(stderr,
		"vmtrace: watching process %" PRIu32 " from outside: what it has in RAM, not its "
		"calls%s\n",
		watch->pid, watch->for_ns == UINT64_MAX ? vmt_stop_signals_hint() : "");
}

static bool
goes_on(void *context)
{
	struct watch *watch = context;

	if (!watch->is_placed && watch->place_error == 0)
		place(watch);
	return watch->is_placed && !vmt_stop_signals_came() &&
	       vmt_ticks_monotonic_ns() - watch->start_ns < watch->for_ns;
}

/* Whether an option has an effect on a process that runs; on one that is watched alone. */
static bool
has_effect(int option, bool is_watched)
{
	switch (option) {
	case VMT_SETTING_OUTPUT:
	case VMT_SETTING_INTERVAL:
	case VMT_SETTING_MAX_SIZE:
	case VMT_SETTING_RESIDENCY:
	case VMT_RECORD_PID:
	case VMT_RECORD_FOR:
	case VMT_RECORD_WATCH:
	case VMT_RECORD_TREE:
		return true;
	case VMT_SETTING_EXIT_WAIT:
	case VMT_SETTING_FOLLOW:
	case VMT_SETTING_DEPTH:
	case VMT_SETTING_BUFFER:
	case VMT_SETTING_STACK_TABLE:
	case VMT_SETTING_STACKS:
	case VMT_SETTING_TOUCH:
	case VMT_SETTING_MALLOC:
		return !is_watched;
	default:
		return false;
	}
}

/* Options that would be of no effect are refused: they say what somebody expects. */
static int
refuse_others(const struct vmt_options *options, struct vmt_err *err)
{
	bool is_watched = options->values[VMT_RECORD_WATCH] != NULL;

	for (int i = 0; i < VMT_RECORD_OPTIONS; i++)
		if (options->values[i] && !has_effect(i, is_watched))
			return vmt_err_set(err, EINVAL, "--%s does not go with %s: %s",
					   vmt_cmd_record_options[i].name,
					   is_watched ? "--watch" : "-p",
					   is_watched ? "the process is watched from outside, its "
							"calls are not recorded"
						      : "the process runs already");
	return 0;
}

/* "-p 12,34 -p 56": each number a word. Negative: out of memory, which *lists says too. */
static int
split_lists(const struct vmt_options *options, char **lists, char ***words)
{
	size_t bytes = 1;
	int count = 0;
	char *at;

	for (int i = 0; i < options->repeated_count; i++)
		bytes += strlen(options->repeated[i]) + 1;
	*words = calloc(bytes, sizeof(**words));
	*lists = at = calloc(1, bytes);
	if (!*words || !*lists)
		return -ENOMEM;
	for (int i = 0; i < options->repeated_count; i++) {
		char *list = at;

		at = stpcpy(at, options->repeated[i]) + 1;
		while (list)
			(*words)[count++] = strsep(&list, ",");
	}
	return count;
}

static int
read_pids(struct vmt_snapshot_pids *pids, const struct vmt_options *options, struct vmt_err *err)
{
	bool with_descendants = options->values[VMT_RECORD_TREE] != NULL;
	char **words = NULL;
	char *lists = NULL;
	int count = split_lists(options, &lists, &words);
	int result = count < 0 ? vmt_err_set(err, ENOMEM, "out of memory")
			       : vmt_snapshot_pids_read(pids, words, count, with_descendants, err);

	free(lists);
	free(words);
	if (result == 0 && options->values[VMT_RECORD_WATCH] && pids->count > 1)
		return vmt_err_set(err, EINVAL, "--watch watches one process");
	return result;
}

static int
read_words(struct watch *watch, struct vmt_snapshot_pids *pids, struct vmt_record_settings *wanted,
	   struct vmt_err *err)
{
	const char *duration = wanted->options.values[VMT_RECORD_FOR];
	int result;

	if (wanted->options.operand_count)
		return vmt_err_set(err, EINVAL, "-p records a process that runs: '%s' is too much",
				   wanted->options.operands[0]);
	result = refuse_others(&wanted->options, err);
	if (result < 0)
		return result;
	watch->for_ns = UINT64_MAX;
	if (duration &&
	    (vmt_units_parse_duration(duration, &watch->for_ns) < 0 || watch->for_ns == 0))
		return vmt_err_set(err, EINVAL, "--for: '%s' is not a time such as 30s", duration);
	result = read_pids(pids, &wanted->options, err);
	if (result == 0 && pids->count != 0)
		watch->pid = pids->all[0];
	return result < 0 ? result : vmt_record_settings_check(wanted, err);
}

static int
watch_into(struct watch *watch, const struct vmt_record_settings *wanted, int fd,
	   struct vmt_err *err)
{
	int result;

	vmt_stop_signals_catch();
	watch->start_ns = vmt_ticks_monotonic_ns();
	result = vmt_snapshot_take_watch(
	    watch->pid, fd,
	    &(struct vmt_snapshot_watch){.goes_on = goes_on,
					 .context = watch,
					 .interval_ns = wanted->interval_ns,
					 .max_bytes = wanted->max_bytes,
					 .residency_source = wanted->residency_source},
	    err);
	if (!watch->is_placed) {
		unlink(watch->hidden);
		if (watch->place_error)
			return vmt_err_set(err, watch->place_error, "%s: %s", watch->path,
					   strerror(watch->place_error));
	}
	return result;
}

static void
say_end(struct vmt_record_summary *recorded, uint64_t start_ns, uint64_t end_ns)
{
	if (recorded->kept)
		vmt_record_summary_print(recorded, end_ns - start_ns, stderr);
	if (recorded->kept > 1)
		vmt_record_tree_print(recorded, start_ns, stderr);
	vmt_record_summary_free(recorded);
}

static int
watch_from_outside(struct watch *watch, const struct vmt_record_settings *wanted,
		   struct vmt_err *err)
{
	struct vmt_record_summary recorded = {.kept = 0};
	int result = choose_path(watch, wanted, err);
	int fd;

	if (result < 0)
		return result;
	fd = make_file(watch, err);
	if (fd < 0)
		return fd;
	result = watch_into(watch, wanted, fd, err);
	close(fd);
	if (result < 0)
		return result;
	vmt_record_summary_add(&recorded, watch->path);
	say_end(&recorded, watch->start_ns, vmt_ticks_monotonic_ns());
	return 0;
}

int
vmt_record_pid_run(struct vmt_record_settings *wanted, int *status, struct vmt_err *err)
{
	struct watch watch = {.pid = 0};
	struct vmt_snapshot_pids pids = {.all = NULL};
	struct vmt_record_attach job = {.wanted = wanted, .pids = &pids};
	int result = read_words(&watch, &pids, wanted, err);

	job.for_ns = watch.for_ns;
	job.with_tree = wanted->options.values[VMT_RECORD_TREE] != NULL;
	if (result == 0 && !wanted->options.values[VMT_RECORD_WATCH])
		result = vmt_record_attach_run(&job, err);
	if (result == 0 && job.taken == 0 && pids.count == 1)
		result = watch_from_outside(&watch, wanted, err);
	else
		say_end(&job.recorded, job.start_ns, job.end_ns);
	if (job.taken != 0 && job.recorded.count == 0)
		fprintf(stderr, "vmtrace: no trace was collected: it could not be announced to "
				"this vmtrace\n");
	*status = pids.count > 1 && job.refused > 0 ? STATUS_REFUSED : 0;
	vmt_snapshot_pids_free(&pids);
	return result;
}
