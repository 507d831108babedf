#include "tools/cmd/record_settings.h"

#include "tools/cmd/cmd.h"
#include "tools/cmd/suggest.h"
#include "tools/render/units.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 32
#define WORDS_BYTES 128
#define WORDS_MOST 8

const struct vmt_option vmt_cmd_record_options[] = {
#define VMT_SETTING(name, option, letter, argument, values, fallback, help, manual)                \
	{option, letter, argument, help VMT_DEFAULT_IN_HELP(fallback)},
#include "format/settings.def"
    [VMT_RECORD_OPEN] = {"open", 0, NULL, "show the report as a page in your browser at the end"},
    [VMT_RECORD_PACK] = {"pack", 0, NULL, "put all names that a report needs into the traces"},
    [VMT_RECORD_PID] = {"pid", 'p', "PID,...", "record processes that run, and leave them again"},
    [VMT_RECORD_FOR] = {"for", 0, "TIME", "with -p: for so long (default: until it ends, or ^C)"},
    [VMT_RECORD_WATCH] = {"watch", 0, NULL, "with -p: from outside, without its calls"},
    [VMT_RECORD_TREE] = {"tree", 0, NULL, "with -p: with all that descend from them now"},
    {0},
};

_Static_assert(VMT_RECORD_OPTIONS < VMT_OPTIONS_MAX, "each option has a place for its value");

const char *
vmt_record_settings_text(const struct vmt_record_settings *wanted, enum vmt_setting_id id)
{
	const char *text = wanted->options.values[id];

	if (text)
		return text;
	text = getenv(vmt_settings[id].variable);
	return text && *text ? text : NULL;
}

/* By the name that the user gave it. */
static const char *
name_of(const struct vmt_record_settings *wanted, enum vmt_setting_id id, char name[NAME_BYTES])
{
	bool is_option = wanted->options.values[id] != NULL;

	snprintf(name, NAME_BYTES, "%s%s", is_option ? "--" : "",
		 is_option ? vmt_cmd_record_options[id].name : vmt_settings[id].variable);
	return name;
}

static int
refuse(const struct vmt_record_settings *wanted, enum vmt_setting_id id, struct vmt_err *err)
{
	char name[NAME_BYTES];

	return vmt_err_set(err, EINVAL, "%s: '%s' is not %s", name_of(wanted, id, name),
			   vmt_record_settings_text(wanted, id), vmt_settings[id].wanted);
}

/* "none, exec, fork" into a list of words in the buffer. */
static void
split_words(const char *text, char buffer[WORDS_BYTES], const char *words[WORDS_MOST + 1])
{
	char *rest = buffer;
	unsigned count = 0;

	assert(strlen(text) < WORDS_BYTES);
	snprintf(buffer, WORDS_BYTES, "%s", text);
	while ((words[count] = strsep(&rest, ",")) != NULL) {
		words[count] += *words[count] == ' ';
		count++;
		assert(count <= WORDS_MOST);
	}
}

static int
read_word(const struct vmt_record_settings *wanted, enum vmt_setting_id id, const char *text,
	  uint64_t *number, struct vmt_err *err)
{
	const char *words[WORDS_MOST + 1];
	char buffer[WORDS_BYTES];
	char name[NAME_BYTES];
	int place;

	split_words(vmt_settings[id].words, buffer, words);
	place = vmt_options_choose(name_of(wanted, id, name), text, words, err);
	*number = (uint64_t)place;
	return place < 0 ? place : 0;
}

static int
check_malloc(const struct vmt_record_settings *wanted, enum vmt_setting_id id, const char *mode,
	     struct vmt_err *err)
{
	static const char sampled[] = "sampled:";
	const char *words[WORDS_MOST + 1];
	char buffer[WORDS_BYTES];
	uint64_t bytes;

	split_words(vmt_settings[id].words, buffer, words);
	for (unsigned i = 0; words[i]; i++)
		if (!strcmp(mode, words[i]))
			return 0;
	if (strncmp(mode, sampled, strlen(sampled)) == 0 &&
	    vmt_units_parse_bytes(mode + strlen(sampled), &bytes) == 0 &&
	    bytes >= vmt_settings[id].least)
		return 0;
	return vmt_suggest_value(mode, strcspn(mode, ":"), words, refuse(wanted, id, err), err);
}

static bool
parse_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

static bool
is_in_bounds(const struct vmt_setting *setting, uint64_t number)
{
	return (number >= setting->least && number <= setting->most) ||
	       (number == 0 && setting->kind == VMT_KIND_SIZE_OR_0);
}

static int
read_period(const struct vmt_record_settings *wanted, enum vmt_setting_id id, const char *text,
	    uint64_t *number, struct vmt_err *err)
{
	const char *words[WORDS_MOST + 1];
	char buffer[WORDS_BYTES];

	if (parse_number(text, number) && is_in_bounds(&vmt_settings[id], *number))
		return 0;
	split_words(vmt_settings[id].words, buffer, words);
	for (unsigned i = 0; words[i]; i++) {
		*number = i == 0 ? VMT_PERIOD_OFF : VMT_PERIOD_AUTO;
		if (!strcmp(text, words[i]))
			return 0;
	}
	return vmt_suggest_value(text, strlen(text), words, refuse(wanted, id, err), err);
}

/* A bare number is milliseconds here, as it is for the library. */
static bool
parse_time(const char *text, uint64_t *ns)
{
	char with_unit[64];

	snprintf(with_unit, sizeof(with_unit), "%s%s", text,
		 text[strspn(text, "0123456789")] == '\0' ? "ms" : "");
	return vmt_units_parse_duration(with_unit, ns) == 0;
}

/* 0 and the number, which is 0 for what is text, or -EINVAL. */
static int
read_value(const struct vmt_record_settings *wanted, enum vmt_setting_id id, const char *text,
	   uint64_t *number, struct vmt_err *err)
{
	const struct vmt_setting *setting = &vmt_settings[id];

	*number = 0;
	switch (setting->kind) {
	case VMT_KIND_TEXT:
	case VMT_KIND_FLAG:
		return 0;
	case VMT_KIND_WORD:
		return read_word(wanted, id, text, number, err);
	case VMT_KIND_MALLOC:
		return check_malloc(wanted, id, text, err);
	case VMT_KIND_PERIOD:
		return read_period(wanted, id, text, number, err);
	case VMT_KIND_NUMBER:
		if (parse_number(text, number) && is_in_bounds(setting, *number))
			return 0;
		break;
	case VMT_KIND_SIZE:
	case VMT_KIND_SIZE_OR_0:
		if (vmt_units_parse_bytes(text, number) == 0 && is_in_bounds(setting, *number))
			return 0;
		break;
	case VMT_KIND_TIME:
		if (parse_time(text, number) && is_in_bounds(setting, *number))
			return 0;
		break;
	}
	return refuse(wanted, id, err);
}

int
vmt_record_settings_check(struct vmt_record_settings *wanted, struct vmt_err *err)
{
	uint64_t numbers[VMT_SETTINGS] = {0};

	for (unsigned id = 0; id < VMT_SETTINGS; id++) {
		const char *text = vmt_record_settings_text(wanted, id);
		int result;

		if (!text)
			text = vmt_settings[id].fallback;
		result = text ? read_value(wanted, id, text, &numbers[id], err) : 0;
		if (result < 0)
			return result;
	}
	wanted->interval_ns = numbers[VMT_SETTING_INTERVAL];
	wanted->min_rss_bytes = numbers[VMT_SETTING_MIN_RSS];
	wanted->max_files = (uint32_t)numbers[VMT_SETTING_MAX_FILES];
	wanted->max_bytes = numbers[VMT_SETTING_MAX_SIZE];
	wanted->residency_source = (uint32_t)numbers[VMT_SETTING_RESIDENCY];
	wanted->touch_period = (uint32_t)numbers[VMT_SETTING_TOUCH];
	return 0;
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

/* A time is passed on in nanoseconds, for the same reason. */
static void
set_time(const char *variable, const char *text)
{
	char plain[64];
	uint64_t ns = 0;
	bool is_time = parse_time(text, &ns);

	assert(is_time);
	(void)is_time;
	snprintf(plain, sizeof(plain), "%" PRIu64 "ns", ns);
	setenv(variable, plain, 1);
}

static void
export_value(const struct vmt_setting *setting, const char *text)
{
	switch (setting->kind) {
	case VMT_KIND_SIZE:
	case VMT_KIND_SIZE_OR_0:
		set_bytes(setting->variable, "", text);
		return;
	case VMT_KIND_MALLOC:
		if (strchr(text, ':'))
			set_bytes(setting->variable, "sampled:", strchr(text, ':') + 1);
		else
			setenv(setting->variable, text, 1);
		return;
	case VMT_KIND_TIME:
		set_time(setting->variable, text);
		return;
	case VMT_KIND_FLAG:
		setenv(setting->variable, *text ? text : "1", 1);
		return;
	case VMT_KIND_TEXT:
	case VMT_KIND_WORD:
	case VMT_KIND_NUMBER:
	case VMT_KIND_PERIOD:
		setenv(setting->variable, text, 1);
		return;
	}
}

void
vmt_record_settings_export(const struct vmt_record_settings *wanted)
{
	for (unsigned id = 0; id < VMT_SETTINGS; id++) {
		const char *text = vmt_record_settings_text(wanted, id);

		if (text)
			export_value(&vmt_settings[id], text);
	}
}
