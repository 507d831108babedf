#include "tools/render/touch_rows.h"

#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_NAME_BYTES 512u
#define FEW_SAMPLES 8u /* the deviation of a sum of fewer is more than a third of it */

struct shown {
	const struct vmt_committer *committer;
	struct vmt_rank_walk walk;
};

const char *
vmt_touch_rows_few(double samples, bool estimate, char text[VMT_TOUCH_ROWS_FEW_BYTES])
{
	unsigned count = samples < FEW_SAMPLES ? (unsigned)vmt_report_samples(samples) : 0;

	text[0] = '\0';
	if (estimate && count > 0)
		snprintf(text, VMT_TOUCH_ROWS_FEW_BYTES, " (%u sample%s)", count,
			 count == 1 ? "" : "s");
	return text;
}

void
vmt_touch_rows_free(struct vmt_touch_rows *rows)
{
	free(rows->rows);
	free(rows->of);
	*rows = (struct vmt_touch_rows){0};
}

/* What has no frames is told apart by its class. */
static const char *
class_of(const struct vmt_committer *committer)
{
	return committer->stack.count == 0 && committer->reserved_by_count
		   ? committer->reserved_by[0].class
		   : "";
}

static int
compare_shown(const void *left, const void *right)
{
	const struct shown *a = left;
	const struct shown *b = right;
	int order = strcmp(a->committer->evidence, b->committer->evidence);

	if (order == 0)
		order = strcmp(class_of(a->committer), class_of(b->committer));
	return order ? order : vmt_group_rows_compare(&a->walk, &b->walk);
}

static int
compare_rows(const void *left, const void *right)
{
	const struct vmt_touch_row *a = left;
	const struct vmt_touch_row *b = right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	if (a->unshared_bytes != b->unshared_bytes)
		return a->unshared_bytes < b->unshared_bytes ? 1 : -1;
	return (a->first > b->first) - (a->first < b->first);
}

static void
add(struct vmt_touch_row *row, const struct vmt_committer *committer)
{
	if (!row->first || committer < row->first)
		row->first = committer;
	row->committed_bytes += committer->committed_bytes;
	row->unshared_bytes += committer->unshared_bytes;
	row->samples += committer->samples_now;
	row->estimate |= committer->estimate;
	row->unshared_is_estimate |= committer->unshared_is_estimate;
	row->unshared_is_least |= committer->unshared_is_least;
}

/* Until they are sorted by their bytes, rows are numbered as they were made. */
static bool
sort_rows(struct vmt_touch_rows *rows, size_t committers)
{
	size_t *now = calloc(rows->count + 1, sizeof(*now));

	if (!now)
		return false;
	qsort(rows->rows, rows->count, sizeof(*rows->rows), compare_rows);
	for (size_t i = 0; i < rows->count; i++)
		now[rows->rows[i].number] = i;
	for (size_t i = 0; i < committers; i++)
		rows->of[i] = now[rows->of[i]];
	free(now);
	return true;
}

static bool
merge(struct vmt_touch_rows *rows, const struct vmt_report *report, struct shown *shown)
{
	size_t count = report->committer_count;

	for (size_t i = 0; i < count; i++) {
		if (i == 0 || compare_shown(&shown[i - 1], &shown[i]) != 0) {
			rows->rows[rows->count].number = rows->count;
			rows->count++;
		}
		add(&rows->rows[rows->count - 1], shown[i].committer);
		rows->of[shown[i].committer - report->committers] = rows->count - 1;
	}
	return sort_rows(rows, count);
}

bool
vmt_touch_rows_make(struct vmt_touch_rows *rows, const struct vmt_report *report, size_t callers)
{
	size_t count = report->committer_count;
	struct shown *shown = calloc(count + 1, sizeof(*shown));
	bool made;

	*rows = (struct vmt_touch_rows){.rows = calloc(count + 1, sizeof(*rows->rows)),
					.of = calloc(count + 1, sizeof(*rows->of))};
	made = shown && rows->rows && rows->of;
	for (size_t i = 0; made && i < count; i++) {
		shown[i].committer = &report->committers[i];
		vmt_rank_walk_begin(&shown[i].walk, &report->committers[i].stack, callers);
	}
	if (made) {
		qsort(shown, count, sizeof(*shown), compare_shown);
		made = merge(rows, report, shown);
	}
	free(shown);
	return made;
}

static void
begin_shares(const struct vmt_touch_rows *rows, struct vmt_touch_share *shares)
{
	for (size_t i = 0; i <= rows->count; i++)
		shares[i] = (struct vmt_touch_share){.row = i};
}

static int
compare_shares(const void *left, const void *right)
{
	const struct vmt_touch_share *a = left;
	const struct vmt_touch_share *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->row > b->row) - (a->row < b->row);
}

/* Largest first; those that have something. */
static size_t
end_shares(const struct vmt_touch_rows *rows, struct vmt_touch_share *shares)
{
	size_t count = 0;

	qsort(shares, rows->count + 1, sizeof(*shares), compare_shares);
	while (count <= rows->count && shares[count].bytes)
		count++;
	return count;
}

size_t
vmt_touch_rows_of_site(const struct vmt_touch_rows *rows, const struct vmt_report *report,
		       const struct vmt_site *site, size_t callers, struct vmt_touch_share *shares)
{
	begin_shares(rows, shares);
	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *same = &report->sites[i];

		if (!vmt_group_rows_is_same(site, same, callers))
			continue;
		for (size_t j = 0; j < same->touched_by_count; j++) {
			struct vmt_touch_share *share = &shares[rows->of[same->touched_by[j].row]];

			share->bytes += same->touched_by[j].bytes;
			share->samples += same->touched_by[j].samples;
			share->estimate |= same->touched_by[j].estimate;
		}
		shares[rows->count].bytes += same->unsampled_bytes;
	}
	return end_shares(rows, shares);
}

size_t
vmt_touch_rows_of_class(const struct vmt_touch_rows *rows, const struct vmt_report *report,
			const char *class, struct vmt_touch_share *shares)
{
	begin_shares(rows, shares);
	for (size_t i = 0; i < report->committer_count; i++) {
		const struct vmt_committer *committer = &report->committers[i];
		bool sampled = strcmp(committer->evidence, VMT_EVIDENCE_SAMPLES) == 0;
		struct vmt_touch_share *share = &shares[sampled ? rows->of[i] : rows->count];

		for (size_t j = 0; j < committer->reserved_by_count; j++) {
			const struct vmt_reserved_part *part = &committer->reserved_by[j];

			if (part->site != SIZE_MAX || strcmp(part->class, class) != 0)
				continue;
			share->bytes += part->bytes;
			share->estimate |= part->estimate;
		}
	}
	return end_shares(rows, shares);
}

static int
compare_places(const void *left, const void *right)
{
	const struct vmt_reserved_part *a = left;
	const struct vmt_reserved_part *b = right;

	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	return strcmp(a->class, b->class);
}

static int
compare_parts(const void *left, const void *right)
{
	const struct vmt_reserved_part *a = left;
	const struct vmt_reserved_part *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return compare_places(left, right);
}

/* What lies in one place becomes one part; what that leaves over is emptied. */
static void
join_places(struct vmt_reserved_part *parts, size_t count)
{
	for (size_t i = 1, into = 0; i < count; i++) {
		if (compare_places(&parts[into], &parts[i]) != 0) {
			into = i;
			continue;
		}
		parts[into].bytes += parts[i].bytes;
		parts[into].estimate |= parts[i].estimate;
		parts[i].bytes = 0;
	}
}

struct vmt_reserved_part *
vmt_touch_rows_reserved(const struct vmt_touch_rows *rows, const struct vmt_report *report,
			size_t row)
{
	struct vmt_reserved_part *parts;
	size_t count = 0;

	for (size_t i = 0; i < report->committer_count; i++)
		count += rows->of[i] == row ? report->committers[i].reserved_by_count : 0;
	parts = calloc(count + 2, sizeof(*parts));
	if (!parts)
		return NULL;
	count = 0;
	for (size_t i = 0; i < report->committer_count; i++)
		for (size_t j = 0; j < report->committers[i].reserved_by_count; j++)
			if (rows->of[i] == row)
				parts[count++] = report->committers[i].reserved_by[j];
	qsort(parts, count, sizeof(*parts), compare_places);
	join_places(parts, count);
	qsort(parts, count, sizeof(*parts), compare_parts);
	return parts;
}

static const char *
name_of(const struct vmt_frame *frame, char *text, size_t text_bytes)
{
	struct vmt_frame bare = *frame;

	bare.file = NULL;
	if (frame->function)
		return frame->function;
	return vmt_frame_text_write(&bare, text, text_bytes);
}

/* Who asked what touched for it: its nearest caller, but for a part of the same function. */
static size_t
asker_of(const struct vmt_stack_frames *stack, size_t owner)
{
	const char *leaf = stack->frames[0].function;
	size_t i = 1;

	while (leaf && i < owner && stack->frames[i].function &&
	       strncmp(stack->frames[i].function, leaf, strlen(leaf)) == 0)
		i++;
	return i;
}

size_t
vmt_touch_rows_filled(const struct vmt_touch_rows *rows)
{
	size_t count = rows->count;

	while (count > 0 && rows->rows[count - 1].committed_bytes == 0 &&
	       rows->rows[count - 1].unshared_bytes == 0)
		count--;
	return count;
}

char *
vmt_touch_rows_chain(const struct vmt_stack_frames *stack, const char *arrow, char *result,
		     size_t result_bytes)
{
	size_t owner = stack->count ? vmt_rank_owner(stack) : 0;
	size_t asker = stack->count ? asker_of(stack, owner) : 0;
	size_t used = 0;

	result[0] = '\0';
	for (size_t i = 0; i <= owner && i < stack->count && used < result_bytes; i++) {
		char text[CHAIN_NAME_BYTES];

		if (i != 0 && i != asker && i != owner)
			continue;
		used +=
		    (size_t)snprintf(result + used, result_bytes - used, "%s%s", used ? arrow : "",
				     name_of(&stack->frames[i], text, sizeof(text)));
	}
	return result;
}
