#include "tools/top/top_reading.h"

#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/headline.h"
#include "tools/render/rank.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLERS 3u /* as a report's text has them */

/* FNV-1a, 64 bits. */
#define KEY_BASIS UINT64_C(14695981039346656037)
#define KEY_PRIME UINT64_C(1099511628211)

uint64_t
vmt_top_reading_key(uint64_t seed, const char *text)
{
	uint64_t key = seed ^ KEY_BASIS;

	for (; *text; text++)
		key = (key ^ (unsigned char)*text) * KEY_PRIME;
	return key * KEY_PRIME;
}

/* What is too long is cut; of NULL nothing. */
static void
copy(char *to, size_t bytes, const char *text)
{
	size_t length;

	if (!text)
		return;
	length = strnlen(text, bytes - 1);
	memcpy(to, text, length);
	to[length] = '\0';
}

/* The frames that the row shows: the one that names it, and its callers. */
static void
name_site(struct vmt_top_item *item, const struct vmt_stack_frames *stack)
{
	struct vmt_rank_walk walk;
	const struct vmt_frame *frame;
	size_t used = 0;
	char text[1600];

	copy(item->name, sizeof(item->name), "(no stack)");
	vmt_rank_walk_begin(&walk, stack, CALLERS);
	for (size_t i = 0; (frame = vmt_rank_walk_next(&walk)) != NULL; i++) {
		vmt_frame_text_write(frame, text, sizeof(text));
		item->key = vmt_top_reading_key(item->key, text);
		if (i == 0)
			copy(item->name, sizeof(item->name), text);
		else if (used < sizeof(item->callers))
			used += (size_t)snprintf(item->callers + used, sizeof(item->callers) - used,
						 "%s%s", i == 1 ? "" : " <- ",
						 frame->function ? frame->function : text);
	}
}

static int
by_committed(const void *left, const void *right)
{
	const struct vmt_site *a = left;
	const struct vmt_site *b = right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	return (a->reserved_bytes < b->reserved_bytes) - (a->reserved_bytes > b->reserved_bytes);
}

static struct vmt_top_item *
make_room(struct vmt_top_reading *reading, enum vmt_top_view view, size_t count)
{
	size_t kept = count < VMT_TOP_READING_MOST ? count : VMT_TOP_READING_MOST;

	reading->counts[view] = 0;
	reading->left_out[view] = count - kept;
	reading->items[view] = calloc(kept + 1, sizeof(struct vmt_top_item));
	if (reading->items[view])
		reading->counts[view] = kept;
	return reading->items[view];
}

static int
take_sites(struct vmt_top_reading *reading, const struct vmt_report *report)
{
	size_t count = 0;
	struct vmt_site *rows =
	    report->site_count ? vmt_group_rows_merge(report, CALLERS, &count) : NULL;
	struct vmt_top_item *items;

	if (report->site_count && !rows)
		return -ENOMEM;
	if (count > 0)
		qsort(rows, count, sizeof(*rows), by_committed);
	items = make_room(reading, VMT_TOP_SITES, count);
	for (size_t i = 0; items && i < reading->counts[VMT_TOP_SITES]; i++) {
		items[i].key = vmt_top_reading_key(0, rows[i].kind);
		items[i].committed_bytes = rows[i].committed_bytes;
		items[i].reserved_bytes = rows[i].reserved_bytes;
		items[i].estimate = rows[i].estimate;
		copy(items[i].kind, sizeof(items[i].kind), rows[i].kind);
		name_site(&items[i], &rows[i].stack);
	}
	free(rows);
	return items ? 0 : -ENOMEM;
}

static int
take_classes(struct vmt_top_reading *reading, const struct vmt_report *report)
{
	struct vmt_top_item *items = make_room(reading, VMT_TOP_CLASSES, report->class_count);

	for (size_t i = 0; items && i < reading->counts[VMT_TOP_CLASSES]; i++) {
		const struct vmt_class *class = &report->classes[i];

		items[i] = (struct vmt_top_item){.key = vmt_top_reading_key(1, class->name),
						 .committed_bytes = class->committed_bytes,
						 .reserved_bytes = class->reserved_bytes};
		copy(items[i].name, sizeof(items[i].name), class->name);
	}
	return items ? 0 : -ENOMEM;
}

static void
take_state(struct vmt_top_reading *reading, const struct vmt_report *report)
{
	const char *end = report->process.end;
	int status = report->process.end_status;

	reading->is_live = vmt_report_is_live(report);
	reading->goes_on = strcmp(end, "running") == 0 || strcmp(end, "ending") == 0;
	if (report->process.is_snapshot)
		end = "looked at from outside: classes alone";
	else if (report->process.uncollected)
		end = "running, but its collector does not answer";
	if (strcmp(end, "exit") == 0)
		snprintf(reading->state, sizeof(reading->state), "ended with status %d", status);
	else if (strcmp(end, "signal") == 0)
		snprintf(reading->state, sizeof(reading->state), "killed by signal %d", status);
	else if (strcmp(end, "exec") == 0)
		copy(reading->state, sizeof(reading->state), "became another program (exec)");
	else
		copy(reading->state, sizeof(reading->state), end);
}

int
vmt_top_reading_make(struct vmt_top_reading *reading, const struct vmt_report *report)
{
	int status;

	*reading = (struct vmt_top_reading){
	    .pid = report->process.pid,
	    .has_snapshot = report->snapshot.taken,
	    .has_sites = !report->process.is_snapshot && !report->process.is_watched,
	    .time_ns = report->snapshot.time_ns,
	    .rss_bytes = report->snapshot.rss_bytes,
	    .end_ns = vmt_report_end_ns(report),
	    .last_rss_bytes = report->snapshot.rss_bytes,
	    .peak_rss_bytes = vmt_report_peak_bytes(report),
	    .limit_bytes = report->cgroup.limit_bytes,
	};
	if (report->rss_count && report->rss[report->rss_count - 1].time_ns > reading->time_ns)
		reading->last_rss_bytes = report->rss[report->rss_count - 1].rss_bytes;
	copy(reading->command, sizeof(reading->command), vmt_report_command(report));
	vmt_headline_losses(report, reading->note, sizeof(reading->note));
	take_state(reading, report);
	status = take_sites(reading, report);
	return status ? status : take_classes(reading, report);
}

int
vmt_top_reading_write(const struct vmt_top_reading *reading, FILE *out)
{
	bool whole = fwrite(reading, sizeof(*reading), 1, out) == 1;

	for (size_t view = 0; view < VMT_TOP_VIEWS; view++)
		if (reading->counts[view])
			whole &= fwrite(reading->items[view], sizeof(struct vmt_top_item),
					reading->counts[view], out) == reading->counts[view];
	return whole ? 0 : -EIO;
}

int
vmt_top_reading_read(struct vmt_top_reading *reading, const char *bytes, size_t length)
{
	size_t counts[VMT_TOP_VIEWS];

	*reading = (struct vmt_top_reading){.pid = 0};
	if (length < sizeof(*reading))
		return -EBADMSG;
	memcpy(reading, bytes, sizeof(*reading));
	memcpy(counts, reading->counts, sizeof(counts));
	memset(reading->items, 0, sizeof(reading->items));
	memset(reading->counts, 0, sizeof(reading->counts));
	length -= sizeof(*reading);
	bytes += sizeof(*reading);
	for (size_t view = 0; view < VMT_TOP_VIEWS; view++) {
		size_t size = counts[view] * sizeof(struct vmt_top_item);

		if (counts[view] > VMT_TOP_READING_MOST || size > length)
			return -EBADMSG;
		reading->items[view] = malloc(size + 1);
		if (!reading->items[view])
			return -ENOMEM;
		memcpy(reading->items[view], bytes, size);
		reading->counts[view] = counts[view];
		bytes += size;
		length -= size;
	}
	return length == 0 ? 0 : -EBADMSG;
}

void
vmt_top_reading_free(struct vmt_top_reading *reading)
{
	for (size_t i = 0; i < VMT_TOP_VIEWS; i++)
		free(reading->items[i]);
	*reading = (struct vmt_top_reading){.pid = 0};
}
