#include "tools/render/aggregate.h"

#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/string_set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const vmt_aggregate_words[] = {"function", "file", "module", "class", "thread", NULL};

/* A call site, and the row that it belongs to. */
struct named {
	const char *name;
	const struct vmt_site *site;
};

static const char *
write_function(const struct vmt_frame *frame, char *text, size_t text_bytes)
{
	struct vmt_frame bare = *frame;

	if (frame->function)
		return frame->function;
	bare.file = NULL;
	return vmt_frame_text_write(&bare, text, text_bytes);
}

static const char *
write_file(const struct vmt_frame *frame, char *text, size_t text_bytes)
{
	if (frame->file && *frame->file)
		return frame->file;
	snprintf(text, text_bytes, "(no source file: %s)",
		 frame->module ? frame->module : "no module");
	return text;
}

static const char *
write_name(const struct vmt_site *site, uint32_t pid, enum vmt_aggregate_by by, char *text,
	   size_t text_bytes)
{
	const struct vmt_frame *frame =
	    site->stack.count ? &site->stack.frames[vmt_rank_owner(&site->stack)] : NULL;

	switch (by) {
	case VMT_AGGREGATE_CLASS:
		return site->class ? site->class : "(nothing of it at the snapshot)";
	case VMT_AGGREGATE_THREAD:
		snprintf(text, text_bytes, "thread %" PRIu32 "%s", site->thread,
			 site->thread == pid ? " (main thread)" : "");
		return site->thread ? text : "(thread not known)";
	case VMT_AGGREGATE_FUNCTION:
		return frame ? write_function(frame, text, text_bytes) : "(no stack)";
	case VMT_AGGREGATE_FILE:
		return frame ? write_file(frame, text, text_bytes) : "(no stack)";
	case VMT_AGGREGATE_MODULE:
	case VMT_AGGREGATE_NONE:
		break;
	}
	if (!frame)
		return "(no stack)";
	return frame->module ? frame->module : "(no module)";
}

static int
name_sites(struct vmt_aggregate *aggregate, const struct vmt_report *report,
	   enum vmt_aggregate_by by, struct named *named)
{
	for (size_t i = 0; i < report->site_count; i++) {
		char text[4096];
		const char *name =
		    write_name(&report->sites[i], report->process.pid, by, text, sizeof(text));

		named[i].site = &report->sites[i];
		named[i].name = vmt_string_set_intern(aggregate->strings, name, strlen(name));
		if (!named[i].name)
			return -ENOMEM;
	}
	return 0;
}

static int
compare_named(const void *left, const void *right)
{
	const struct named *a = left;
	const struct named *b = right;

	return strcmp(a->name, b->name);
}

static int
compare_rows(const void *left, const void *right, void *context)
{
	const struct vmt_aggregate_row *a = left;
	const struct vmt_aggregate_row *b = right;
	const enum vmt_rank_by *rank = context;
	uint64_t figures[2] = {vmt_rank_figure(&a->sum, *rank), vmt_rank_figure(&b->sum, *rank)};

	if (figures[0] != figures[1])
		return figures[0] < figures[1] ? 1 : -1;
	if (a->sum.reserved_bytes != b->sum.reserved_bytes)
		return a->sum.reserved_bytes < b->sum.reserved_bytes ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void
add_up(struct vmt_aggregate *aggregate, const struct named *named, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct vmt_aggregate_row *row;

		if (i == 0 || named[i - 1].name != named[i].name)
			aggregate->rows[aggregate->count++].name = named[i].name;
		row = &aggregate->rows[aggregate->count - 1];
		row->sites++;
		vmt_group_rows_add(&row->sum, named[i].site);
		vmt_group_rows_add(&aggregate->all, named[i].site);
	}
}

int
vmt_aggregate_make(struct vmt_aggregate *aggregate, const struct vmt_report *report,
		   enum vmt_aggregate_by by, enum vmt_rank_by rank)
{
	struct named *named = calloc(report->site_count + 1, sizeof(*named));

	*aggregate =
	    (struct vmt_aggregate){.rows = calloc(report->site_count + 1, sizeof(*aggregate->rows)),
				   .strings = vmt_string_set_new()};
	if (!named || !aggregate->rows || !aggregate->strings ||
	    name_sites(aggregate, report, by, named) < 0) {
		free(named);
		vmt_aggregate_free(aggregate);
		return -ENOMEM;
	}
	qsort(named, report->site_count, sizeof(*named), compare_named);
	add_up(aggregate, named, report->site_count);
	qsort_r(aggregate->rows, aggregate->count, sizeof(*aggregate->rows), compare_rows, &rank);
	free(named);
	return 0;
}

void
vmt_aggregate_free(struct vmt_aggregate *aggregate)
{
	vmt_string_set_free(aggregate->strings);
	free(aggregate->rows);
	*aggregate = (struct vmt_aggregate){.count = 0};
}
