#include "format/chunk.h"
#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SITES_SHOWN 3u

/* A site's figures, of blocks alone. */
struct sums {
	size_t live_sites;
	uint64_t count;
	uint64_t end_count;
	uint64_t end_bytes;
	uint64_t temporary_count; /* VMT_FIGURE_UNKNOWN */
	bool any;
	bool estimate;
};

static struct sums
add_up(const struct vmt_report *report)
{
	struct sums sums = {.any = false};

	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];

		if (site->end_count == VMT_FIGURE_UNKNOWN)
			continue;
		sums.any = true;
		sums.estimate |= site->estimate;
		sums.live_sites += site->end_count != 0;
		sums.count += site->count;
		sums.end_count += site->end_count;
		sums.end_bytes += site->end_bytes;
		if (site->temporary_count == VMT_FIGURE_UNKNOWN)
			sums.temporary_count = VMT_FIGURE_UNKNOWN;
		else if (sums.temporary_count != VMT_FIGURE_UNKNOWN)
			sums.temporary_count += site->temporary_count;
	}
	return sums;
}

static void
print_leaked(const struct vmt_text_options *options, const struct vmt_site *site)
{
	char figures[64];
	char bytes[VMT_UNITS_BYTES];
	char count[VMT_UNITS_BYTES];

	snprintf(figures, sizeof(figures), "%c%10s %13s", site->estimate ? '~' : ' ',
		 vmt_units_bytes(bytes, site->end_bytes), vmt_units_count(count, site->end_count));
	vmt_text_sections_named(options, figures, site->kind, &site->stack);
}

static void
print_temporary(const struct vmt_text_options *options, const struct vmt_site *site)
{
	char figures[64];
	char count[VMT_UNITS_BYTES];
	char share[VMT_UNITS_RATIO_BYTES];

	snprintf(figures, sizeof(figures), " %10s %6s       ",
		 vmt_units_count(count, site->temporary_count),
		 vmt_units_ratio(share, site->temporary_count, site->count));
	vmt_text_sections_named(options, figures, site->kind, &site->stack);
}

/* The first rows by that figure. */
static void
print_first(const struct vmt_report *report, const struct vmt_text_options *options,
	    enum vmt_rank_by rank,
	    void (*print)(const struct vmt_text_options *, const struct vmt_site *))
{
	struct vmt_report merged = *report;
	const struct vmt_site **sites;
	size_t shown = options->top < SITES_SHOWN ? options->top : SITES_SHOWN;

	merged.sites = vmt_group_rows_merge(report, options->callers, &merged.site_count);
	sites = merged.sites ? vmt_rank_sites(&merged, rank) : NULL;
	for (size_t i = 0; sites && i < merged.site_count && i < shown; i++)
		if (vmt_rank_figure(sites[i], rank) != 0)
			print(options, sites[i]);
	free(sites);
	free(merged.sites);
}

static void
write_live(const struct vmt_report *report, const struct sums *sums, char *text, size_t text_bytes)
{
	const char *about = sums->estimate ? "about " : "";
	char bytes[VMT_UNITS_BYTES];
	char count[VMT_UNITS_BYTES];
	bool ended = strcmp(report->process.end, "running") != 0;

	snprintf(
	    text, text_bytes, "  %s: %s%s in %s%s block%s, of %zu call site%s%s",
	    ended ? "Live at the end of the trace" : "Live now", about,
	    vmt_units_bytes(bytes, sums->end_bytes), about, vmt_units_count(count, sums->end_count),
	    sums->end_count == 1 ? "" : "s", sums->live_sites, sums->live_sites == 1 ? "" : "s",
	    report->process.forked ? ". Blocks that it inherited at fork are not among them" : "");
}

static void
write_temporary(const struct sums *sums, char *text, size_t text_bytes)
{
	char temporary[VMT_UNITS_BYTES];
	char count[VMT_UNITS_BYTES];
	char share[VMT_UNITS_RATIO_BYTES];

	if (sums->temporary_count == VMT_FIGURE_UNKNOWN)
		snprintf(text, text_bytes,
			 "  Temporary blocks: not known, since not every block was recorded "
			 "(record with --malloc all)");
	else
		snprintf(text, text_bytes,
			 "  Temporary: %s of %s blocks (%s) were freed by their thread before its "
			 "next allocation",
			 vmt_units_count(temporary, sums->temporary_count),
			 vmt_units_count(count, sums->count),
			 vmt_units_ratio(share, sums->temporary_count, sums->count));
}

void
vmt_text_blocks(const struct vmt_report *report, const struct vmt_text_options *options)
{
	struct sums sums = add_up(report);
	char text[256];

	if (!sums.any)
		return;
	vmt_text_sections_title(options, "Blocks of malloc, over the whole run");
	write_live(report, &sums, text, sizeof(text));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 4);
	print_first(report, options, VMT_RANK_LEAKED, print_leaked);
	write_temporary(&sums, text, sizeof(text));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 4);
	if (sums.temporary_count != VMT_FIGURE_UNKNOWN)
		print_first(report, options, VMT_RANK_TEMPORARY, print_temporary);
}
