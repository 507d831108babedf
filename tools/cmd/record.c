#include "collect/aside.h"
#include "collect/collector.h"
#include "format/chunk.h"
#include "format/stack_table.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/launch.h"
#include "tools/cmd/library.h"
#include "tools/cmd/recorded.h"
#include "tools/out/units.h"
#include "tools/read/program.h"
#include "tools/read/zstd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST_BUFFER_BYTES 1024u
#define DEFAULT_OUTPUT "vmtrace.%n.%p.vmt"
/* The session carries at most VMT_SESSION_PATH_BYTES; names grow by %n, %p and a suffix. */
#define OUTPUT_MAX_BYTES (VMT_SESSION_PATH_BYTES - 40u)

enum {
	OPTION_OUTPUT,
	OPTION_MALLOC,
	OPTION_INTERVAL,
	OPTION_DEPTH,
	OPTION_BUFFER,
	OPTION_ONLY,
	OPTION_FOLLOW,
	OPTION_STACKS,
	OPTION_RESIDENCY,
	OPTION_CMDLINE,
	OPTION_GO,
	OPTION_SEED,
	OPTION_VERBOSE,
};

const struct vmt_option vmt_record_options[] = {
    {"output", 'o', "FILE", "the trace; %n = program name, %p = process id"},
    {"malloc", 0, "MODE", "off, sampled[:BYTES] (default sampled:64KiB), all"},
    {"interval", 0, "TIME", "between two readings of RSS"},
    {"depth", 0, "FRAMES", "frames a call stack is cut at (default 30)"},
    {"buffer", 0, "BYTES", "ring space of one shard"},
    {"only", 0, "GLOBS", "record programs of these names alone; colons between"},
    {"follow", 0, "WHAT", "none, exec, fork, all (default)"},
    {"stacks", 0, "WALKER", "auto (default), cfi, libunwind, fp"},
    {"residency", 0, "SOURCE", "pagemap-scan, pagemap, mincore (default: the best there is)"},
    {"cmdline", 0, "MODE", "on (default), off: the command line is left out of the trace"},
    {"go", 0, "MODE", "on (default), off: the Go runtime's own system calls"},
    {"seed", 0, "NUMBER", "choose the same sampled blocks in each run"},
    {"verbose", 'v', NULL, "let the library say on stderr what it does"},
    {0},
};

static const char *const variables[] = {
    [OPTION_OUTPUT] = "VMTRACE_OUTPUT",
    [OPTION_MALLOC] = "VMTRACE_MALLOC",
    [OPTION_INTERVAL] = "VMTRACE_INTERVAL",
    [OPTION_DEPTH] = "VMTRACE_DEPTH",
    [OPTION_BUFFER] = "VMTRACE_BUFFER",
    [OPTION_ONLY] = "VMTRACE_ONLY",
    [OPTION_FOLLOW] = "VMTRACE_FOLLOW",
    [OPTION_STACKS] = "VMTRACE_STACKS",
    [OPTION_RESIDENCY] = "VMTRACE_RESIDENCY",
    [OPTION_CMDLINE] = "VMTRACE_CMDLINE",
    [OPTION_GO] = "VMTRACE_GO",
    [OPTION_SEED] = "VMTRACE_SEED",
    [OPTION_VERBOSE] = "VMTRACE_VERBOSE",
};

struct recording {
	struct vmt_options options;
	char output[PATH_MAX]; /* absolute, may hold %n and %p */
	char session_path[PATH_MAX];
	struct vmt_session *session;
	struct vmt_launch launch;
	struct vmt_recorded recorded;
	struct vmt_zstd_packer *packer;
	uint64_t interval_ns;
	uint32_t residency_source;
};

/* What an option, or else its variable, says; NULL where neither does. */
static const char *
setting(const struct recording *recording, int option)
{
	const char *value = recording->options.values[option];

	if (!value)
		value = getenv(variables[option]);
	return value && *value ? value : NULL;
}

static int
check_word(const struct recording *recording, int option, const char *const *words,
	   struct vmt_err *err)
{
	char name[32];

	if (!recording->options.values[option])
		return 0;
	snprintf(name, sizeof(name), "--%s", vmt_record_options[option].name);
	return vmt_options_choose(name, recording->options.values[option], words, err);
}

static int
check_malloc(const char *mode, struct vmt_err *err)
{
	static const char sampled[] = "sampled:";
	uint64_t bytes = 1;

	if (!mode || !strcmp(mode, "off") || !strcmp(mode, "all") || !strcmp(mode, "sampled"))
		return 0;
	if (strncmp(mode, sampled, strlen(sampled)) == 0 &&
	    vmt_units_parse_bytes(mode + strlen(sampled), &bytes) == 0 && bytes > 0)
		return 0;
	return vmt_err_set(err, EINVAL, "--malloc: '%s' is not one of off, sampled[:BYTES], all",
			   mode);
}

static int
check_depth(const char *depth, struct vmt_err *err)
{
	unsigned long frames;
	char *end;

	if (!depth)
		return 0;
	frames = strtoul(depth, &end, 10);
	if (*depth >= '0' && *depth <= '9' && !*end && frames >= 1 &&
	    frames <= VMT_STACK_MAX_FRAMES)
		return 0;
	return vmt_err_set(err, EINVAL, "--depth: '%s' is not a number from 1 to %u", depth,
			   (unsigned)VMT_STACK_MAX_FRAMES);
}

static int
check_seed(const char *seed, struct vmt_err *err)
{
	char *end;

	if (!seed)
		return 0;
	errno = 0;
	(void)strtoull(seed, &end, 10);
	if (*seed >= '0' && *seed <= '9' && !*end && errno == 0)
		return 0;
	return vmt_err_set(err, EINVAL, "--seed: '%s' is not a whole number below 2^64", seed);
}

/* A bare number is milliseconds here, as it is for the library. */
static int
read_interval(struct recording *recording, struct vmt_err *err)
{
	const char *text = setting(recording, OPTION_INTERVAL);
	char with_unit[64];

	if (!text)
		return 0;
	snprintf(with_unit, sizeof(with_unit), "%s%s", text,
		 text[strspn(text, "0123456789")] == '\0' ? "ms" : "");
	if (vmt_units_parse_duration(with_unit, &recording->interval_ns) == 0 &&
	    recording->interval_ns > 0)
		return 0;
	return vmt_err_set(err, EINVAL, "interval: '%s' is not a time such as 100ms", text);
}

static int
read_residency(struct recording *recording, struct vmt_err *err)
{
	static const char *const words[] = {"pagemap-scan", "pagemap", "mincore", NULL};
	const char *text = setting(recording, OPTION_RESIDENCY);
	int index;

	if (!text)
		return 0;
	index = vmt_options_choose("residency", text, words, err);
	if (index < 0)
		return index;
	_Static_assert(VMT_RESIDENCY_PAGEMAP_SCAN == 1 && VMT_RESIDENCY_MINCORE == 3,
		       "words are in the order of the sources");
	recording->residency_source = (uint32_t)index + 1;
	return 0;
}

static int
check_options(struct recording *recording, struct vmt_err *err)
{
	static const char *const follow[] = {"none", "exec", "fork", "all", NULL};
	static const char *const stacks[] = {"auto", "cfi", "libunwind", "fp", "checked", NULL};
	static const char *const on_off[] = {"on", "off", "1", "0", NULL};
	const char *buffer = recording->options.values[OPTION_BUFFER];
	uint64_t bytes;
	int result;

	if ((result = check_word(recording, OPTION_FOLLOW, follow, err)) < 0 ||
	    (result = check_word(recording, OPTION_STACKS, stacks, err)) < 0 ||
	    (result = check_word(recording, OPTION_CMDLINE, on_off, err)) < 0 ||
	    (result = check_word(recording, OPTION_GO, on_off, err)) < 0 ||
	    (result = check_malloc(recording->options.values[OPTION_MALLOC], err)) < 0 ||
	    (result = check_depth(recording->options.values[OPTION_DEPTH], err)) < 0 ||
	    (result = check_seed(recording->options.values[OPTION_SEED], err)) < 0 ||
	    (result = read_interval(recording, err)) < 0 ||
	    (result = read_residency(recording, err)) < 0)
		return result;
	if (buffer && (vmt_units_parse_bytes(buffer, &bytes) < 0 || bytes < LEAST_BUFFER_BYTES))
		return vmt_err_set(err, EINVAL,
				   "--buffer: '%s' is not a size such as 4MiB (at least 1KiB)",
				   buffer);
	return 0;
}

/* The program may change its directory before a child opens a trace: the name must be absolute. */
static int
choose_output(struct recording *recording, struct vmt_err *err)
{
	const char *wanted = setting(recording, OPTION_OUTPUT);
	char here[PATH_MAX] = "";
	int length;

	if (!wanted)
		wanted = DEFAULT_OUTPUT;
	if (*wanted != '/' && !getcwd(here, sizeof(here)))
		return vmt_err_set(err, errno, "current directory: %s", strerror(errno));
	length = snprintf(recording->output, sizeof(recording->output), "%s%s%s", here,
			  *wanted == '/' ? "" : "/", wanted);
	if (length < 0 || (size_t)length > OUTPUT_MAX_BYTES)
		return vmt_err_set(err, ENAMETOOLONG, "%s: longer than %u bytes; see --output",
				   wanted, OUTPUT_MAX_BYTES);
	return 0;
}

static int
make_session(struct recording *recording, struct vmt_err *err)
{
	const char *slash = strrchr(recording->output, '/');
	uint64_t random_id = 0;
	int result;

	assert(slash);
	if (getrandom(&random_id, sizeof(random_id), GRND_NONBLOCK) < 0)
		random_id = vmt_launch_now_ns();
	snprintf(recording->session_path, sizeof(recording->session_path),
		 "%.*s/.vmtrace-%d-%08" PRIx32 ".session", (int)(slash - recording->output),
		 recording->output, (int)getpid(), (uint32_t)random_id);
	result = vmt_session_create(recording->session_path, &recording->session);
	if (vmt_aside_is_wanted(result))
		result = vmt_session_create_aside(
		    recording->session_path, sizeof(recording->session_path), (uint32_t)getpid(),
		    random_id, &recording->session);
	if (result < 0) {
		vmt_err_set(err, -result,
			    "%.*s/: %s; the trace goes there, name another place with --output",
			    (int)(slash - recording->output), recording->output, strerror(-result));
		recording->session_path[0] = '\0';
	}
	return result;
}

/* A plain name given on the command line is replaced, by the first trace that is there; templates
 * never replace anything. */
static int
find_replaced(const struct recording *recording, struct vmt_err *err)
{
	struct stat status;

	if (!recording->options.values[OPTION_OUTPUT] || strchr(recording->output, '%') ||
	    lstat(recording->output, &status) < 0)
		return 0;
	if (!S_ISREG(status.st_mode))
		return vmt_err_set(err, EEXIST, "%s: exists and is not a regular file",
				   recording->output);
	recording->session->replaced_inode = status.st_ino;
	return 0;
}

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

/* Sizes are passed on as plain bytes: the library reads numbers with as little code as it can. */
static void
set_bytes(const char *variable, const char *prefix, const char *text)
{
	char plain[64];
	uint64_t bytes = 0;
	int result = vmt_units_parse_bytes(text, &bytes);

	assert(result == 0);
	(void)result;
	snprintf(plain, sizeof(plain), "%s%" PRIu64, prefix, bytes);
	setenv(variable, plain, 1);
}

/* The environment of the program: this process never execs anything else. */
static int
set_environment(const struct recording *recording, struct vmt_err *err)
{
	char library[PATH_MAX];
	char interval[32];
	int result = vmt_library_find(library, err);

	snprintf(interval, sizeof(interval), "%" PRIu64 "ns", recording->interval_ns);
	if (result < 0)
		return result;
	result = put_first("LD_PRELOAD", library, err);
	/* A libasan.so that is not the first library ends the program before it begins. */
	if (result == 0)
		result = put_first("ASAN_OPTIONS", "verify_asan_link_order=0", err);
	if (result < 0)
		return result;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		const char *value = recording->options.values[i];

		if (!value)
			continue;
		if (i == OPTION_BUFFER)
			set_bytes(variables[i], "", value);
		else if (i == OPTION_MALLOC && strchr(value, ':'))
			set_bytes(variables[i], "sampled:", strchr(value, ':') + 1);
		else if (i == OPTION_INTERVAL)
			setenv(variables[i], interval, 1);
		else
			setenv(variables[i], *value ? value : "1", 1);
	}
	setenv(variables[OPTION_OUTPUT], recording->output, 1);
	setenv(VMT_SESSION_ENV, recording->session_path, 1);
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

	return !vmt_launch_reap(&recording->launch, false);
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

static void
announce(void *context, uint32_t pid, const char *path)
{
	struct recording *recording = context;

	(void)pid;
	vmt_recorded_add(&recording->recorded, path);
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
	    .announce = announce,
	    .context = recording,
	    .interval_ns = recording->interval_ns,
	    .residency_source = recording->residency_source,
	    .first_pid = (uint32_t)recording->launch.pid,
	};
	int result;

	recording->packer = vmt_zstd_packer_new();
	result = vmt_collector_run(recording->session, &host);
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
	struct vmt_program program;
	struct vmt_err err = {""};
	const char *obstacle;
	const char *remedy;

	if (vmt_program_inspect(&program, command, &err) < 0)
		return;
	obstacle = vmt_program_obstacle(&program, &remedy);
	if (obstacle)
		fprintf(stderr, "vmtrace: %s can't be recorded: %s; %s\n", command, obstacle,
			remedy);
}

static void
print_summary(const struct recording *recording, char **argv)
{
	const struct vmt_launch *launch = &recording->launch;

	if (recording->recorded.kept) {
		vmt_recorded_print(&recording->recorded, launch->end_ns - launch->start_ns, stderr);
		return;
	}
	fprintf(stderr,
		"vmtrace: no trace was written: %s never loaded %s, or it says above why%s\n",
		argv[0], VMT_LIBRARY_NAME,
		setting(recording, OPTION_ONLY) ? ", or --only does not name it" : "");
	if (recording->session->replaced_inode)
		fprintf(stderr, "vmtrace: %s is as it was before\n", recording->output);
	fprintf(stderr, "vmtrace: next: vmtrace doctor -- %s\n", argv[0]);
}

static int
record(struct recording *recording, int *status, struct vmt_err *err)
{
	char **argv = recording->options.operands;
	int result;

	if ((result = check_options(recording, err)) < 0 ||
	    (result = choose_output(recording, err)) < 0 ||
	    (result = make_session(recording, err)) < 0 ||
	    (result = find_replaced(recording, err)) < 0 ||
	    (result = set_environment(recording, err)) < 0)
		return result;
	warn_of_obstacle(argv[0]);
	result = vmt_launch_start(&recording->launch, argv, status, err);
	if (result < 0)
		return result;
	if (recording->launch.ended)
		return 0;
	collect(recording);
	print_summary(recording, argv);
	*status = vmt_launch_status(&recording->launch);
	return 0;
}

int
vmt_record_main(int argc, char **argv, struct vmt_err *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int status = 0;
	int result;

	if (!recording)
		return vmt_err_set(err, ENOMEM, "out of memory");
	result = vmt_options_parse(&recording->options, vmt_record_options, argc, argv, true, err);
	if (result == 0 && recording->options.operand_count == 0)
		result = vmt_err_set(err, EINVAL, "record needs a command to run");
	if (result == 0)
		result = record(recording, &status, err);
	if (recording->session)
		munmap(recording->session, sizeof(*recording->session));
	if (recording->session_path[0])
		unlink(recording->session_path);
	vmt_recorded_free(&recording->recorded);
	free(recording);
	return result < 0 ? result : status;
}
