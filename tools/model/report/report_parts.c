#include "tools/model/report/report_draft.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t
part_bytes(const struct vmt_region_part *part, enum vmt_amount amount)
{
	double bytes = (double)part->rest[amount] - part->estimate[amount];

	if (part->estimate[amount] == 0)
		return part->rest[amount];
	return bytes > 0 ? (uint64_t)llround(bytes) : 0;
}

static int
fill_parts(struct vmt_report_draft *draft)
{
	const struct vmt_region_parts *parts = &draft->attribution.parts;
	struct vmt_report *report = &draft->report;

	report->parts = calloc(parts->count + 1, sizeof(*report->parts));
	if (!report->parts)
		return -ENOMEM;
	for (size_t i = 0; i < parts->count; i++) {
		const struct vmt_region_part *part = &parts->items[i];
		struct vmt_memory_part *row = &report->parts[report->part_count++];

		*row = (struct vmt_memory_part){
		    .class = vmt_classes_name((enum vmt_class_id)part->class),
		    .site = SIZE_MAX,
		    .reserved_bytes = part_bytes(part, VMT_AMOUNT_RESERVED),
		    .committed_bytes = part_bytes(part, VMT_AMOUNT_COMMITTED),
		    .swapped_bytes = part_bytes(part, VMT_AMOUNT_SWAPPED),
		};
		if (part->site != VMT_SITE_NONE)
			row->site = draft->site_rows[vmt_sites_merged_into(draft->replay->sites,
									   part->site)];
		if (!part->path_bytes)
			continue;
		row->path = vmt_string_set_intern(draft->strings, part->path, part->path_bytes);
		if (!row->path)
			return -ENOMEM;
	}
	return 0;
}

/* Hexadecimal, as tools print it. */
static char *
build_id_text(struct vmt_report_draft *draft, const struct vmt_module *module)
{
	char text[2 * VMT_BUILD_ID_MAX_BYTES + 1] = "";
	uint32_t bytes = module->build_id_bytes;

	for (uint32_t i = 0; i < bytes && i < VMT_BUILD_ID_MAX_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", module->build_id[i]);
	return vmt_string_set_intern(draft->strings, text, strlen(text));
}

static int
fill_loaded(struct vmt_report_draft *draft)
{
	const struct vmt_module_history *history = draft->replay->history;
	struct vmt_report *report = &draft->report;
	uint32_t count = vmt_module_history_count(history);

	report->loaded = calloc((size_t)count + 1, sizeof(*report->loaded));
	if (!report->loaded)
		return -ENOMEM;
	for (uint32_t i = 1; i < count; i++) {
		const struct vmt_span *span = vmt_module_history_span(history, i);
		struct vmt_loaded_file *row = &report->loaded[report->loaded_count];
		struct vmt_module module;

		if (!vmt_trace_module(draft->trace, span->module, &module))
			continue;
		*row = (struct vmt_loaded_file){
		    .path = vmt_string_set_intern(draft->strings, module.path, module.path_bytes),
		    .build_id = build_id_text(draft, &module),
		    .low = span->low,
		    .high = span->high,
		    .bias = span->bias,
		};
		if (!row->path || !row->build_id)
			return -ENOMEM;
		report->loaded_count++;
	}
	return 0;
}

int
vmt_report_parts_fill(struct vmt_report_draft *draft)
{
	int status = fill_parts(draft);

	return status ? status : fill_loaded(draft);
}

void
vmt_report_parts_free(struct vmt_report *report)
{
	free(report->parts);
	free(report->loaded);
}
