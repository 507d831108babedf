#include "tools/export/folded.h"

#include "tools/export/frame_names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct line {
	char *stack;
	uint64_t value;
};

/* The row's stack as text, to be freed; NULL: no memory. */
static char *
stack_text(const struct vmt_profile_row *row)
{
	struct vmt_frame_name frame;
	char *text = NULL;
	size_t bytes;
	FILE *stream = open_memstream(&text, &bytes);
	bool failed;

	if (!stream)
		return NULL;
	for (size_t i = 0; i < vmt_frame_names_count(row); i++) {
		vmt_frame_names_get(row, i, ";", &frame);
		fprintf(stream, "%s%s", i ? ";" : "", frame.name);
	}
	failed = ferror(stream) != 0;
	if (fclose(stream) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

static int
compare_lines(const void *left, const void *right)
{
	return strcmp(((const struct line *)left)->stack, ((const struct line *)right)->stack);
}

/* Fills the lines of what is not 0; -ENOMEM leaves those that were made. */
static int
make_lines(const struct vmt_profile *profile, enum vmt_metric metric, struct line *lines,
	   size_t *count)
{
	for (size_t i = 0; i < profile->count; i++) {
		const struct vmt_profile_row *row = &profile->rows[i];

		if (!row->values[metric])
			continue;
		lines[*count].value = row->values[metric];
		lines[*count].stack = stack_text(row);
		if (!lines[*count].stack)
			return -ENOMEM;
		(*count)++;
	}
	if (*count)
		qsort(lines, *count, sizeof(*lines), compare_lines);
	return 0;
}

static void
print_lines(const struct line *lines, size_t count, FILE *out)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		sum += lines[i].value;
		if (i + 1 < count && compare_lines(&lines[i], &lines[i + 1]) == 0)
			continue;
		fprintf(out, "%s %" PRIu64 "\n", lines[i].stack, sum);
		sum = 0;
	}
}

int
vmt_folded_write(const struct vmt_report *report, enum vmt_metric metric, FILE *out,
		 struct vmt_err *err)
{
	struct vmt_profile *profile = vmt_profile_make(report, VMT_PROFILE_MOST_ROWS);
	struct line *lines = profile ? calloc(profile->count + 1, sizeof(*lines)) : NULL;
	size_t count = 0;
	int result = lines ? make_lines(profile, metric, lines, &count) : -ENOMEM;

	if (result == 0)
		print_lines(lines, count, out);
	for (size_t i = 0; i < count; i++)
		free(lines[i].stack);
	free(lines);
	vmt_profile_free(profile);
	return result ? vmt_err_set(err, ENOMEM, "not enough memory to write the stacks") : 0;
}
