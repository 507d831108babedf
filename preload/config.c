#include "preload/config.h"

#include "collect/bound.h"
#include "collect/text.h"
#include "format/chunk.h"
#include "format/stack_table.h"

#include <string.h>

#define VALUE_SHOWN_BYTES 80u

struct vmt_config vmt_config;

struct word {
	const char *name;
	uint32_t value;
};

static bool
find_word(struct vmt_text text, const struct word *words, size_t count, uint32_t *value)
{
	for (size_t i = 0; i < count; i++) {
		if (vmt_text_equals(&text, words[i].name)) {
			*value = words[i].value;
			return true;
		}
	}
	return false;
}

#define FIND_WORD(text, words, value)                                                              \
	find_word((text), (words), sizeof(words) / sizeof((words)[0]), (value))

/* K, KB, KiB and so on, any case: the power of two to shift by, or -1. */
static int
size_shift(struct vmt_text unit)
{
	static const char letters[] = "kmgt";
	size_t length = vmt_text_length(&unit);
	const char *letter;

	if (length == 0 || (length == 1 && (*unit.at | 32) == 'b'))
		return 0;
	letter = memchr(letters, *unit.at | 32, sizeof(letters) - 1);
	if (!letter || length > 3 || (length > 1 && (unit.end[-1] | 32) != 'b') ||
	    (length == 3 && (unit.at[1] | 32) != 'i'))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

static bool
parse_size(struct vmt_text text, uint64_t *bytes)
{
	uint64_t number;
	int shift;

	if (!vmt_text_take_decimal(&text, &number))
		return false;
	shift = size_shift(text);
	if (shift < 0 || number > (UINT64_MAX >> 16) >> shift)
		return false;
	*bytes = number << shift;
	return true;
}

/* A number with ns, us, ms or s; milliseconds without. */
static bool
parse_duration(struct vmt_text text, uint64_t *ns)
{
	static const struct word units[] = {
	    {"", 1000000}, {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	uint64_t number;
	uint32_t factor;

	return vmt_text_take_decimal(&text, &number) && FIND_WORD(text, units, &factor) &&
	       !__builtin_mul_overflow(number, factor, ns);
}

static bool
parse_text(struct vmt_text text, char *copy)
{
	size_t length = vmt_text_length(&text);

	if (length >= VMT_CONFIG_TEXT_BYTES)
		return false;
	memcpy(copy, text.at, length);
	copy[length] = '\0';
	return true;
}

static bool
read_output(struct vmt_config *config, struct vmt_text value)
{
	return parse_text(value, config->output);
}

static bool
read_malloc(struct vmt_config *config, struct vmt_text value)
{
	static const struct word modes[] = {
	    {"off", VMT_MALLOC_OFF}, {"sampled", VMT_MALLOC_SAMPLED}, {"all", VMT_MALLOC_ALL}};
	struct vmt_text mode;

	if (!vmt_text_take_until(&value, ':', &mode) ||
	    !FIND_WORD(mode, modes, &config->malloc_mode))
		return false;
	if (value.at == value.end)
		return true;
	return config->malloc_mode == VMT_MALLOC_SAMPLED &&
	       parse_size(value, &config->malloc_sample_bytes) && config->malloc_sample_bytes > 0;
}

static bool
read_interval(struct vmt_config *config, struct vmt_text value)
{
	return parse_duration(value, &config->interval_ns);
}

static bool
read_depth(struct vmt_config *config, struct vmt_text value)
{
	uint64_t depth;

	if (!vmt_text_take_decimal(&value, &depth) || value.at != value.end || depth < 1 ||
	    depth > VMT_STACK_MAX_FRAMES)
		return false;
	config->stack_depth = (uint32_t)depth;
	return true;
}

static bool
read_buffer(struct vmt_config *config, struct vmt_text value)
{
	return parse_size(value, &config->buffer_bytes) && config->buffer_bytes >= 1024 &&
	       config->buffer_bytes <= UINT64_C(1) << 30;
}

static bool
read_stack_table(struct vmt_config *config, struct vmt_text value)
{
	return parse_size(value, &config->stack_table_bytes) && config->stack_table_bytes >= 4096 &&
	       config->stack_table_bytes <= UINT64_C(1) << 30;
}

static bool
read_min_rss(struct vmt_config *config, struct vmt_text value)
{
	return parse_size(value, &config->min_rss_bytes);
}

static bool
read_max_files(struct vmt_config *config, struct vmt_text value)
{
	uint64_t files;

	if (!vmt_text_take_decimal(&value, &files) || value.at != value.end || files < 1 ||
	    files > VMT_CONFIG_MOST_FILES)
		return false;
	config->max_files = (uint32_t)files;
	return true;
}

static bool
read_max_size(struct vmt_config *config, struct vmt_text value)
{
	return parse_size(value, &config->max_bytes) &&
	       (config->max_bytes == 0 || config->max_bytes >= VMT_BOUND_LEAST_BYTES);
}

static bool
read_only(struct vmt_config *config, struct vmt_text value)
{
	return parse_text(value, config->only);
}

static bool
read_follow(struct vmt_config *config, struct vmt_text value)
{
	static const struct word ways[] = {{"none", 0}, {"exec", 1}, {"fork", 2}, {"all", 3}};
	uint32_t way;

	if (!FIND_WORD(value, ways, &way))
		return false;
	config->follow_exec = way & 1;
	config->follow_fork = way & 2;
	return true;
}

static bool
read_verbose(struct vmt_config *config, struct vmt_text value)
{
	config->verbose = !vmt_text_equals(&value, "0");
	return true;
}

static bool
parse_switch(struct vmt_text value, bool *on)
{
	static const struct word words[] = {{"off", 0}, {"on", 1}, {"0", 0}, {"1", 1}};
	uint32_t word;

	if (!FIND_WORD(value, words, &word))
		return false;
	*on = word != 0;
	return true;
}

static bool
read_cmdline(struct vmt_config *config, struct vmt_text value)
{
	return parse_switch(value, &config->cmdline);
}

static bool
read_go(struct vmt_config *config, struct vmt_text value)
{
	return parse_switch(value, &config->go);
}

static bool
read_stacks(struct vmt_config *config, struct vmt_text value)
{
	static const struct word walkers[] = {{"auto", VMT_CONFIG_STACKS_AUTO},
					      {"cfi", VMT_CONFIG_STACKS_CFI},
					      {"libunwind", VMT_CONFIG_STACKS_LIBUNWIND},
					      {"fp", VMT_CONFIG_STACKS_FP},
					      {"checked", VMT_CONFIG_STACKS_CHECKED}};

	return FIND_WORD(value, walkers, &config->stacks);
}

static bool
read_residency(struct vmt_config *config, struct vmt_text value)
{
	static const struct word sources[] = {{"auto", VMT_RESIDENCY_NONE},
					      {"pagemap-scan", VMT_RESIDENCY_PAGEMAP_SCAN},
					      {"pagemap", VMT_RESIDENCY_PAGEMAP},
					      {"mincore", VMT_RESIDENCY_MINCORE}};

	return FIND_WORD(value, sources, &config->residency_source);
}

static bool
read_seed(struct vmt_config *config, struct vmt_text value)
{
	config->has_seed = vmt_text_take_decimal(&value, &config->seed) && value.at == value.end;
	return config->has_seed;
}

static bool
read_session(struct vmt_config *config, struct vmt_text value)
{
	return parse_text(value, config->session);
}

static const struct variable {
	const char *name;
	bool (*read)(struct vmt_config *config, struct vmt_text value); /* false: not understood */
	const char *wanted;
} variables[] = {
    {"VMTRACE_OUTPUT", read_output, "short enough"},
    {"VMTRACE_MALLOC", read_malloc, "one of off, sampled[:BYTES], all"},
    {"VMTRACE_INTERVAL", read_interval, "a time such as 100ms"},
    {"VMTRACE_DEPTH", read_depth, "a number from 1 to 128"},
    {"VMTRACE_BUFFER", read_buffer, "a size such as 4MiB, 1KiB to 1GiB"},
    {"VMTRACE_STACK_TABLE", read_stack_table, "a size such as 8MiB, 4KiB to 1GiB"},
    {"VMTRACE_MIN_RSS", read_min_rss, "a size such as 10MiB"},
    {"VMTRACE_MAX_FILES", read_max_files, "a number from 1 to 65536"},
    {"VMTRACE_MAX_SIZE", read_max_size, "a size such as 500MiB, 1MiB or more, or 0"},
    {"VMTRACE_ONLY", read_only, "short enough"},
    {"VMTRACE_FOLLOW", read_follow, "one of none, exec, fork, all"},
    {"VMTRACE_VERBOSE", read_verbose, NULL},
    {"VMTRACE_STACKS", read_stacks, "one of auto, cfi, libunwind, fp, checked"},
    {"VMTRACE_RESIDENCY", read_residency, "one of auto, pagemap-scan, pagemap, mincore"},
    {"VMTRACE_CMDLINE", read_cmdline, "one of on, off, 1, 0"},
    {"VMTRACE_GO", read_go, "one of on, off, 1, 0"},
    {"VMTRACE_SEED", read_seed, "a whole number below 2^64"},
    {VMT_SESSION_ENV, read_session, "short enough"},
};

_Static_assert(VMT_BOUND_LEAST_BYTES == 1 << 20, "as the text of VMTRACE_MAX_SIZE says");
_Static_assert(VMT_CONFIG_MOST_FILES == 65536, "as the text of VMTRACE_MAX_FILES says");
_Static_assert(VMT_STACK_MAX_FRAMES == 128, "as the text of VMTRACE_DEPTH says");

/* VARIABLE: 'VALUE' is not WHAT IT MAY BE. */
static const char *
describe_wrong(const struct variable *variable, struct vmt_text value)
{
	static char text[256]; /* the constructor is alone */
	struct vmt_text_out out = vmt_text_out_begin(text, sizeof(text));
	size_t length = vmt_text_length(&value);
	bool is_long = length > VALUE_SHOWN_BYTES;

	vmt_text_put(&out, variable->name);
	vmt_text_put(&out, ": '");
	vmt_text_put_bytes(&out, value.at, is_long ? VALUE_SHOWN_BYTES : length);
	vmt_text_put(&out, is_long ? "...' is not " : "' is not ");
	vmt_text_put(&out, variable->wanted);
	return text;
}

static void
set_defaults(struct vmt_config *config)
{
	memset(config, 0, sizeof(*config));
	memcpy(config->output, VMT_CONFIG_DEFAULT_OUTPUT, sizeof(VMT_CONFIG_DEFAULT_OUTPUT));
	config->malloc_mode = VMT_MALLOC_SAMPLED;
	config->malloc_sample_bytes = VMT_CONFIG_DEFAULT_SAMPLE_BYTES;
	config->stack_depth = VMT_CONFIG_DEFAULT_DEPTH;
	config->max_bytes = VMT_BOUND_DEFAULT_BYTES;
	config->follow_fork = true;
	config->follow_exec = true;
	config->cmdline = true;
	config->go = true;
}

const char *
vmt_config_read(struct vmt_config *config, char *const environment[])
{
	const char *wrong = NULL;

	set_defaults(config);
	for (; environment && *environment; environment++) {
		struct vmt_text entry = vmt_text_of(*environment, strlen(*environment));
		struct vmt_text name;

		if (!vmt_text_take_until(&entry, '=', &name) || entry.at == entry.end)
			continue; /* an empty value is as good as none */
		for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
			if (vmt_text_equals(&name, variables[i].name) &&
			    !variables[i].read(config, entry) && !wrong)
				wrong = describe_wrong(&variables[i], entry);
		}
	}
	return wrong;
}

/* On a mismatch the latest star takes in one more character. */
static bool
matches_glob(struct vmt_text glob, const char *name)
{
	const char *at = glob.at;
	const char *star = NULL;
	const char *resume = NULL;

	while (*name) {
		if (at < glob.end && *at == '*') {
			star = at++;
			resume = name;
		} else if (at < glob.end && (*at == '?' || *at == *name)) {
			at++;
			name++;
		} else if (star) {
			at = star + 1;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (at < glob.end && *at == '*')
		at++;
	return at == glob.end;
}

bool
vmt_config_matches(const char *globs, const char *name)
{
	const char *at = globs;

	if (*globs == '\0')
		return true;
	while (*at) {
		const char *end = at;

		while (*end && *end != ':' && *end != ',')
			end++;
		if (matches_glob((struct vmt_text){at, end}, name))
			return true;
		at = *end ? end + 1 : end;
	}
	return false;
}
