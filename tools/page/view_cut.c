#include "tools/page/view_cut.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A row, and what it is kept by. */
struct ranked {
	uint64_t first;
	uint64_t second;
	size_t row;
};

static int
compare(const void *left, const void *right)
{
	const struct ranked *a = left;
	const struct ranked *b = right;

	if (a->first != b->first)
		return a->first < b->first ? 1 : -1;
	if (a->second != b->second)
		return a->second < b->second ? 1 : -1;
	return (a->row > b->row) - (a->row < b->row);
}

/* is_kept[row], of the `most` first ones; to be freed. NULL: no memory. */
static bool *
choose(struct ranked *ranked, size_t count, size_t most)
{
	bool *is_kept = calloc(count + 1, sizeof(*is_kept));

	if (!is_kept || !ranked) {
		free(is_kept);
		return NULL;
	}
	if (count)
		qsort(ranked, count, sizeof(*ranked), compare);
	for (size_t i = 0; i < count && i < most; i++)
		is_kept[ranked[i].row] = true;
	return is_kept;
}

static int
cut_advice(struct vmt_view_cut *cut, const struct vmt_report *report, size_t most)
{
	struct ranked *ranked = calloc(report->advice_count + 1, sizeof(*ranked));
	bool *is_kept;

	for (size_t i = 0; ranked && i < report->advice_count; i++)
		ranked[i] = (struct ranked){report->advice[i].committed_before_bytes,
					    report->advice[i].bytes, i};
	is_kept = choose(ranked, report->advice_count, most);
	free(ranked);
	cut->advice_rows = calloc(report->advice_count + 1, sizeof(*cut->advice_rows));
	cut->report.advice = calloc(report->advice_count + 1, sizeof(*cut->report.advice));
	cut->report.advice_count = 0;
	if (!is_kept || !cut->advice_rows || !cut->report.advice) {
		free(is_kept);
		return -ENOMEM;
	}
	for (size_t i = 0; i < report->advice_count; i++) {
		cut->advice_rows[i] = is_kept[i] ? cut->report.advice_count : SIZE_MAX;
		if (is_kept[i])
			cut->report.advice[cut->report.advice_count++] = report->advice[i];
	}
	cut->advice_left_out = report->advice_count - cut->report.advice_count;
	free(is_kept);
	return 0;
}

static int
cut_locks(struct vmt_view_cut *cut, const struct vmt_report *report, size_t most)
{
	struct ranked *ranked = calloc(report->lock_count + 1, sizeof(*ranked));
	bool *is_kept;

	for (size_t i = 0; ranked && i < report->lock_count; i++)
		ranked[i] = (struct ranked){report->locks[i].bytes, report->locks[i].calls, i};
	is_kept = choose(ranked, report->lock_count, most);
	free(ranked);
	cut->report.locks = calloc(report->lock_count + 1, sizeof(*cut->report.locks));
	cut->report.lock_count = 0;
	if (!is_kept || !cut->report.locks) {
		free(is_kept);
		return -ENOMEM;
	}
	for (size_t i = 0; i < report->lock_count; i++)
		if (is_kept[i])
			cut->report.locks[cut->report.lock_count++] = report->locks[i];
	cut->locks_left_out = report->lock_count - cut->report.lock_count;
	free(is_kept);
	return 0;
}

static int
cut_files(struct vmt_view_cut *cut, const struct vmt_report *report, size_t most)
{
	struct ranked *ranked = calloc(report->file_count + 1, sizeof(*ranked));
	bool *is_kept;

	for (size_t i = 0; ranked && i < report->file_count; i++)
		ranked[i] = (struct ranked){report->files[i].committed_bytes,
					    report->files[i].reserved_bytes, i};
	is_kept = choose(ranked, report->file_count, most);
	free(ranked);
	cut->report.files = calloc(report->file_count + 1, sizeof(*cut->report.files));
	cut->report.file_count = 0;
	if (!is_kept || !cut->report.files) {
		free(is_kept);
		return -ENOMEM;
	}
	for (size_t i = 0; i < report->file_count; i++) {
		if (is_kept[i])
			cut->report.files[cut->report.file_count++] = report->files[i];
		else
			cut->files_left_out_bytes += report->files[i].committed_bytes;
	}
	cut->files_left_out = report->file_count - cut->report.file_count;
	free(is_kept);
	return 0;
}

int
vmt_view_cut_make(struct vmt_view_cut *cut, const struct vmt_report *report, size_t most)
{
	int result;

	*cut = (struct vmt_view_cut){.report = *report};
	cut->report.advice = NULL;
	cut->report.locks = NULL;
	cut->report.files = NULL;
	result = cut_advice(cut, report, most);
	if (result == 0)
		result = cut_locks(cut, report, most);
	return result == 0 ? cut_files(cut, report, most) : result;
}

void
vmt_view_cut_free(struct vmt_view_cut *cut)
{
	free(cut->report.advice);
	free(cut->report.locks);
	free(cut->report.files);
	free(cut->advice_rows);
}
