#include "tools/cmd/options.h"

#include "tools/cmd/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
unknown(const struct vmt_option *table, const char *name, size_t length, struct vmt_err *err)
{
	struct vmt_suggest suggest = vmt_suggest_begin(name, length);

	for (int i = 0; table[i].name; i++)
		vmt_suggest_offer(&suggest, table[i].name);
	return vmt_err_set(err, EINVAL, "unknown option --%.*s%s%s%s", (int)length, name,
			   suggest.word[0] ? "; did you mean --" : "", suggest.word,
			   suggest.word[0] ? "?" : "");
}

/* Index of the long option `name` (length bytes), or a negative errno. */
static int
find_long(const struct vmt_option *table, const char *name, size_t length, struct vmt_err *err)
{
	int found = -1;

	for (int i = 0; table[i].name; i++) {
		if (strncmp(table[i].name, name, length) != 0)
			continue;
		if (table[i].name[length] == '\0')
			return i;
		if (found >= 0)
			return vmt_err_set(err, EINVAL, "option --%.*s: is it --%s or --%s?",
					   (int)length, name, table[found].name, table[i].name);
		found = i;
	}
	if (found < 0 || length == 0)
		return unknown(table, name, length, err);
	return found;
}

static int
find_letter(const struct vmt_option *table, char letter, struct vmt_err *err)
{
	for (int i = 0; table[i].name; i++)
		if (table[i].letter == letter)
			return i;
	return vmt_err_set(err, EINVAL, "unknown option -%c", letter);
}

/* Where argv is read, and what has been found so far. */
struct reading {
	struct vmt_options *options;
	const struct vmt_option *table;
	char **argv;
	int argc;
	int at;
	struct vmt_err *err;
};

static bool
repeats(const struct vmt_option *option)
{
	size_t length = option->argument ? strlen(option->argument) : 0;

	return length >= 3 && strcmp(option->argument + length - 3, "...") == 0;
}

static int
add_repeated(struct reading *reading, const char *value, const char *shown)
{
	struct vmt_options *options = reading->options;

	if (options->repeated_count == VMT_OPTIONS_REPEATED_MAX)
		return vmt_err_set(reading->err, EINVAL, "option %s is given more than %d times",
				   shown, VMT_OPTIONS_REPEATED_MAX);
	options->repeated[options->repeated_count++] = value;
	return 0;
}

static int
take_value(struct reading *reading, int index, const char *attached, const char *shown)
{
	const struct vmt_option *option = &reading->table[index];
	const char *value = attached;

	assert(index < VMT_OPTIONS_MAX);
	if (!option->argument) {
		if (attached)
			return vmt_err_set(reading->err, EINVAL, "option %s takes no value", shown);
		value = "";
	} else if (!value) {
		if (reading->at + 1 >= reading->argc)
			return vmt_err_set(reading->err, EINVAL, "option %s needs %s", shown,
					   option->argument);
		value = reading->argv[++reading->at];
	}
	reading->options->values[index] = value;
	return repeats(option) ? add_repeated(reading, value, shown) : 0;
}

static int
read_long(struct reading *reading, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	int index = find_long(reading->table, word, length, reading->err);
	char shown[64];

	if (index < 0)
		return index;
	snprintf(shown, sizeof(shown), "--%s", reading->table[index].name);
	return take_value(reading, index, equals ? equals + 1 : NULL, shown);
}

static int
read_letters(struct reading *reading, const char *letters)
{
	while (*letters) {
		int index = find_letter(reading->table, *letters, reading->err);
		const char *rest = letters[1] ? letters + 1 : NULL;
		const char shown[3] = {'-', *letters, '\0'};
		int result;

		if (index < 0)
			return index;
		if (reading->table[index].argument)
			return take_value(reading, index, rest, shown);
		result = take_value(reading, index, NULL, shown);
		if (result < 0)
			return result;
		letters++;
	}
	return 0;
}

int
vmt_options_parse(struct vmt_options *options, const struct vmt_option *table, int argc,
		  char **argv, bool in_order, struct vmt_err *err)
{
	struct reading reading;
	int kept = 1;

	assert(argc >= 1);
	*options = (struct vmt_options){.operand_count = 0};
	reading = (struct reading){options, table, argv, argc, 1, err};
	for (; reading.at < argc; reading.at++) {
		char *word = argv[reading.at];
		int result;

		if (strcmp(word, "--") == 0) {
			reading.at++;
			break;
		}
		if (word[0] != '-' || word[1] == '\0') {
			if (in_order)
				break;
			argv[kept++] = word;
			continue;
		}
		result = word[1] == '-' ? read_long(&reading, word + 2)
					: read_letters(&reading, word + 1);
		if (result < 0)
			return result;
	}
	while (reading.at < argc)
		argv[kept++] = argv[reading.at++];
	/* execvp takes operands up to the NULL. */
	argv[kept] = NULL;
	options->operands = argv + 1;
	options->operand_count = kept - 1;
	return 0;
}

int
vmt_options_choose(const char *option, const char *text, const char *const *words,
		   struct vmt_err *err)
{
	char list[256] = "";
	size_t used = 0;

	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0)
			return i;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 words[i]);
		assert(used < sizeof(list));
	}
	return vmt_suggest_value(
	    text, strlen(text), words,
	    vmt_err_set(err, EINVAL, "%s: '%s' is not one of %s", option, text, list), err);
}
