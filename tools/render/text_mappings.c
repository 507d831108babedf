#include "format/chunk.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

/* As /proc/PID/maps has it: what is there, and the name that the kernel gives it. */
static void
print_mapping(const struct vmt_mapping_row *row, const struct vmt_text_options *options)
{
	char committed[VMT_UNITS_BYTES];
	char reserved[VMT_UNITS_BYTES];
	char swapped[VMT_UNITS_BYTES];
	char path[1024];

	vmt_layout_shorten(&options->layout, path, sizeof(path), row->path, 120);
	vmt_layout_line(
	    &options->layout, VMT_STYLE_PLAIN,
	    " %10s %10s  %-22s %c%c%c%c %" PRIx64 "-%" PRIx64 "%s%s%s%s",
	    vmt_units_bytes(committed, row->committed_bytes),
	    vmt_units_bytes(reserved, row->end - row->start), row->class,
	    row->protection & PROT_READ ? 'r' : '-', row->protection & PROT_WRITE ? 'w' : '-',
	    row->protection & PROT_EXEC ? 'x' : '-', row->shared ? 's' : 'p', row->start, row->end,
	    *path ? "  " : "", path, row->swapped_bytes ? "  swapped " : "",
	    row->swapped_bytes ? vmt_units_bytes(swapped, row->swapped_bytes) : "");
}

void
vmt_text_mappings(const struct vmt_report *report, const struct vmt_text_options *options)
{
	size_t shown = report->mapping_count < options->top ? report->mapping_count : options->top;

	if (report->mapping_count == 0)
		return;
	vmt_text_sections_title(options, "Largest mappings");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %10s  %-22s %s", "committed",
			"reserved", "class", "where");
	for (size_t i = 0; i < shown; i++)
		print_mapping(&report->mappings[i], options);
}
