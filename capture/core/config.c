#include "capture/core/config.h"

#include "base/text.h"
#include "format/chunk.h"
#include "format/settings.h"

#include <string.h>

#define VALUE_SHOWN_BYTES 80u

struct vmt_config vmt_config;

/* The words of settings.def are in the order of what they mean. */
_Static_assert(VMT_MALLOC_OFF == 0 && VMT_MALLOC_SAMPLED == 1 && VMT_MALLOC_ALL == 2,
	       "words of VMTRACE_MALLOC");
_Static_assert(VMT_RESIDENCY_NONE == 0 && VMT_RESIDENCY_PAGEMAP_SCAN == 1 &&
		   VMT_RESIDENCY_PAGEMAP == 2 && VMT_RESIDENCY_MINCORE == 3,
	       "words of VMTRACE_RESIDENCY");
_Static_assert(VMT_CONFIG_STACKS_AUTO == 0 && VMT_CONFIG_STACKS_CFI == 1 &&
		   VMT_CONFIG_STACKS_LIBUNWIND == 2 && VMT_CONFIG_STACKS_FP == 3 &&
		   VMT_CONFIG_STACKS_CHECKED == 4,
	       "words of VMTRACE_STACKS");
struct value {
	struct vmt_text text;
	uint64_t number;       /* of a word: its place in the list; of a flag: 0 or 1 */
	uint64_t sample_bytes; /* of sampled:BYTES, else 0 */
};

static const struct vmt_setting session = {VMT_SESSION_ENV, VMT_VALUE_TEXT, NULL};

/* Place of the word in "none, exec, fork". */
static bool
find_word(struct vmt_text text, const char *words, uint64_t *place)
{
	struct vmt_text list = vmt_text_of(words, vmt_text_string_bytes(words));
	struct vmt_text word;

	for (*place = 0; vmt_text_take_until(&list, ',', &word); ++*place) {
		vmt_text_skip_blanks(&word);
		if (vmt_text_length(&word) == vmt_text_length(&text) &&
		    memcmp(word.at, text.at, vmt_text_length(&text)) == 0)
			return true;
	}
	return false;
}

/* K, KB, KiB and so on, any case: the power of two to shift by, or -1. */
static int
size_shift(struct vmt_text unit)
{
	static const char letters[] = "kmgt";
	size_t length = vmt_text_length(&unit);
	const char *letter;

	if (length == 0 || (length == 1 && (*unit.at | 32) == 'b'))
		return 0;
	letter = vmt_text_find_byte(letters, sizeof(letters) - 1, (char)(*unit.at | 32));
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
	static const uint64_t unit_ns[] = {1000000, 1, 1000, 1000000, 1000000000};
	uint64_t number, place;

	return vmt_text_take_decimal(&text, &number) && find_word(text, ",ns,us,ms,s", &place) &&
	       !__builtin_mul_overflow(number, unit_ns[place], ns);
}

static bool
parse_number(struct vmt_text text, uint64_t *number)
{
	return vmt_text_take_decimal(&text, number) && text.at == text.end;
}

static bool
parse_malloc(const struct vmt_setting *setting, struct vmt_text text, struct value *value)
{
	struct vmt_text mode;

	if (!vmt_text_take_until(&text, ':', &mode) ||
	    !find_word(mode, setting->words, &value->number))
		return false;
	if (text.at == text.end)
		return true;
	return value->number == VMT_MALLOC_SAMPLED && parse_size(text, &value->sample_bytes) &&
	       value->sample_bytes >= setting->least;
}

static bool
is_in_bounds(const struct vmt_setting *setting, uint64_t number)
{
	return (number >= setting->least && number <= setting->most) ||
	       (number == 0 && setting->kind == VMT_KIND_SIZE_OR_0);
}

/* "off, auto", or a number */
static bool
parse_period(const struct vmt_setting *setting, struct vmt_text text, uint64_t *number)
{
	uint64_t place;

	if (!find_word(text, setting->words, &place))
		return parse_number(text, number) && is_in_bounds(setting, *number);
	*number = place == 0 ? VMT_PERIOD_OFF : VMT_PERIOD_AUTO;
	return true;
}

static bool
parse_value(const struct vmt_setting *setting, struct vmt_text text, struct value *value)
{
	*value = (struct value){.text = text};
	switch (setting->kind) {
	case VMT_KIND_TEXT:
		return vmt_text_length(&text) < VMT_CONFIG_TEXT_BYTES;
	case VMT_KIND_WORD:
		return find_word(text, setting->words, &value->number);
	case VMT_KIND_MALLOC:
		return parse_malloc(setting, text, value);
	case VMT_KIND_NUMBER:
		return parse_number(text, &value->number) && is_in_bounds(setting, value->number);
	case VMT_KIND_PERIOD:
		return parse_period(setting, text, &value->number);
	case VMT_KIND_SIZE:
	case VMT_KIND_SIZE_OR_0:
		return parse_size(text, &value->number) && is_in_bounds(setting, value->number);
	case VMT_KIND_TIME:
		return parse_duration(text, &value->number);
	case VMT_KIND_FLAG:
		value->number = !vmt_text_equals(&text, "0");
		return true;
	}
	return false;
}

static void
keep_text(char copy[VMT_CONFIG_TEXT_BYTES], struct vmt_text text)
{
	memcpy(copy, text.at, vmt_text_length(&text));
	copy[vmt_text_length(&text)] = '\0';
}

static void
keep_malloc(struct vmt_config *config, const struct value *value)
{
	config->malloc_mode = (uint32_t)value->number;
	if (value->sample_bytes)
		config->malloc_sample_bytes = value->sample_bytes;
}

/* "none, exec, fork, all" */
static void
keep_follow(struct vmt_config *config, uint64_t place)
{
	config->follow_exec = place & 1;
	config->follow_fork = place & 2;
}

/* "on, off, 1, 0" */
static bool
is_on(uint64_t place)
{
	return (place & 1) == 0;
}

static void
keep_time(struct vmt_config *config, enum vmt_setting_id id, uint64_t ns)
{
	if (id == VMT_SETTING_INTERVAL)
		config->interval_ns = ns;
	else
		config->exit_wait_ns = ns;
}

static void
keep_size(struct vmt_config *config, enum vmt_setting_id id, uint64_t bytes)
{
	if (id == VMT_SETTING_BUFFER)
		config->buffer_bytes = bytes;
	else if (id == VMT_SETTING_STACK_TABLE)
		config->stack_table_bytes = bytes;
	else if (id == VMT_SETTING_MIN_RSS)
		config->min_rss_bytes = bytes;
	else
		config->max_bytes = bytes;
}

static void
keep(struct vmt_config *config, enum vmt_setting_id id, const struct value *value)
{
	switch (id) {
	case VMT_SETTING_OUTPUT:
		keep_text(config->output, value->text);
		return;
	case VMT_SETTING_MALLOC:
		keep_malloc(config, value);
		return;
	case VMT_SETTING_INTERVAL:
	case VMT_SETTING_EXIT_WAIT:
		keep_time(config, id, value->number);
		return;
	case VMT_SETTING_DEPTH:
		config->stack_depth = (uint32_t)value->number;
		return;
	case VMT_SETTING_BUFFER:
	case VMT_SETTING_STACK_TABLE:
	case VMT_SETTING_MIN_RSS:
	case VMT_SETTING_MAX_SIZE:
		keep_size(config, id, value->number);
		return;
	case VMT_SETTING_MAX_FILES:
		config->max_files = (uint32_t)value->number;
		return;
	case VMT_SETTING_ONLY:
		keep_text(config->only, value->text);
		return;
	case VMT_SETTING_FOLLOW:
		keep_follow(config, value->number);
		return;
	case VMT_SETTING_STACKS:
		config->stacks = (uint32_t)value->number;
		return;
	case VMT_SETTING_RESIDENCY:
		config->residency_source = (uint32_t)value->number;
		return;
	case VMT_SETTING_TOUCH:
		config->touch_period = (uint32_t)value->number;
		return;
	case VMT_SETTING_CMDLINE:
		config->cmdline = is_on(value->number);
		return;
	case VMT_SETTING_GO:
		config->go = is_on(value->number);
		return;
	case VMT_SETTING_GO_HEAP:
		config->go_heap = value->number != 0;
		return;
	case VMT_SETTING_SEED:
		config->seed = value->number;
		config->has_seed = true;
		return;
	case VMT_SETTING_VERBOSE:
		config->verbose = value->number != 0;
		return;
	case VMT_SETTINGS:
		return;
	}
}

/* VARIABLE: 'VALUE' is not WHAT IT MAY BE. */
static const char *
describe_wrong(const struct vmt_setting *setting, struct vmt_text value)
{
	static char text[256]; /* the constructor is alone */
	struct vmt_text_out out = vmt_text_out_begin(text, sizeof(text));
	size_t length = vmt_text_length(&value);
	bool is_long = length > VALUE_SHOWN_BYTES;

	vmt_text_put(&out, setting->variable);
	vmt_text_put(&out, ": '");
	vmt_text_put_bytes(&out, value.at, is_long ? VALUE_SHOWN_BYTES : length);
	vmt_text_put(&out, is_long ? "...' is not " : "' is not ");
	vmt_text_put(&out, setting->wanted);
	return text;
}

static void
set_defaults(struct vmt_config *config)
{
	struct value value;

	memset(config, 0, sizeof(*config));
	for (unsigned id = 0; id < VMT_SETTINGS; id++) {
		const char *text = vmt_settings[id].fallback;

		if (text && parse_value(&vmt_settings[id],
					vmt_text_of(text, vmt_text_string_bytes(text)), &value))
			keep(config, id, &value);
	}
}

/* The setting that was not understood, or NULL: also of a variable that is none of ours. */
static const struct vmt_setting *
read_variable(struct vmt_config *config, struct vmt_text name, struct vmt_text text)
{
	struct value value;

	for (unsigned id = 0; id < VMT_SETTINGS; id++) {
		if (!vmt_text_equals(&name, vmt_settings[id].variable))
			continue;
		if (!parse_value(&vmt_settings[id], text, &value))
			return &vmt_settings[id];
		keep(config, id, &value);
		return NULL;
	}
	if (!vmt_text_equals(&name, session.variable))
		return NULL;
	if (!parse_value(&session, text, &value))
		return &session;
	keep_text(config->session, text);
	return NULL;
}

const char *
vmt_config_read(struct vmt_config *config, char *const environment[])
{
	const char *wrong = NULL;

	set_defaults(config);
	for (; environment && *environment; environment++) {
		struct vmt_text entry =
		    vmt_text_of(*environment, vmt_text_string_bytes(*environment));
		const struct vmt_setting *setting;
		struct vmt_text name;

		if (!vmt_text_take_until(&entry, '=', &name) || entry.at == entry.end)
			continue; /* an empty value is as good as none */
		setting = read_variable(config, name, entry);
		if (setting && !wrong)
			wrong = describe_wrong(setting, entry);
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
