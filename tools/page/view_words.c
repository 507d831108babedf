#include "tools/page/view_words.h"

#include "tools/render/diff_text.h"
#include "tools/render/headline.h"
#include "tools/render/layout.h"
#include "tools/render/rank.h"
#include "tools/render/text_sections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIFF_ROWS 50u /* of each list: a page scrolls */

/* A part of the text report. */
struct part {
	const char *key;
	void (*print)(const struct vmt_report *, const struct vmt_text_options *);
};

static void
print_pinning(const struct vmt_report *report, const struct vmt_text_options *options)
{
	if (report->retained.is_split)
		vmt_text_retained_pinning(report, options);
}

static void
print_go(const struct vmt_report *report, const struct vmt_text_options *options)
{
	vmt_text_go_sentences(report, options);
	if (!report->go.version)
		return;
	vmt_text_go_stacks(report, options);
	vmt_text_go_live(report, options);
	vmt_text_go_large(report, options);
}

static const struct part parts[] = {
    {"go_shares", vmt_text_go_shares},
    {"growth", vmt_text_growth},
    {"pinning", print_pinning},
    {"blocks", vmt_text_blocks},
    {"cgroup", vmt_text_cgroup},
    {"go", print_go},
    {"lazily_freed", vmt_text_lazily_freed},
    {"basis", vmt_text_basis},
};

/* A part of the text of a diff. */
struct diff_part {
	const char *key;
	void (*print)(const struct vmt_diff *, const struct vmt_diff_text_options *);
};

static const struct diff_part diff_parts[] = {
    {"go", vmt_diff_text_go},
    {"kernel", vmt_diff_text_kernel},
    {"not_in_ram", vmt_diff_text_untouched},
    {"committed_by", vmt_diff_text_touch},
    {"blocks", vmt_diff_text_blocks},
};

/* As text has it in a file. */
static const struct vmt_layout in_a_file = {.columns = 100, .whole = true, .utf8 = true};

/* To be freed; NULL when out of memory. */
static char *
print_part(const struct part *part, const struct vmt_report *report)
{
	struct vmt_text_options options = {
	    .layout = in_a_file,
	    .top = VMT_TEXT_DEFAULT_TOP,
	    .callers = VMT_TEXT_DEFAULT_CALLERS,
	};
	char *text = NULL;
	size_t bytes = 0;

	options.layout.out = open_memstream(&text, &bytes);
	if (!options.layout.out)
		return NULL;
	part->print(report, &options);
	if (fclose(options.layout.out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Likewise. */
static char *
print_diff_part(const struct diff_part *part, const struct vmt_diff *diff)
{
	struct vmt_diff_text_options options = {
	    .layout = in_a_file,
	    .top = DIFF_ROWS,
	    .callers = VMT_TEXT_DEFAULT_CALLERS,
	};
	char *text = NULL;
	size_t bytes = 0;

	options.layout.out = open_memstream(&text, &bytes);
	if (!options.layout.out)
		return NULL;
	/* Without two snapshots nothing is known of a change, as in the text. */
	if (diff->verdict.kind != VMT_DIFF_UNKNOWN)
		part->print(diff, &options);
	if (fclose(options.layout.out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Its lines, without the empty one before a title. */
static void
write_lines(struct vmt_emitter *emitter, const char *key, char *text)
{
	vmt_emitter_array(emitter, key);
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
		if (*line)
			vmt_emitter_string(emitter, NULL, line);
	vmt_emitter_array_end(emitter);
}

static int
write_parts(const struct vmt_report *report, struct vmt_emitter *emitter)
{
	int result = 0;

	vmt_emitter_object(emitter, "text");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && result == 0; i++) {
		char *text = print_part(&parts[i], report);

		if (text)
			write_lines(emitter, parts[i].key, text);
		else
			result = -ENOMEM;
		free(text);
	}
	vmt_emitter_object_end(emitter);
	return result;
}

static void
write_shown(const struct vmt_report *report, struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, "advice_shown");
	for (size_t i = 0; i < report->advice_count; i++)
		vmt_view_words_frames(&report->advice[i].stack, emitter);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "locks_shown");
	for (size_t i = 0; i < report->lock_count; i++)
		vmt_view_words_frames(&report->locks[i].stack, emitter);
	vmt_emitter_array_end(emitter);
}

int
vmt_view_words_diff(const struct vmt_diff *diff, struct vmt_emitter *emitter)
{
	int result = 0;

	vmt_emitter_object(emitter, "text");
	for (size_t i = 0; i < sizeof(diff_parts) / sizeof(*diff_parts) && result == 0; i++) {
		char *text = print_diff_part(&diff_parts[i], diff);

		if (text)
			write_lines(emitter, diff_parts[i].key, text);
		else
			result = -ENOMEM;
		free(text);
	}
	vmt_emitter_object_end(emitter);
	return result;
}

int
vmt_view_words_write(const struct vmt_report *report, const char *path, struct vmt_emitter *emitter)
{
	const char *slash = strrchr(path, '/');
	char text[VMT_LAYOUT_LINE_BYTES];

	vmt_emitter_string(emitter, "trace", slash && slash[1] ? slash + 1 : path);
	vmt_headline_write(report, text, sizeof(text));
	vmt_emitter_string(emitter, "headline", text);
	vmt_headline_losses(report, text, sizeof(text));
	vmt_emitter_array(emitter, "losses");
	if (*text)
		vmt_emitter_string(emitter, NULL, text);
	vmt_emitter_array_end(emitter);
	vmt_text_end(report, text, sizeof(text));
	vmt_emitter_string(emitter, "end", text);
	write_shown(report, emitter);
	return write_parts(report, emitter);
}

#define FIRST_FRAMES (1u + VMT_TEXT_DEFAULT_CALLERS)

void
vmt_view_words_frames(const struct vmt_stack_frames *stack, struct vmt_emitter *emitter)
{
	size_t places[FIRST_FRAMES + 1]; /* one more: of rows without a name */
	size_t count = 0;
	bool as_they_are = true;
	const struct vmt_frame *frame;
	struct vmt_rank_walk walk;

	vmt_emitter_array(emitter, NULL);
	if (stack && stack->count) {
		vmt_rank_walk_begin(&walk, stack, VMT_TEXT_DEFAULT_CALLERS);
		while (count <= FIRST_FRAMES && (frame = vmt_rank_walk_next(&walk)) != NULL) {
			places[count] = (size_t)(frame - stack->frames);
			as_they_are &= places[count] == count;
			count++;
		}
		as_they_are &= count == (stack->count < FIRST_FRAMES ? stack->count : FIRST_FRAMES);
	}
	for (size_t i = 0; i < count && !as_they_are; i++)
		vmt_emitter_u64(emitter, NULL, places[i]);
	vmt_emitter_array_end(emitter);
}
