#include "tools/cmd/wanted.h"

#include "collect/bound.h"
#include "format/stack_table.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/suggest.h"
#include "tools/out/units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_BUFFER_BYTES 1024u
#define MOST_BUFFER_BYTES (UINT64_C(1) << 30)
#define LEAST_TABLE_BYTES 4096u
#define MOST_TABLE_BYTES (UINT64_C(1) << 30)
#define MOST_FILES 65536u
#define NAME_BYTES 32

const struct vmt_option vmt_record_options[] = {
    {"output", 'o', "FILE", "the trace; %n = program name, %p = process id"},
    {"malloc", 0, "MODE", "off, sampled[:BYTES] (default sampled:64KiB), all"},
    {"interval", 0, "TIME", "between two readings of RSS (default: 10ms to 1s, as RSS moves)"},
    {"depth", 0, "FRAMES", "frames a call stack is cut at (default 30)"},
    {"buffer", 0, "BYTES", "ring space of one shard (default 256KiB; malloc all: 1.1MiB)"},
    {"stack-table", 0, "BYTES", "room for different call stacks (default 2MiB; malloc all: 8MiB)"},
    {"min-rss", 0, "BYTES", "remove the trace of a process that never had so much resident"},
    {"max-files", 0, "NUMBER", "finished traces that stay; the smallest others are removed"},
    {"max-size", 0, "BYTES", "of a trace (default 2GiB; 0: any): sampled more sparsely beyond"},
    {"only", 0, "GLOBS", "record programs of these names alone; colons between"},
    {"follow", 0, "WHAT", "none, exec, fork, all (default)"},
    {"stacks", 0, "WALKER", "auto (default), cfi, libunwind, fp"},
    {"residency", 0, "SOURCE", "auto (default, the best there is), pagemap-scan, pagemap, mincore"},
    {"cmdline", 0, "MODE", "on (default), off: the command line is left out of the trace"},
    {"go", 0, "MODE", "on (default), off: the Go runtime's own system calls"},
    {"seed", 0, "NUMBER", "choose the same sampled blocks in each run"},
    {"verbose", 'v', NULL, "let the library say on stderr what it does"},
    {0},
};

_Static_assert(sizeof(vmt_record_options) / sizeof(*vmt_record_options) == VMT_WANTED_VALUES + 1,
	       "options are in the order of the values");

static const char *const variables[VMT_WANTED_VALUES] = {
    [VMT_WANTED_OUTPUT] = "VMTRACE_OUTPUT",
    [VMT_WANTED_MALLOC] = "VMTRACE_MALLOC",
    [VMT_WANTED_INTERVAL] = "VMTRACE_INTERVAL",
    [VMT_WANTED_DEPTH] = "VMTRACE_DEPTH",
    [VMT_WANTED_BUFFER] = "VMTRACE_BUFFER",
    [VMT_WANTED_STACK_TABLE] = "VMTRACE_STACK_TABLE",
    [VMT_WANTED_MIN_RSS] = "VMTRACE_MIN_RSS",
    [VMT_WANTED_MAX_FILES] = "VMTRACE_MAX_FILES",
    [VMT_WANTED_MAX_SIZE] = "VMTRACE_MAX_SIZE",
    [VMT_WANTED_ONLY] = "VMTRACE_ONLY",
    [VMT_WANTED_FOLLOW] = "VMTRACE_FOLLOW",
    [VMT_WANTED_STACKS] = "VMTRACE_STACKS",
    [VMT_WANTED_RESIDENCY] = "VMTRACE_RESIDENCY",
    [VMT_WANTED_CMDLINE] = "VMTRACE_CMDLINE",
    [VMT_WANTED_GO] = "VMTRACE_GO",
    [VMT_WANTED_SEED] = "VMTRACE_SEED",
    [VMT_WANTED_VERBOSE] = "VMTRACE_VERBOSE",
};

const char *
vmt_wanted_text(const struct vmt_wanted *wanted, enum vmt_wanted_value value)
{
	const char *text = wanted->options.values[value];

	if (text)
		return text;
	text = getenv(variables[value]);
	return text && *text ? text : NULL;
}

/* By the name that the user gave it. */
static const char *
name_of(const struct vmt_wanted *wanted, enum vmt_wanted_value value, char name[NAME_BYTES])
{
	bool is_option = wanted->options.values[value] != NULL;

	snprintf(name, NAME_BYTES, "%s%s", is_option ? "--" : "",
		 is_option ? vmt_record_options[value].name : variables[value]);
	return name;
}

static int
refuse(const struct vmt_wanted *wanted, enum vmt_wanted_value value, const char *may_be,
       struct vmt_err *err)
{
	char name[NAME_BYTES];

	return vmt_err_set(err, EINVAL, "%s: '%s' is not %s", name_of(wanted, value, name),
			   vmt_wanted_text(wanted, value), may_be);
}

/* Index of the word, 0 also where nothing is said. */
static int
choose(const struct vmt_wanted *wanted, enum vmt_wanted_value value, const char *const *words,
       struct vmt_err *err)
{
	const char *text = vmt_wanted_text(wanted, value);
	char name[NAME_BYTES];

	return text ? vmt_options_choose(name_of(wanted, value, name), text, words, err) : 0;
}

static int
check_words(struct vmt_wanted *wanted, struct vmt_err *err)
{
	static const char *const follow[] = {"none", "exec", "fork", "all", NULL};
	static const char *const stacks[] = {"auto", "cfi", "libunwind", "fp", "checked", NULL};
	static const char *const on_off[] = {"on", "off", "1", "0", NULL};
	static const char *const sources[] = {"auto", "pagemap-scan", "pagemap", "mincore", NULL};
	int result;

	if ((result = choose(wanted, VMT_WANTED_FOLLOW, follow, err)) < 0 ||
	    (result = choose(wanted, VMT_WANTED_STACKS, stacks, err)) < 0 ||
	    (result = choose(wanted, VMT_WANTED_CMDLINE, on_off, err)) < 0 ||
	    (result = choose(wanted, VMT_WANTED_GO, on_off, err)) < 0 ||
	    (result = choose(wanted, VMT_WANTED_RESIDENCY, sources, err)) < 0)
		return result;
	_Static_assert(VMT_RESIDENCY_NONE == 0 && VMT_RESIDENCY_PAGEMAP_SCAN == 1 &&
			   VMT_RESIDENCY_MINCORE == 3,
		       "words are in the order of the sources");
	wanted->residency_source = (uint32_t)result;
	return 0;
}

static int
check_malloc(const struct vmt_wanted *wanted, struct vmt_err *err)
{
	static const char sampled[] = "sampled:";
	static const char *const modes[] = {"off", "sampled", "all", NULL};
	const char *mode = vmt_wanted_text(wanted, VMT_WANTED_MALLOC);
	uint64_t bytes = 1;

	if (!mode || !strcmp(mode, "off") || !strcmp(mode, "all") || !strcmp(mode, "sampled"))
		return 0;
	if (strncmp(mode, sampled, strlen(sampled)) == 0 &&
	    vmt_units_parse_bytes(mode + strlen(sampled), &bytes) == 0 && bytes > 0)
		return 0;
	return vmt_suggest_value(
	    mode, strcspn(mode, ":"), modes,
	    refuse(wanted, VMT_WANTED_MALLOC, "one of off, sampled[:BYTES], all", err), err);
}

static int
check_depth(const struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *depth = vmt_wanted_text(wanted, VMT_WANTED_DEPTH);
	char may_be[64];
	unsigned long frames;
	char *end;

	if (!depth)
		return 0;
	frames = strtoul(depth, &end, 10);
	if (*depth >= '0' && *depth <= '9' && !*end && frames >= 1 &&
	    frames <= VMT_STACK_MAX_FRAMES)
		return 0;
	snprintf(may_be, sizeof(may_be), "a number from 1 to %u", (unsigned)VMT_STACK_MAX_FRAMES);
	return refuse(wanted, VMT_WANTED_DEPTH, may_be, err);
}

static int
check_seed(const struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *seed = vmt_wanted_text(wanted, VMT_WANTED_SEED);
	char *end;

	if (!seed)
		return 0;
	errno = 0;
	(void)strtoull(seed, &end, 10);
	if (*seed >= '0' && *seed <= '9' && !*end && errno == 0)
		return 0;
	return refuse(wanted, VMT_WANTED_SEED, "a whole number below 2^64", err);
}

/* A bare number is milliseconds here, as it is for the library. */
static int
read_interval(struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *text = vmt_wanted_text(wanted, VMT_WANTED_INTERVAL);
	char with_unit[64];

	if (!text)
		return 0;
	snprintf(with_unit, sizeof(with_unit), "%s%s", text,
		 text[strspn(text, "0123456789")] == '\0' ? "ms" : "");
	if (vmt_units_parse_duration(with_unit, &wanted->interval_ns) == 0 &&
	    wanted->interval_ns > 0)
		return 0;
	return refuse(wanted, VMT_WANTED_INTERVAL, "a time such as 100ms", err);
}

static int
check_stack_table(const struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *text = vmt_wanted_text(wanted, VMT_WANTED_STACK_TABLE);
	uint64_t bytes;

	if (!text || (vmt_units_parse_bytes(text, &bytes) == 0 && bytes >= LEAST_TABLE_BYTES &&
		      bytes <= MOST_TABLE_BYTES))
		return 0;
	return refuse(wanted, VMT_WANTED_STACK_TABLE, "a size such as 8MiB, 4KiB to 1GiB", err);
}

static int
read_retention(struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *least = vmt_wanted_text(wanted, VMT_WANTED_MIN_RSS);
	const char *files = vmt_wanted_text(wanted, VMT_WANTED_MAX_FILES);
	unsigned long number;
	char *end;

	if (least && vmt_units_parse_bytes(least, &wanted->min_rss_bytes) < 0)
		return refuse(wanted, VMT_WANTED_MIN_RSS, "a size such as 10MiB", err);
	if (!files)
		return 0;
	number = strtoul(files, &end, 10);
	if (*files < '0' || *files > '9' || *end || number < 1 || number > MOST_FILES)
		return refuse(wanted, VMT_WANTED_MAX_FILES, "a number from 1 to 65536", err);
	wanted->max_files = (uint32_t)number;
	return 0;
}

static int
read_max_size(struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *text = vmt_wanted_text(wanted, VMT_WANTED_MAX_SIZE);

	wanted->max_bytes = VMT_BOUND_DEFAULT_BYTES;
	if (!text || (vmt_units_parse_bytes(text, &wanted->max_bytes) == 0 &&
		      (wanted->max_bytes == 0 || wanted->max_bytes >= VMT_BOUND_LEAST_BYTES)))
		return 0;
	return refuse(wanted, VMT_WANTED_MAX_SIZE, "a size such as 500MiB, 1MiB or more, or 0",
		      err);
}

static int
check_buffer(const struct vmt_wanted *wanted, struct vmt_err *err)
{
	const char *text = vmt_wanted_text(wanted, VMT_WANTED_BUFFER);
	uint64_t bytes;

	if (!text || (vmt_units_parse_bytes(text, &bytes) == 0 && bytes >= LEAST_BUFFER_BYTES &&
		      bytes <= MOST_BUFFER_BYTES))
		return 0;
	return refuse(wanted, VMT_WANTED_BUFFER, "a size such as 4MiB, 1KiB to 1GiB", err);
}

int
vmt_wanted_check(struct vmt_wanted *wanted, struct vmt_err *err)
{
	int result;

	if ((result = check_words(wanted, err)) < 0 || (result = check_malloc(wanted, err)) < 0 ||
	    (result = check_depth(wanted, err)) < 0 || (result = check_seed(wanted, err)) < 0 ||
	    (result = read_interval(wanted, err)) < 0 ||
	    (result = check_stack_table(wanted, err)) < 0 ||
	    (result = read_retention(wanted, err)) < 0 || (result = read_max_size(wanted, err)) < 0)
		return result;
	return check_buffer(wanted, err);
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

void
vmt_wanted_export(const struct vmt_wanted *wanted)
{
	char interval[32];

	snprintf(interval, sizeof(interval), "%" PRIu64 "ns", wanted->interval_ns);
	for (unsigned i = 0; i < VMT_WANTED_VALUES; i++) {
		const char *text = vmt_wanted_text(wanted, i);

		if (!text)
			continue;
		if (i == VMT_WANTED_BUFFER || i == VMT_WANTED_STACK_TABLE ||
		    i == VMT_WANTED_MIN_RSS || i == VMT_WANTED_MAX_SIZE)
			set_bytes(variables[i], "", text);
		else if (i == VMT_WANTED_MALLOC && strchr(text, ':'))
			set_bytes(variables[i], "sampled:", strchr(text, ':') + 1);
		else if (i == VMT_WANTED_INTERVAL)
			setenv(variables[i], interval, 1);
		else
			setenv(variables[i], i == VMT_WANTED_VERBOSE && !*text ? "1" : text, 1);
	}
}
