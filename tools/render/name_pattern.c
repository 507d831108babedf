#include "tools/render/name_pattern.h"

#include "tools/hash_table.h"
#include "tools/render/frame_text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PATTERN_BYTES 1000u
#define MOST_REPEATS 1000u
#define MOST_EXPANDED 4000u /* what is matched takes memory by its square */
#define NAME_BYTES 4000u
#define MOST_ANSWERS (UINT32_C(1) << 20)

/* A frame as it was asked for: equal strings are stored once, so their addresses tell. */
struct place {
	const char *function;
	const char *file;
	const char *module;
	uint64_t line;
	uint64_t address; /* of a frame without a name */
};

struct answer {
	UT_hash_handle hh;
	struct place place;
	bool matches;
};

struct vmt_name_pattern {
	regex_t regex;
	bool is_compiled;
	bool plain; /* the text itself is looked for too */
	struct answer *answers;
	char text[MOST_PATTERN_BYTES + 1];
};

/* regcomp writes what is repeated out, so these are counted: characters of a group as they are
 * then, by depth of the groups. */
struct expanded {
	const char *at;
	uint32_t sizes[MOST_PATTERN_BYTES + 1];
	unsigned depth;
	uint32_t last; /* of what a repetition would be of */
};

/* The number at *at, which moves behind it; `otherwise` where there is none. */
static unsigned long
read_count(const char **at, unsigned long otherwise)
{
	char *end;
	unsigned long count;

	if (!isdigit((unsigned char)**at))
		return otherwise;
	count = strtoul(*at, &end, 10);
	*at = end;
	return count;
}

/* How often a repetition writes it out; 0: there is none here. glibc makes of x{2,} xxx*, of x+ xx*
 * (parse_dup_op in posix/regcomp.c), and takes x{,2} for x{0,2}. */
static unsigned long
read_repetition(const char **at)
{
	unsigned long least, most;

	if (**at == '*' || **at == '?' || **at == '+')
		return *(*at)++ == '+' ? 2 : 1;
	if (**at != '{' || !((*at)[1] == ',' || isdigit((unsigned char)(*at)[1])))
		return 0;
	(*at)++;
	least = read_count(at, 0);
	most = least;
	if (**at == ',') {
		(*at)++;
		most = read_count(at, least < MOST_EXPANDED ? least + 1 : least);
	}
	*at += **at == '}';
	return most > least ? most : least ? least : 1;
}

/* Behind the set of characters that begins here. */
static const char *
skip_set(const char *at)
{
	at += at[1] == '^' ? 2 : 1;
	at += *at == ']';
	at += strcspn(at, "]");
	return *at ? at + 1 : at;
}

/* One character, one set, or a bracket of a group. */
static void
read_atom(struct expanded *expanded)
{
	const char *at = expanded->at;

	expanded->last = 1;
	if (*at == '(') {
		expanded->sizes[++expanded->depth] = 0;
		expanded->last = 0;
	} else if (*at == ')' && expanded->depth > 0) {
		expanded->last = expanded->sizes[expanded->depth--] + 1;
	}
	expanded->sizes[expanded->depth] += expanded->last;
	expanded->at = *at == '[' ? skip_set(at) : at + (*at == '\\' && at[1] ? 2 : 1);
}

/* Why regcomp is not asked: what it makes of these has no bound. NULL: it is. */
static const char *
refusal(const char *text)
{
	struct expanded expanded = {.at = text};

	while (*expanded.at) {
		unsigned long times = read_repetition(&expanded.at);

		if (times > MOST_REPEATS)
			return "it repeats too often";
		if (times > 0) {
			expanded.sizes[expanded.depth] += expanded.last * (uint32_t)(times - 1);
			expanded.last *= (uint32_t)times;
		} else if (*expanded.at == '\\' && isdigit((unsigned char)expanded.at[1])) {
			return "back references are not possible";
		} else {
			read_atom(&expanded);
		}
		if (expanded.sizes[expanded.depth] > MOST_EXPANDED)
			return "it repeats too often";
	}
	return NULL;
}

/* 0, or -EINVAL with a message. */
static int
compile(struct vmt_name_pattern *pattern, const char *option, struct vmt_err *err)
{
	const char *why = refusal(pattern->text);
	char reason[128];
	int status;

	if (why)
		return vmt_err_set(err, EINVAL, "%s: '%s': %s", option, pattern->text, why);
	status = regcomp(&pattern->regex, pattern->text, REG_EXTENDED | REG_NOSUB);
	if (status == 0) {
		pattern->is_compiled = true;
		return 0;
	}
	regerror(status, &pattern->regex, reason, sizeof(reason));
	return vmt_err_set(err, EINVAL, "%s: '%s' is no regular expression: %s", option,
			   pattern->text, reason);
}

struct vmt_name_pattern *
vmt_name_pattern_new(const char *option, const char *text, bool plain, struct vmt_err *err)
{
	struct vmt_name_pattern *pattern;
	struct vmt_err ignored = {""};

	if (!*text || strlen(text) > MOST_PATTERN_BYTES) {
		vmt_err_set(err, EINVAL, "%s: %s", option,
			    *text ? "the pattern is too long" : "the pattern is empty");
		return NULL;
	}
	pattern = calloc(1, sizeof(*pattern));
	if (!pattern) {
		vmt_err_set(err, ENOMEM, "%s: not enough memory", option);
		return NULL;
	}
	memcpy(pattern->text, text, strlen(text) + 1);
	pattern->plain = plain;
	if (compile(pattern, option, plain ? &ignored : err) == 0 || plain)
		return pattern;
	free(pattern);
	return NULL;
}

void
vmt_name_pattern_free(struct vmt_name_pattern *pattern)
{
	if (!pattern)
		return;
	VMT_HASH_TABLE_FREE(struct answer, pattern->answers, free);
	if (pattern->is_compiled)
		regfree(&pattern->regex);
	free(pattern);
}

const char *
vmt_name_pattern_text(const struct vmt_name_pattern *pattern)
{
	return pattern->text;
}

bool
vmt_name_pattern_matches(const struct vmt_name_pattern *pattern, const char *name)
{
	char start[NAME_BYTES + 1];
	size_t length = strnlen(name, NAME_BYTES);

	memcpy(start, name, length);
	start[length] = '\0';
	if (pattern->plain && strstr(start, pattern->text))
		return true;
	return pattern->is_compiled && regexec(&pattern->regex, start, 0, NULL, 0) == 0;
}

static bool
try_frame(const struct vmt_name_pattern *pattern, const struct vmt_frame *frame)
{
	struct vmt_frame bare = {.function = frame->function,
				 .module = frame->function ? NULL : frame->module,
				 .module_offset = frame->module_offset,
				 .address = frame->address};
	char text[NAME_BYTES + 1];

	if (vmt_name_pattern_matches(pattern, vmt_frame_text_write(&bare, text, sizeof(text))))
		return true;
	if (frame->file && frame->line) {
		snprintf(text, sizeof(text), "%s:%" PRIu32, frame->file, frame->line);
		if (vmt_name_pattern_matches(pattern, text))
			return true;
	}
	return frame->module && vmt_name_pattern_matches(pattern, frame->module);
}

/* What was not asked before is kept, as far as there is room. */
static void
keep_answer(struct vmt_name_pattern *pattern, const struct place *place, bool matches)
{
	struct answer *answer;

	if (HASH_COUNT(pattern->answers) >= MOST_ANSWERS)
		return;
	answer = calloc(1, sizeof(*answer));
	if (!answer)
		return;
	answer->place = *place;
	answer->matches = matches;
	HASH_ADD(hh, pattern->answers, place, sizeof(answer->place), answer);
	if (!answer->hh.tbl)
		free(answer);
}

bool
vmt_name_pattern_in_frame(struct vmt_name_pattern *pattern, const struct vmt_frame *frame)
{
	const struct place place = {.function = frame->function,
				    .file = frame->file,
				    .module = frame->module,
				    .line = frame->line,
				    .address = frame->function ? 0 : frame->address};
	struct answer *answer;
	bool matches;

	HASH_FIND(hh, pattern->answers, &place, sizeof(place), answer);
	if (answer)
		return answer->matches;
	matches = try_frame(pattern, frame);
	keep_answer(pattern, &place, matches);
	return matches;
}

bool
vmt_name_pattern_in_stack(struct vmt_name_pattern *pattern, const struct vmt_stack_frames *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		if (vmt_name_pattern_in_frame(pattern, &stack->frames[i]))
			return true;
	return false;
}
