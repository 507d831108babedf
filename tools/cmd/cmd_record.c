#include "collect/collector.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/library.h"
#include "tools/cmd/pack.h"
#include "tools/cmd/record_pid.h"
#include "tools/cmd/record_session.h"
#include "tools/cmd/record_settings.h"
#include "tools/cmd/record_static.h"
#include "tools/cmd/record_summary.h"
#include "tools/cmd/record_tree.h"
#include "tools/cmd/show_page.h"
#include "tools/memory_limit.h"
#include "tools/read/elf/preloadable.h"
#include "tools/read/trace/zstd.h"
#include "tools/startup_pages.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct recording {
	struct vmt_record_settings wanted;
	struct vmt_record_session session;
	struct vmt_launch launch;
	struct vmt_record_summary recorded;
	struct vmt_zstd_packer *packer;
	struct vmt_record_static_server *server; /* NULL: none */
	char **environment; /* as it was found; the strings are the kernel's. NULL: not needed */
};

/* The word leads the variable's list, unless it stands there already. */
static int
put_first(const char *variable, const char *word, struct vmt_err *err)
{
	const char *old = getenv(variable);
	char *joined = NULL;
	int result = 0;

	if (old && strstr(old, word))
		return 0;
	if (asprintf(&joined, "%s%s%s", word, old && *old ? ":" : "", old ? old : "") < 0)
		return vmt_err_set(err, ENOMEM, "out of memory");
	if (setenv(variable, joined, 1) < 0)
		result = vmt_err_set(err, errno, "%s: %s", variable, strerror(errno));
	free(joined);
	return result;
}

/* The environment of the program: this process never execs anything else. */
static int
set_environment(const struct recording *recording, struct vmt_err *err)
{
	char library[PATH_MAX];
	int result = vmt_library_find(library, err);

	if (result < 0)
		return result;
	result = put_first("LD_PRELOAD", library, err);
	/* A libasan.so that is not the first library ends the program before it begins. */
	if (result == 0)
		result = put_first("ASAN_OPTIONS", "verify_asan_link_order=0", err);
	if (result < 0)
		return result;
	vmt_record_settings_export(&recording->wanted);
	vmt_record_session_export(&recording->session);
	return 0;
}

static size_t
compress(void *context, void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	struct recording *recording = context;

	return vmt_zstd_compress(recording->packer, dst, dst_bytes, src, src_bytes);
}

static bool
expects_more(void *context)
{
	struct recording *recording = context;

	return !vmt_launch_has_ended(&recording->launch);
}

static bool
reaped(void *context, uint32_t pid, int *wait_status)
{
	struct recording *recording = context;

	if (pid != (uint32_t)recording->launch.pid || !vmt_launch_reap(&recording->launch, false))
		return false;
	*wait_status = recording->launch.wait_status;
	return true;
}

static uint64_t
peak_rss(void *context, uint32_t pid)
{
	const struct recording *recording = context;
	const struct vmt_launch *launch = &recording->launch;

	return launch->ended && pid == (uint32_t)launch->pid ? launch->peak_rss_bytes : 0;
}

static void
announce(void *context, uint32_t pid, const char *path)
{
	struct recording *recording = context;

	(void)pid;
	vmt_record_summary_add(&recording->recorded, path);
}

static void
forget_dropped(void *context, uint32_t pid, const char *path)
{
	struct recording *recording = context;

	(void)pid;
	vmt_record_summary_remove(&recording->recorded, path);
}

/* The collector's trouble is no reason to disturb the program: it goes on, its ring keeps the
 * newest events. */
static void
collect(struct recording *recording)
{
	struct vmt_collector_host host = {
	    .compress = compress,
	    .expects_more = expects_more,
	    .reaped = reaped,
	    .peak_rss = peak_rss,
	    .announce = announce,
	    .context = recording,
	    .interval_ns = recording->wanted.interval_ns,
	    .residency_source = recording->wanted.residency_source,
	    .touch_period = recording->wanted.touch_period,
	    .min_rss_bytes = recording->wanted.min_rss_bytes,
	    .max_files = recording->wanted.max_files,
	    .max_bytes = recording->wanted.max_bytes,
	    .dropped = forget_dropped,
	    .first_pid = (uint32_t)recording->launch.pid,
	};
	int result;

	recording->packer = vmt_zstd_packer_new();
	vmt_startup_pages_release();
	result = vmt_collector_run(recording->session.shared, &host);
	vmt_zstd_packer_free(recording->packer);
	if (result < 0)
		fprintf(stderr, "vmtrace: the collector could not begin: %s\n", strerror(-result));
	vmt_launch_reap(&recording->launch, true);
}

/* Said at once: whoever waits for a service's trace should not wait in vain. The program runs all
 * the same, and so may programs that it starts. */
static void
warn_of_obstacle(const char *command)
{
	struct vmt_preloadable program;
	struct vmt_err err = {""};
	const char *obstacle;
	const char *remedy;

	if (vmt_preloadable_inspect(&program, command, &err) < 0 ||
	    vmt_preloadable_is_static(&program))
		return;
	obstacle = vmt_preloadable_obstacle(&program, &remedy);
	if (obstacle)
		fprintf(stderr, "vmtrace: %s can't be recorded: %s; %s\n", command, obstacle,
			remedy);
}

/* What --only left out, by the name that each was executed by. The names are what any program of
 * the tree may have written. */
static void
print_left_out(const struct vmt_session *session)
{
	char name[VMT_SESSION_NAME_BYTES];
	const char *before = "";

	fprintf(stderr,
		"vmtrace: no trace was written: --only matches none of the programs that ran: ");
	for (uint32_t i = 0; i < VMT_SESSION_NAMES; i++) {
		const struct vmt_session_name *entry = &session->names[i];

		if (vmt_atomic_load_acquire(&entry->state) != VMT_SESSION_READY)
			continue;
		memcpy(name, entry->name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		fputs(before, stderr);
		vmt_record_summary_print_word(name, stderr);
		before = ", ";
	}
	if (!*before) /* killed while they wrote it */
		fputs("programs without a name", stderr);
	if (vmt_atomic_load_relaxed(&session->names[VMT_SESSION_NAMES - 1].state) !=
	    VMT_SESSION_FREE)
		fprintf(stderr, ", perhaps others");
	fprintf(stderr, "; programs that never load %s are not seen\n", VMT_LIBRARY_NAME);
}

/* Whether every trace that was announced was removed for what it held. */
static bool
removed_all(const struct recording *recording)
{
	return recording->recorded.dropped > 0 &&
	       recording->recorded.dropped >=
		   vmt_atomic_load_relaxed(&recording->session.shared->traces);
}

/* Why there is nothing to be read. A process that announced itself was recorded: its trace has what
 * the collector did not take. */
static void
print_absence(const struct recording *recording, const char *command)
{
	if (removed_all(recording)) {
		fprintf(stderr,
			"vmtrace: no trace is left: each was removed at its end (--min-rss, "
			"--max-files, fork children that did nothing)\n");
		return;
	}
	if (vmt_atomic_load_relaxed(&recording->session.shared->traces) > 0) {
		fprintf(
		    stderr,
		    "vmtrace: %s was recorded, but the collector could not open its trace; "
		    "%s holds only the last events\n"
		    "vmtrace: it had no descriptors or memory left (ulimit -n, ulimit -v), or the "
		    "trace is in another mount namespace\n",
		    command, recording->session.output);
		return;
	}
	if (vmt_atomic_load_relaxed(&recording->session.shared->left_out) > 0) {
		print_left_out(recording->session.shared);
		return;
	}
	fprintf(stderr,
		"vmtrace: no trace was written: %s never loaded %s, or a line above says why%s\n",
		command, VMT_LIBRARY_NAME,
		vmt_record_settings_text(&recording->wanted, VMT_SETTING_ONLY)
		    ? ", or --only does not name it"
		    : "");
}

static void
complain(const char *path, const char *why)
{
	fputs("vmtrace: not packed: ", stderr);
	if (!strstr(why, path))
		fprintf(stderr, "%s: ", path);
	fprintf(stderr, "%s\n", why);
}

/* What can't be packed stays as it is. */
static void
pack_traces(const struct recording *recording)
{
	const struct vmt_record_summary *recorded = &recording->recorded;

	vmt_memory_limit_set_machine();
	for (uint32_t i = 0; i < recorded->kept; i++) {
		struct vmt_pack pack = {.path = recorded->paths[i]};
		struct vmt_err err = {""};

		if (vmt_pack_write(&pack, &err) < 0)
			complain(recorded->paths[i], err.text);
	}
	if (recorded->count > recorded->kept)
		fprintf(stderr,
			"vmtrace: only the first %u traces were packed; vmtrace pack packs "
			"one\n",
			recorded->kept);
}

/* Programs that load no library, started by others. */
static void
print_missed(const struct vmt_session *session)
{
	uint32_t missed = vmt_atomic_load_relaxed(&session->execs_missed);

	if (missed != 0)
		fprintf(stderr,
			"vmtrace: %u program%s that load%s no library %s not recorded: the "
			"recorder could not be put there in time, or tracing is refused\n",
			missed, missed == 1 ? "" : "s", missed == 1 ? "s" : "",
			missed == 1 ? "was" : "were");
}

static void
print_summary(struct recording *recording, char **argv, struct vmt_err *err)
{
	const struct vmt_launch *launch = &recording->launch;
	const char *trace;

	/* Fork children remove their own as well, which the collector may never have seen. */
	recording->recorded.dropped = vmt_atomic_load_relaxed(&recording->session.shared->dropped);
	print_missed(recording->session.shared);
	if (recording->recorded.kept) {
		trace = vmt_record_summary_print(&recording->recorded,
						 launch->end_ns - launch->start_ns, stderr);
		vmt_record_tree_print(&recording->recorded, launch->start_ns, stderr);
		if (recording->wanted.options.values[VMT_RECORD_OPEN])
			vmt_show_page_open(trace, recording->environment, err);
		return;
	}
	print_absence(recording, argv[0]);
	if (removed_all(recording))
		return;
	if (recording->session.shared->replaced_inode)
		fprintf(stderr, "vmtrace: %s was left unchanged\n", recording->session.output);
	fprintf(stderr, "vmtrace: next: vmtrace doctor -- %s\n", argv[0]);
}

/* The variables as they are now: what is set later puts others in their places. */
static int
keep_environment(struct recording *recording, struct vmt_err *err)
{
	size_t count = 0;

	if (!recording->wanted.options.values[VMT_RECORD_OPEN])
		return 0;
	while (environ[count])
		count++;
	recording->environment = calloc(count + 1, sizeof(*recording->environment));
	if (!recording->environment)
		return vmt_err_set(err, ENOMEM, "out of memory");
	memcpy(recording->environment, environ, count * sizeof(*recording->environment));
	return 0;
}

static int
record(struct recording *recording, int *status, struct vmt_err *err)
{
	char **argv = recording->wanted.options.operands;
	int result;

	if ((result = vmt_record_settings_check(&recording->wanted, err)) < 0 ||
	    (result = vmt_record_session_open(&recording->session, &recording->wanted, err)) < 0 ||
	    (result = keep_environment(recording, err)) < 0 ||
	    (result = set_environment(recording, err)) < 0)
		return result;
	warn_of_obstacle(argv[0]);
	recording->server = vmt_record_static_serve(recording->session.shared);
	result = vmt_record_static_is_one(argv[0])
		     ? vmt_record_static_start(&recording->launch, argv, status, err)
		     : vmt_launch_start(&recording->launch, argv, status, err);
	if (result < 0)
		return result;
	if (recording->launch.ended)
		return 0;
	collect(recording);
	if (recording->wanted.options.values[VMT_RECORD_PACK])
		pack_traces(recording);
	print_summary(recording, argv, err);
	*status = vmt_launch_status(&recording->launch);
	return 0;
}

/* What is to be recorded: a command, or a process that runs. */
static int
record_either(struct recording *recording, int *status, struct vmt_err *err)
{
	const struct vmt_options *options = &recording->wanted.options;

	if (options->values[VMT_RECORD_PID])
		return vmt_record_pid_run(&recording->wanted, status, err);
	if (options->values[VMT_RECORD_FOR])
		return vmt_err_set(err, EINVAL, "--for goes with -p PID");
	if (options->values[VMT_RECORD_TREE])
		return vmt_err_set(err, EINVAL, "--tree goes with -p PID");
	if (options->operand_count == 0)
		return vmt_err_set(err, EINVAL, "record needs a command to run, or -p PID");
	return record(recording, status, err);
}

int
vmt_cmd_record_main(int argc, char **argv, struct vmt_err *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int status = 0;
	int result;

	if (!recording)
		return vmt_err_set(err, ENOMEM, "out of memory");
	result = vmt_options_parse(&recording->wanted.options, vmt_cmd_record_options, argc, argv,
				   true, err);
	if (result == 0)
		result = record_either(recording, &status, err);
	vmt_record_static_end(recording->server);
	vmt_record_session_close(&recording->session);
	vmt_record_summary_free(&recording->recorded);
	free(recording->environment);
	free(recording);
	return result < 0 ? result : status;
}
