/*
 * settings.h: the settings of a recording, and what each may be
 *
 * The table of settings.def as the library and the command both need it. Help and manual are the
 * command's and the manual's alone. Static data; thread and signal safe.
 */
#ifndef VMT_SETTINGS_H
#define VMT_SETTINGS_H

#include <stdint.h>

/* The sizes that settings.def may name as bounds. */
#define VMT_SIZE_1KiB 1024u
#define VMT_SIZE_4KiB 4096u
#define VMT_SIZE_1MiB (1u << 20)
#define VMT_SIZE_1GiB (1u << 30)

enum vmt_setting_kind {
	VMT_KIND_TEXT,
	VMT_KIND_WORD,
	VMT_KIND_MALLOC,
	VMT_KIND_NUMBER,
	VMT_KIND_PERIOD,
	VMT_KIND_SIZE,
	VMT_KIND_SIZE_OR_0,
	VMT_KIND_TIME,
	VMT_KIND_FLAG,
};

/* VALUES of settings.def: kind, least, most, words, and what an error says it has to be. */
#define VMT_VALUE_TEXT VMT_KIND_TEXT, 0, UINT64_MAX, "", "short enough"
#define VMT_VALUE_WORD(list) VMT_KIND_WORD, 0, UINT64_MAX, list, "one of " list
#define VMT_VALUE_MALLOC                                                                           \
	VMT_KIND_MALLOC, 1, UINT64_MAX, "off, sampled, all", "one of off, sampled[:BYTES], all"
#define VMT_VALUE_NUMBER(least, most)                                                              \
	VMT_KIND_NUMBER, least, most, "", "a number from " #least " to " #most
#define VMT_VALUE_PERIOD(list, most)                                                               \
	VMT_KIND_PERIOD, 1, most, list, "one of " list ", or a number from 1 to " #most
#define VMT_VALUE_ANY_NUMBER VMT_KIND_NUMBER, 0, UINT64_MAX, "", "a whole number below 2^64"
#define VMT_VALUE_SIZE(example, least, most)                                                       \
	VMT_KIND_SIZE, VMT_SIZE_##least, VMT_SIZE_##most, "",                                      \
	    "a size such as " #example ", " #least " to " #most
#define VMT_VALUE_ANY_SIZE(example) VMT_KIND_SIZE, 0, UINT64_MAX, "", "a size such as " #example
#define VMT_VALUE_SIZE_OR_0(example, least)                                                        \
	VMT_KIND_SIZE_OR_0, VMT_SIZE_##least, UINT64_MAX, "",                                      \
	    "a size such as " #example ", " #least " or more, or 0"
#define VMT_VALUE_TIME(example, least)                                                             \
	VMT_KIND_TIME, least, UINT64_MAX, "", "a time such as " #example
#define VMT_VALUE_FLAG VMT_KIND_FLAG, 0, 1, "", "set"

/* DEFAULT of settings.def: the value, and the words of it in help and manual. */
#define VMT_DEFAULT(value) value, " (default " value ")", " Default: *" value "*."
#define VMT_COMPUTED(words) NULL, " (default " words ")", " Default: " words "."
#define VMT_NO_DEFAULT NULL, "", ""
#define VMT_DEFAULT_VALUE(...) VMT_DEFAULT_PART_1(__VA_ARGS__)
#define VMT_DEFAULT_IN_HELP(...) VMT_DEFAULT_PART_2(__VA_ARGS__)
#define VMT_DEFAULT_IN_MANUAL(...) VMT_DEFAULT_PART_3(__VA_ARGS__)
#define VMT_DEFAULT_PART_1(value, help, manual) value
#define VMT_DEFAULT_PART_2(value, help, manual) help
#define VMT_DEFAULT_PART_3(value, help, manual) manual

enum vmt_setting_id {
#define VMT_SETTING(name, option, letter, argument, values, fallback, help, manual)                \
	VMT_SETTING_##name,
#include "format/settings.def"
	VMT_SETTINGS /* how many there are */
};

struct vmt_setting {
	const char *variable;
	enum vmt_setting_kind kind;
	uint64_t least; /* of a number or a size; of malloc's sampled:BYTES */
	uint64_t most;
	const char *words;    /* of WORD and MALLOC: "none, exec, fork" */
	const char *wanted;   /* as in "'x' is not a number from 1 to 128" */
	const char *fallback; /* NULL: it follows from other things, or there is none */
};

/* What the value of a PERIOD is as a number: the words are off and auto. */
#define VMT_PERIOD_OFF 0u
#define VMT_PERIOD_AUTO UINT32_MAX

/* By enum vmt_setting_id. */
extern const struct vmt_setting vmt_settings[VMT_SETTINGS];

#endif
