#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdio.h>
#include <stdlib.h>

#define SITES_SHOWN 3u
/* Below this nobody asks what it is. */
#define WORTH_TELLING_BYTES (UINT64_C(1) << 20)

static void
print_part(const struct vmt_report *report, const struct vmt_text_options *options, uint64_t bytes,
	   const char *words)
{
	char figure[VMT_UNITS_BYTES];
	char text[256];

	snprintf(text, sizeof(text), "%c%10s  %s", report->retained.estimate ? '~' : ' ',
		 vmt_units_bytes(figure, bytes), words);
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 13);
}

static int
compare_pins(const void *left, const void *right)
{
	const struct vmt_site *a = left;
	const struct vmt_site *b = right;

	return a->pins_bytes == b->pins_bytes ? 0 : a->pins_bytes < b->pins_bytes ? 1 : -1;
}

void
vmt_text_retained_pinning(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char figure[VMT_UNITS_BYTES];
	char figures[64];
	size_t count;
	struct vmt_site *sites = vmt_group_rows_merge(report, options->callers, &count);

	if (!sites)
		return;
	qsort(sites, count, sizeof(*sites), compare_pins);
	if (sites[0].pins_bytes >= WORTH_TELLING_BYTES)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "%s",
				"  of the free memory, kept below or around live blocks of");
	for (size_t i = 0; i < count && i < SITES_SHOWN; i++) {
		if (sites[i].pins_bytes < WORTH_TELLING_BYTES)
			break;
		snprintf(figures, sizeof(figures), "%c%10s", report->retained.estimate ? '~' : ' ',
			 vmt_units_bytes(figure, sites[i].pins_bytes));
		vmt_text_sections_named(options, figures, sites[i].kind, &sites[i].stack);
	}
	free(sites);
}

/* How far the samples can be trusted. */
static void
print_range(const struct vmt_report *report, const struct vmt_text_options *options)
{
	uint64_t least = report->retained.free_page_least_bytes;
	uint64_t most = report->retained.free_page_most_bytes;
	char figures[2][VMT_UNITS_BYTES];
	char text[256];

	if (most <= least)
		return;
	snprintf(text, sizeof(text),
		 "  by so few sampled blocks, free pages may be %s to %s (exact: --malloc all)",
		 vmt_units_bytes(figures[0], least), vmt_units_bytes(figures[1], most));
	vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, text, 4);
}

void
vmt_text_retained(const struct vmt_report *report, const struct vmt_text_options *options)
{
	uint64_t all = report->retained.overhead_bytes + report->retained.free_page_bytes +
		       report->retained.pinned_bytes;

	if (!report->retained.is_split || all < WORTH_TELLING_BYTES)
		return;
	vmt_text_sections_title(options, "malloc retained: what malloc holds besides live blocks");
	print_part(report, options, report->retained.free_page_bytes,
		   "free pages: malloc_trim would give them back to the kernel");
	print_part(report, options, report->retained.pinned_bytes,
		   "free space in pages with live blocks: stays until those blocks are freed");
	print_part(report, options, report->retained.overhead_bytes,
		   "overhead of live blocks: headers and rounding, not free");
	vmt_text_retained_pinning(report, options);
	print_range(report, options);
	if (report->retained.estimate)
		vmt_layout_wrap(&options->layout, VMT_STYLE_DIM,
				"~ = estimated from samples, assuming that unsampled blocks lie "
				"evenly around them",
				4);
}
