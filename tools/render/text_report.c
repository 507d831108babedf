#include "tools/render/text_report.h"

#include "format/chunk.h"
#include "format/head.h"
#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/headline.h"
#include "tools/render/sentence.h"
#include "tools/render/sparkline.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Narrower than this, a row keeps its figures of the snapshot and drops those of the run. */
#define WIDE_COLUMNS 84u
#define SHARED_WORTH_NAMING_BYTES (UINT64_C(1) << 20)
#define SHARED_WORTH_NAMING_PART 20u

static void
print_top(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];

	vmt_headline_write(report, text, sizeof(text));
	vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE, text, 0);
	vmt_text_go_shares(report, options);
	vmt_headline_losses(report, text, sizeof(text));
	vmt_layout_wrap(&options->layout, VMT_STYLE_ALARM, text, 2);
	if (report->totals.double_acquisitions || report->totals.unknown_releases) {
		snprintf(text, sizeof(text),
			 "Contradictions in the events: %" PRIu64
			 " addresses acquired twice, %" PRIu64 " releases of unknown addresses.",
			 report->totals.double_acquisitions, report->totals.unknown_releases);
		vmt_layout_wrap(&options->layout, VMT_STYLE_ALARM, text, 2);
	}
}

/* Worth a word: a MiB, and a twentieth of all. */
static bool
is_much_shared(const struct vmt_class *row, uint64_t all_committed)
{
	return row->shared_bytes != VMT_FIGURE_UNKNOWN &&
	       row->shared_bytes >= SHARED_WORTH_NAMING_BYTES &&
	       row->shared_bytes >= all_committed / SHARED_WORTH_NAMING_PART;
}

static void
print_class(const struct vmt_text_options *options, enum vmt_layout_style style, const char *name,
	    const struct vmt_class *row, uint64_t all_committed)
{
	char reserved[VMT_UNITS_BYTES];
	char committed[VMT_UNITS_BYTES];
	char swapped[VMT_UNITS_BYTES];
	char hugetlb[VMT_UNITS_BYTES];
	char shared[VMT_UNITS_BYTES];
	bool is_shared = is_much_shared(row, all_committed);
	char share[VMT_UNITS_RATIO_BYTES];

	vmt_layout_line(&options->layout, style, "  %-22s %10s %10s %6s%s%s%s%s%s%s", name,
			vmt_units_bytes(reserved, row->reserved_bytes),
			vmt_units_bytes(committed, row->committed_bytes),
			vmt_units_ratio(share, row->committed_bytes, all_committed),
			row->swapped_bytes ? "  swapped " : "",
			row->swapped_bytes ? vmt_units_bytes(swapped, row->swapped_bytes) : "",
			row->hugetlb_bytes ? "  not in RSS: " : "",
			row->hugetlb_bytes ? vmt_units_bytes(hugetlb, row->hugetlb_bytes) : "",
			is_shared ? "  shared " : "",
			is_shared ? vmt_units_bytes(shared, row->shared_bytes) : "");
}

/* Where what a Go heap is used for has classes of its own, this one has the rest. */
static const char *
class_label(const struct vmt_report *report, const struct vmt_class *class)
{
	bool is_rest = report->go.version && !report->go.uncut &&
		       strcmp(class->name, vmt_classes_name(VMT_CLASS_GO_HEAP)) == 0;

	return is_rest ? "Go heap, other" : class->name;
}

static void
print_classes(const struct vmt_report *report, const struct vmt_text_options *options)
{
	struct vmt_class all = {.name = "total", .shared_bytes = report->snapshot.shared_bytes};

	if (report->class_count == 0)
		return;
	vmt_text_sections_title(options, "The whole address space");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %-22s %10s %10s %6s", "", "reserved",
			"committed", "of RSS");
	for (size_t i = 0; i < report->class_count; i++) {
		all.reserved_bytes += report->classes[i].reserved_bytes;
		all.committed_bytes += report->classes[i].committed_bytes;
		all.swapped_bytes += report->classes[i].swapped_bytes;
		all.hugetlb_bytes += report->classes[i].hugetlb_bytes;
	}
	for (size_t i = 0; i < report->class_count; i++)
		print_class(options, VMT_STYLE_PLAIN, class_label(report, &report->classes[i]),
			    &report->classes[i], all.committed_bytes);
	print_class(options, VMT_STYLE_TITLE,
		    all.committed_bytes == report->snapshot.rss_bytes &&
			    report->snapshot.kernel_rss.gap_bytes == 0
			? "total = RSS"
			: "total",
		    &all, all.committed_bytes);
	vmt_text_gap(report, options);
}

/* What the list is ordered by, where that has no column of its own; else what was released. */
static const char *
write_ranked(char text[VMT_UNITS_BYTES], const struct vmt_site *site, enum vmt_rank_by rank)
{
	if (rank == VMT_RANK_TEMPORARY && site->temporary_count == VMT_FIGURE_UNKNOWN)
		return "unknown";
	if (rank == VMT_RANK_TEMPORARY)
		return vmt_units_count(text, site->temporary_count);
	return vmt_units_bytes(text, rank == VMT_RANK_LEAKED ? vmt_rank_figure(site, rank)
							     : site->released_bytes);
}

static const char *
ranked_heading(enum vmt_rank_by rank)
{
	return rank == VMT_RANK_TEMPORARY ? "  temporary     count"
	       : rank == VMT_RANK_LEAKED  ? "     leaked     count"
					  : "   released     count";
}

static void
print_site(const struct vmt_site *site, const struct vmt_text_options *options, bool looked)
{
	char committed[VMT_UNITS_BYTES];
	char reserved[VMT_UNITS_BYTES];
	char released[VMT_UNITS_BYTES];
	char count[VMT_UNITS_BYTES];
	char figures[160];
	char share[VMT_UNITS_RATIO_BYTES];
	int used;

	used = snprintf(
	    figures, sizeof(figures), "%c%10s %10s %6s", site->estimate ? '~' : ' ',
	    looked ? vmt_units_bytes(committed, site->committed_bytes) : "unknown",
	    vmt_units_bytes(reserved, site->reserved_bytes),
	    vmt_units_ratio(share, site->committed_bytes, looked ? site->reserved_bytes : 0));
	if (options->layout.columns >= WIDE_COLUMNS)
		snprintf(figures + used, sizeof(figures) - (size_t)used, " %10s %9s",
			 write_ranked(released, site, options->rank),
			 vmt_units_count(count, site->count));
	vmt_text_sections_named(options, figures, site->kind, &site->stack);
	if (site->hugetlb_bytes)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				" %10s of it in huge pages (hugetlb): in RAM, not in RSS",
				vmt_units_bytes(committed, site->hugetlb_bytes));
}

/* `report` has rows in the place of its sites; `whole` has the sites. */
static void
print_ranked(const struct vmt_report *report, const struct vmt_report *whole,
	     const struct vmt_text_options *options)
{
	bool looked = report->snapshot.taken;
	enum vmt_rank_by rank =
	    !looked && options->rank == VMT_RANK_COMMITTED ? VMT_RANK_RESERVED : options->rank;
	const struct vmt_site **sites = vmt_rank_sites(report, rank);
	bool wide = options->layout.columns >= WIDE_COLUMNS;
	size_t shown = report->site_count < options->top ? report->site_count : options->top;
	bool estimates = false;
	char text[128];

	if (!sites)
		return;
	snprintf(text, sizeof(text), "Call sites by %s, %zu of %zu", vmt_rank_words[rank], shown,
		 report->site_count);
	vmt_text_sections_title(options, text);
	vmt_text_selection(options);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %10s %6s%s  call", "committed",
			"reserved", "ratio", wide ? ranked_heading(rank) : "");
	for (size_t i = 0; i < shown; i++) {
		print_site(sites[i], options, looked);
		vmt_text_touch_site(whole, options, sites[i]);
		estimates |= sites[i]->estimate;
	}
	if (estimates)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "~ = estimated from samples");
	free(sites);
}

/* What would print the same row is one row. */
static void
print_sites(const struct vmt_report *report, const struct vmt_text_options *options)
{
	struct vmt_report merged = *report;

	if (report->site_count == 0 && (report->process.is_snapshot || report->process.is_watched))
		return;
	if (report->site_count == 0 && options->selection) {
		vmt_text_sections_title(options, "Call sites");
		vmt_text_selection(options);
		return;
	}
	merged.sites = vmt_group_rows_merge(report, options->callers, &merged.site_count);
	print_ranked(merged.sites ? &merged : report, report, options);
	free(merged.sites);
}

static int
compare_files(const void *left, const void *right)
{
	const struct vmt_file_row *a = *(const struct vmt_file_row *const *)left;
	const struct vmt_file_row *b = *(const struct vmt_file_row *const *)right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	return strcmp(a->path, b->path);
}

static void
print_file(const struct vmt_file_row *file, const struct vmt_text_options *options)
{
	char committed[VMT_UNITS_BYTES];
	char reserved[VMT_UNITS_BYTES];
	char path[1024];
	size_t columns = options->layout.columns;

	vmt_layout_shorten(&options->layout, path, sizeof(path), file->path,
			   columns > 40 ? columns - 24 : 16);
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, " %10s %10s  %s",
			vmt_units_bytes(committed, file->committed_bytes),
			vmt_units_bytes(reserved, file->reserved_bytes), path);
}

static void
print_files(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_file_row **files;
	size_t shown = report->file_count < options->top ? report->file_count : options->top;

	if (report->file_count == 0)
		return;
	files = calloc(report->file_count, sizeof(*files));
	if (!files)
		return;
	for (size_t i = 0; i < report->file_count; i++)
		files[i] = &report->files[i];
	qsort(files, report->file_count, sizeof(*files), compare_files);
	vmt_text_sections_title(options, "Mapped files");
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %10s  path", "committed",
			"reserved");
	for (size_t i = 0; i < shown; i++)
		print_file(files[i], options);
	if (shown < report->file_count)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  and %zu more",
				report->file_count - shown);
	free(files);
}

static void
print_rss(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char line[4 * VMT_SPARKLINE_MAX_COLUMNS + 1];
	char low[VMT_UNITS_BYTES];
	char high[VMT_UNITS_BYTES];
	char when[VMT_UNITS_BYTES];
	char last[VMT_UNITS_BYTES];
	struct vmt_rss_point peak = vmt_report_seen_peak(report);

	if (report->rss_count == 0 || report->process.is_snapshot)
		return;
	vmt_text_sections_title(options, "RSS over time");
	if (vmt_sparkline_write(&options->layout, report->rss, report->rss_count, line))
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "  %s", line);
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "  first %s, %s %s at %s, last %s",
			vmt_units_bytes(low, report->rss[0].rss_bytes),
			report->peak.is_missed ? "most read" : "peak",
			vmt_units_bytes(high, peak.rss_bytes),
			vmt_units_duration(when, peak.time_ns > 0 ? (uint64_t)peak.time_ns : 0),
			vmt_units_bytes(last, report->rss[report->rss_count - 1].rss_bytes));
}

static void
print_snapshot(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char when[VMT_UNITS_BYTES];
	char skew[VMT_UNITS_BYTES];
	char text[512];
	bool known = report->snapshot.skew_bytes != VMT_FIGURE_UNKNOWN;

	if (!report->snapshot.taken)
		return;
	snprintf(text, sizeof(text),
		 "- Figures are from snapshot %" PRIu32 " of %" PRIu32
		 ", taken at %s; pages read by %s; the kernel's own counter %s%s.",
		 report->snapshot.index + 1, report->snapshot.count,
		 vmt_units_duration(
		     when, report->snapshot.time_ns > 0 ? (uint64_t)report->snapshot.time_ns : 0),
		 report->snapshot.source ? report->snapshot.source : "unknown means",
		 known ? "differs by " : "could not be read",
		 known ? vmt_units_bytes(skew, report->snapshot.skew_bytes) : "");
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

/* As --stacks has it: libunwind goes by the same tables. */
static const char *
stacks_words(const struct vmt_report *report)
{
	if (strcmp(report->coverage.stacks, "dwarf") == 0)
		return "by unwind tables (cfi)";
	if (strcmp(report->coverage.stacks, "frame-pointer") == 0)
		return "by frame pointers (fp)";
	return report->coverage.stacks;
}

static void
write_malloc(const struct vmt_report *report, char *text, size_t text_bytes)
{
	char bytes[VMT_UNITS_BYTES];

	if (report->go.version && !report->go.cgo &&
	    strcmp(report->coverage.malloc_mode, "off") == 0)
		snprintf(text, text_bytes, "none, the program is Go alone");
	else if (report->coverage.own_malloc)
		snprintf(text, text_bytes, "the program's own, not recorded");
	else if (strcmp(report->coverage.malloc_mode, "sampled") == 0)
		snprintf(text, text_bytes, "sampled, one in %s on average and every larger block",
			 vmt_units_bytes(bytes, report->coverage.malloc_sample_bytes));
	else
		snprintf(text, text_bytes, "%s", report->coverage.malloc_mode);
}

/* The process ran meanwhile: what its RSS did is how far the parts may lie apart. */
static void
print_looked_at(const struct vmt_report *report, const struct vmt_text_options *options)
{
	uint64_t before = report->rss_count ? report->rss[0].rss_bytes : 0;
	uint64_t after = report->rss_count ? report->rss[report->rss_count - 1].rss_bytes : 0;
	char text[512];
	char took[VMT_UNITS_BYTES];
	char figure[VMT_UNITS_BYTES];
	char then[VMT_UNITS_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	vmt_sentence_say(&sentence, "- Pages read by %s in %s, while the process ran. Its RSS ",
			 report->snapshot.source ? report->snapshot.source : "unknown means",
			 vmt_units_duration(took, report->snapshot.duration_ns));
	if (report->rss_count < 2)
		vmt_sentence_say(&sentence, "before and after was not read");
	else if (before == after)
		vmt_sentence_say(&sentence, "was the same before and after");
	else if (strcmp(vmt_units_bytes(figure, before), vmt_units_bytes(then, after)) == 0)
		vmt_sentence_say(
		    &sentence, "moved by %s meanwhile: parts are of different moments",
		    vmt_units_bytes(figure, before > after ? before - after : after - before));
	else
		vmt_sentence_say(&sentence,
				 "was %s before and %s after: parts are of different moments",
				 vmt_units_bytes(figure, before), vmt_units_bytes(then, after));
	if (report->snapshot.skew_bytes != VMT_FIGURE_UNKNOWN)
		vmt_sentence_say(&sentence, "; the kernel's own counter differs by %s",
				 vmt_units_bytes(figure, report->snapshot.skew_bytes));
	vmt_sentence_say(&sentence, ".");
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

static void
print_recorded(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	char heap[128];
	char count[VMT_UNITS_BYTES];

	print_snapshot(report, options);
	write_malloc(report, heap, sizeof(heap));
	snprintf(text, sizeof(text), "- Events read: %s. Stacks: %s. malloc: %s.",
		 vmt_units_count(count, report->loss.events), stacks_words(report), heap);
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
	vmt_text_touch_basis(report, options);
}

void
vmt_text_basis(const struct vmt_report *report, const struct vmt_text_options *options)
{
	if (report->process.is_snapshot)
		print_looked_at(report, options);
	else
		print_recorded(report, options);
	if (report->loss.snapshots_skipped)
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN,
				"- Snapshots skipped to limit cost or file size: %" PRIu64 ".",
				report->loss.snapshots_skipped);
}

static void
print_coverage(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];

	vmt_text_sections_title(options, "Basis and blind spots");
	vmt_text_basis(report, options);
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++) {
		snprintf(text, sizeof(text), "- %s.", report->coverage.blind_spots[i]);
		vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
	}
}

void
vmt_text_report_print(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_report *shown = options->selection ? &options->selection->shown : report;

	assert(options->layout.columns >= 20);
	print_top(report, options);
	vmt_text_process(report, options);
	if (options->by != VMT_AGGREGATE_NONE) {
		vmt_text_aggregate(shown, options);
		return;
	}
	if (options->tree != VMT_TEXT_TREE_NONE) {
		vmt_text_tree(shown, options);
		return;
	}
	print_classes(report, options);
	vmt_text_kernel(shown, options);
	vmt_text_go(report, options);
	print_sites(shown, options);
	vmt_text_touch(report, options);
	vmt_text_retained(shown, options);
	vmt_text_blocks(shown, options);
	vmt_text_mappings(report, options);
	print_files(report, options);
	vmt_text_advice(shown, options);
	vmt_text_growth(shown, options);
	print_rss(report, options);
	vmt_text_cgroup(report, options);
	print_coverage(report, options);
}
