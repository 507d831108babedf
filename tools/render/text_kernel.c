#include "format/chunk.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdio.h>

#define LOCKS_SHOWN 3u
/* Below what the kernel's figures are called. */
#define LOCK_INDENT "            "

static bool
is_some(uint64_t bytes)
{
	return bytes != VMT_FIGURE_UNKNOWN && bytes != 0;
}

static void
print_line(const struct vmt_text_options *options, uint64_t bytes, const char *what)
{
	char figure[VMT_UNITS_BYTES];
	char text[256];

	snprintf(text, sizeof(text), "  %10s  %s", vmt_units_bytes(figure, bytes), what);
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 14);
}

static void
print_some(const struct vmt_text_options *options, uint64_t bytes, const char *what)
{
	if (is_some(bytes))
		print_line(options, bytes, what);
}

/* By the pages of the snapshot, else the sum that smaps_rollup gives, where it was read. */
static void
print_sharing(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_kernel_figures *kernel = &report->snapshot.kernel;
	bool by_pages = report->snapshot.shared_bytes != VMT_FIGURE_UNKNOWN;
	uint64_t shared = by_pages ? report->snapshot.shared_bytes : kernel->shared_bytes;
	uint64_t private = by_pages ? report->snapshot.rss_bytes - shared : kernel->private_bytes;

	if (shared == VMT_FIGURE_UNKNOWN || private == VMT_FIGURE_UNKNOWN)
		return;
	print_line(options, private, "of RSS mapped only once (private)");
	print_line(options, shared,
		   "of RSS mapped more than once, by this or other processes (shared)");
	if (kernel->proportional_bytes != VMT_FIGURE_UNKNOWN)
		print_line(options, kernel->proportional_bytes,
			   "proportional share: shared pages divided by their mappings (Pss)");
}

/* Who locked it, over the whole run. */
static void
print_locks(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char calls[VMT_UNITS_BYTES];
	char by[128];

	for (size_t i = 0; i < report->lock_count && i < LOCKS_SHOWN; i++) {
		const struct vmt_lock *lock = &report->locks[i];

		if (lock->calls == 1)
			snprintf(by, sizeof(by), "by %s", lock->call);
		else
			snprintf(by, sizeof(by), "by %s calls of %s",
				 vmt_units_count(calls, lock->calls), lock->call);
		vmt_text_sections_named(options, LOCK_INDENT, by, &lock->stack);
	}
	if (report->lock_count > LOCKS_SHOWN)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				LOCK_INDENT "  and at %s more call sites",
				vmt_units_count(calls, report->lock_count - LOCKS_SHOWN));
}

void
vmt_text_kernel(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_kernel_figures *kernel = &report->snapshot.kernel;

	if (!report->snapshot.taken || kernel->anonymous_bytes == VMT_FIGURE_UNKNOWN ||
	    kernel->file_bytes == VMT_FIGURE_UNKNOWN ||
	    kernel->shared_memory_bytes == VMT_FIGURE_UNKNOWN)
		return;
	vmt_text_sections_title(options, "What the kernel counts");
	print_line(options, kernel->anonymous_bytes,
		   "anonymous memory, including private copies of file pages (RssAnon)");
	print_line(options, kernel->file_bytes, "pages of files (RssFile)");
	print_line(options, kernel->shared_memory_bytes,
		   "shared memory: tmpfs, memfd, System V (RssShmem)");
	print_sharing(report, options);
	print_some(options, report->snapshot.huge_bytes, "of RSS in huge pages (THP)");
	print_some(options, kernel->page_table_bytes,
		   "page tables: not in RSS, counted by the cgroup (VmPTE)");
	print_some(options, kernel->locked_bytes, "address space locked in RAM (VmLck)");
	if (is_some(kernel->locked_bytes))
		print_locks(report, options);
	print_some(options, kernel->hugetlb_bytes,
		   "huge pages of hugetlbfs: not in RSS (HugetlbPages)");
}

void
vmt_text_gap(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_kernel_rss *rss = &report->snapshot.kernel_rss;
	uint64_t scanned = report->snapshot.rss_bytes;
	char figures[3][VMT_UNITS_BYTES];
	char text[256];

	if (!report->snapshot.taken || rss->gap_bytes == 0)
		return;
	if (rss->gap_bytes == VMT_FIGURE_UNKNOWN)
		snprintf(text, sizeof(text),
			 "  not checked against the kernel's own RSS, which is unknown");
	else if (rss->least_bytes == rss->most_bytes)
		snprintf(
		    text, sizeof(text),
		    "  the kernel's own RSS is %s: it differs by %s, more than its counters lag",
		    vmt_units_bytes(figures[0], rss->least_bytes),
		    vmt_units_bytes(figures[1], rss->gap_bytes));
	else if (scanned >= rss->least_bytes && scanned <= rss->most_bytes)
		snprintf(text, sizeof(text),
			 "  the kernel's own RSS was between %s and %s while the pages were read",
			 vmt_units_bytes(figures[0], rss->least_bytes),
			 vmt_units_bytes(figures[1], rss->most_bytes));
	else
		snprintf(text, sizeof(text),
			 "  the kernel's own RSS was between %s and %s while the pages were read: "
			 "it differs by %s, more than its counters lag",
			 vmt_units_bytes(figures[0], rss->least_bytes),
			 vmt_units_bytes(figures[1], rss->most_bytes),
			 vmt_units_bytes(figures[2], rss->gap_bytes));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 4);
}
