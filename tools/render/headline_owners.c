#include "tools/render/headline_owners.h"

#include "format/chunk.h"
#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/rank.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A gap below this, or below this part of its site, is not worth a clause: every stack and arena
 * has one. */
#define GAP_WORTH_NAMING_BYTES (UINT64_C(1) << 20)
#define GAP_WORTH_NAMING_PART 100u
/* A second owner is named from this part of RSS on, and the largest site of a class from this part
 * of the class on. */
#define SECOND_PART 10u

/* A reading that is this old is called neither the present nor the end. */
#define OLD_READING_NS INT64_C(1000000000)

static const char *
reading_words(const struct vmt_report *report, bool is_passed)
{
	const struct vmt_rss_point *last = &report->rss[report->rss_count - 1];

	if (is_passed || vmt_report_end_ns(report) - last->time_ns > OLD_READING_NS)
		return "last read";
	return vmt_report_is_live(report) ? "now" : "last";
}

static void
say_moment(struct vmt_sentence *sentence, const struct vmt_report *report, bool is_passed)
{
	const struct vmt_rss_point *points = report->rss;
	int64_t time_ns = report->snapshot.time_ns;
	char figure[VMT_UNITS_BYTES];

	if (report->process.is_snapshot) {
		vmt_sentence_say(sentence, "Snapshot of process %" PRIu32 ": RSS %s",
				 report->process.pid,
				 vmt_units_bytes(figure, report->snapshot.rss_bytes));
		return;
	}
	vmt_sentence_say(sentence, "RSS %s", vmt_units_bytes(figure, report->snapshot.rss_bytes));
	vmt_sentence_say(sentence, " at %s",
			 vmt_units_duration(figure, time_ns > 0 ? (uint64_t)time_ns : 0));
	if (report->rss_count == 0)
		return;
	vmt_sentence_say(sentence, " (%s %s", reading_words(report, is_passed),
			 vmt_units_bytes(figure, points[report->rss_count - 1].rss_bytes));
	vmt_sentence_say(sentence, ", peak %s%s)",
			 vmt_units_bytes(figure, vmt_report_peak_bytes(report)),
			 report->peak.is_missed ? ", which no snapshot shows" : "");
}

static bool
is_class(const char *name, enum vmt_class_id id)
{
	return name && strcmp(name, vmt_classes_name(id)) == 0;
}

static bool
is_go(const char *name)
{
	for (int id = VMT_CLASS_GO_HEAP; id <= VMT_CLASS_GO_OTHER; id++)
		if (is_class(name, (enum vmt_class_id)id))
			return true;
	return false;
}

static bool
is_arena(const char *name)
{
	return is_class(name, VMT_CLASS_MALLOC_RETAINED) || is_class(name, VMT_CLASS_MALLOC);
}

static bool
is_of_files(const char *name)
{
	return is_class(name, VMT_CLASS_FILES) || is_class(name, VMT_CLASS_SHARED);
}

void
vmt_headline_say_site(struct vmt_sentence *sentence, const struct vmt_site *site)
{
	char name[512];

	if (site->stack.count == 0)
		vmt_sentence_say(sentence, "%s without a stack", site->kind);
	else
		vmt_sentence_say(sentence, "%s",
				 vmt_frame_text_owner(&site->stack, name, sizeof(name)));
}

/* They are in RAM and not in RSS: the rest of the sentence has nothing of them. */
static void
say_hugetlb(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_site *most = NULL;
	uint64_t bytes = 0;
	char figure[VMT_UNITS_BYTES];

	for (size_t i = 0; i < report->class_count; i++)
		bytes += report->classes[i].hugetlb_bytes;
	for (size_t i = 0; i < report->site_count; i++)
		if (!most || report->sites[i].hugetlb_bytes > most->hugetlb_bytes)
			most = &report->sites[i];
	if (!bytes)
		return;
	vmt_sentence_say(sentence, ", plus %s of huge pages (hugetlb)",
			 vmt_units_bytes(figure, bytes));
	if (most && most->hugetlb_bytes > bytes / 2) {
		vmt_sentence_say(sentence, most->hugetlb_bytes == bytes ? " by " : " mostly by ");
		vmt_headline_say_site(sentence, most);
	}
}

void
vmt_headline_say_rss(struct vmt_sentence *sentence, const struct vmt_report *report, bool is_passed)
{
	say_moment(sentence, report, is_passed);
	say_hugetlb(sentence, report);
}

static void
say_share(struct vmt_sentence *sentence, const struct vmt_report *report, uint64_t bytes)
{
	char share[VMT_UNITS_RATIO_BYTES];

	vmt_sentence_say(sentence, " (%s)",
			 vmt_units_ratio(share, bytes, report->snapshot.rss_bytes));
}

/* Of all sites (a class of NULL), or of those whose bytes lie in a class. */
static const struct vmt_site *
largest(const struct vmt_report *report, enum vmt_rank_by by, const char *class)
{
	const struct vmt_site *best = NULL;

	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];

		if (class && (!site->class || strcmp(site->class, class) != 0))
			continue;
		if (!best || vmt_rank_figure(site, by) > vmt_rank_figure(best, by))
			best = site;
	}
	return best && vmt_rank_figure(best, by) ? best : NULL;
}

/* What all memory is called that was mapped shared and anonymous. */
static bool
is_nameless(const char *path)
{
	return strcmp(path, "/dev/zero (deleted)") == 0;
}

/* The largest file, where it has a name and is more than half of the class. */
static const struct vmt_file_row *
main_file(const struct vmt_report *report, const struct vmt_class *class)
{
	const struct vmt_file_row *best = NULL;

	for (size_t i = 0; i < report->file_count; i++) {
		const struct vmt_file_row *file = &report->files[i];

		if (strcmp(file->class, class->name) == 0 &&
		    (!best || file->committed_bytes > best->committed_bytes))
			best = file;
	}
	return best && !is_nameless(best->path) &&
		       best->committed_bytes > class->committed_bytes / 2
		   ? best
		   : NULL;
}

static const char *
class_words(const struct vmt_report *report, const struct vmt_class *class)
{
	static const struct {
		enum vmt_class_id id;
		const char *words;
	} all[] = {
	    {VMT_CLASS_MMAP, "mapped by mmap"},
	    {VMT_CLASS_MALLOC_LIVE, "in live malloc blocks"},
	    {VMT_CLASS_MALLOC_RETAINED, "retained by the allocator (not in live blocks)"},
	    {VMT_CLASS_MALLOC, "held by the allocator, live or free"},
	    {VMT_CLASS_INHERITED, "inherited from the parent at fork"},
	    {VMT_CLASS_HEAP, "in [heap]"},
	    {VMT_CLASS_TRACER, "vmtrace's own"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (is_class(class->name, all[i].id))
			return all[i].words;
	/* The rest of the arenas, where what they are used for has classes of its own. */
	if (is_class(class->name, VMT_CLASS_GO_HEAP) && report->go.version && !report->go.uncut)
		return "Go heap of no known use";
	return class->name;
}

/* A site that has most of a class stands for it; else it is the largest part. */
static void
say_class_sites(struct vmt_sentence *sentence, const struct vmt_report *report,
		const struct vmt_class *class)
{
	const struct vmt_site *site = largest(report, VMT_RANK_COMMITTED, class->name);
	char figure[VMT_UNITS_BYTES];

	if (!site || is_go(class->name) || is_arena(class->name) ||
	    is_class(class->name, VMT_CLASS_INHERITED) || is_class(class->name, VMT_CLASS_TRACER))
		return;
	if (site->committed_bytes >= class->committed_bytes / 100 * 99) {
		vmt_sentence_say(sentence, ", by ");
		vmt_headline_say_site(sentence, site);
		return;
	}
	/* What no call made, as a program's own pages, is not explained by what one made there. */
	if (site->committed_bytes < class->committed_bytes / SECOND_PART)
		return;
	vmt_sentence_say(sentence, ", %s ",
			 site->committed_bytes > class->committed_bytes / 2 ? "mostly by"
									    : "the most by");
	vmt_headline_say_site(sentence, site);
	vmt_sentence_say(sentence, " (%s%s)", site->estimate ? "about " : "",
			 vmt_units_bytes(figure, site->committed_bytes));
}

static bool
is_estimate(const struct vmt_report *report, const struct vmt_class *class)
{
	return (strcmp(report->coverage.malloc_mode, "sampled") == 0 ||
		report->coverage.thinned_bytes > 0) &&
	       (is_class(class->name, VMT_CLASS_MALLOC_LIVE) ||
		is_class(class->name, VMT_CLASS_MALLOC_RETAINED) ||
		is_class(class->name, VMT_CLASS_INHERITED));
}

/* The site that most of the free memory lies below. */
static const struct vmt_site *
pinning(const struct vmt_report *report)
{
	const struct vmt_site *best = NULL;

	for (size_t i = 0; i < report->site_count; i++)
		if (!best || report->sites[i].pins_bytes > best->pins_bytes)
			best = &report->sites[i];
	return best;
}

/* What of the free memory malloc_trim gives back, and what live blocks keep. */
static void
say_trimmable(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t least = report->retained.free_page_least_bytes;
	uint64_t most = report->retained.free_page_most_bytes;
	const char *about = report->retained.estimate ? "about " : "";
	char figures[2][VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, ", of which %s%s", about,
			 vmt_units_bytes(figures[0], report->retained.free_page_bytes));
	vmt_units_bytes(figures[0], least);
	vmt_units_bytes(figures[1], most);
	if (strcmp(figures[0], figures[1]) != 0)
		vmt_sentence_say(sentence, " (%s to %s)", figures[0], figures[1]);
	vmt_sentence_say(
	    sentence,
	    " in free pages, which malloc_trim would give back, and %s%s in pages with live blocks",
	    about, vmt_units_bytes(figures[0], report->retained.pinned_bytes));
}

/* What is free, or the overhead of what is live, whichever is more. */
static void
say_retained(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	uint64_t free_bytes = report->retained.free_page_bytes + report->retained.pinned_bytes;
	const struct vmt_site *site = pinning(report);
	const char *about = report->retained.estimate ? "about " : "";
	char figure[VMT_UNITS_BYTES];

	if (report->retained.overhead_bytes > free_bytes) {
		vmt_sentence_say(sentence, "%s%s overhead of live malloc blocks", about,
				 vmt_units_bytes(figure, report->retained.overhead_bytes));
		say_share(sentence, report, report->retained.overhead_bytes);
		return;
	}
	vmt_sentence_say(sentence, "%s%s freed but kept by glibc", about,
			 vmt_units_bytes(figure, free_bytes));
	say_share(sentence, report, free_bytes);
	say_trimmable(sentence, report);
	if (site && site->pins_bytes > free_bytes / 2) {
		vmt_sentence_say(sentence, " (most of all that below or around blocks of ");
		vmt_headline_say_site(sentence, site);
		vmt_sentence_say(sentence, ")");
	}
}

static void
say_class(struct vmt_sentence *sentence, const struct vmt_report *report,
	  const struct vmt_class *class)
{
	const struct vmt_file_row *file =
	    is_of_files(class->name) ? main_file(report, class) : NULL;
	char figure[VMT_UNITS_BYTES];

	if (report->retained.is_split && is_class(class->name, VMT_CLASS_MALLOC_RETAINED)) {
		say_retained(sentence, report);
		return;
	}
	vmt_sentence_say(sentence, "%s%s %s", is_estimate(report, class) ? "about " : "",
			 vmt_units_bytes(figure, class->committed_bytes),
			 class_words(report, class));
	say_share(sentence, report, class->committed_bytes);
	if (file)
		vmt_sentence_say(sentence, ", mostly %s", file->path);
	else
		say_class_sites(sentence, report, class);
}

/* The class with most committed bytes, of those below `below`. */
static const struct vmt_class *
largest_class(const struct vmt_report *report, const struct vmt_class *but)
{
	const struct vmt_class *best = NULL;

	for (size_t i = 0; i < report->class_count; i++)
		if (&report->classes[i] != but &&
		    (!best || report->classes[i].committed_bytes > best->committed_bytes))
			best = &report->classes[i];
	return best && best->committed_bytes ? best : NULL;
}

/* Estimates of live blocks are off by the sampling error of three deviations. */
static uint64_t
error_bytes(const struct vmt_report *report, const struct vmt_site *site)
{
	double interval = (double)vmt_report_variance_bytes(report);

	return site->estimate ? (uint64_t)(3 * sqrt(interval * (double)site->reserved_bytes)) : 0;
}

/* Of so many bytes, what has no page. */
static uint64_t
absent_bytes(const struct vmt_site *site, uint64_t bytes)
{
	uint64_t there = site->committed_bytes + site->swapped_bytes + site->hugetlb_bytes;

	return bytes > there ? bytes - there : 0;
}

/* What an allocator or Go's runtime keeps in reserve, what threads have for their stacks where that
 * is not most of all that is reserved, and what a fork child's parent reserved. Of pages of files
 * and of shared memory it is not known: they may be in RAM without this process. */
static bool
is_no_news(const struct vmt_report *report, const struct vmt_site *site)
{
	return is_go(site->class) || is_arena(site->class) || is_of_files(site->class) ||
	       is_class(site->class, VMT_CLASS_INHERITED) ||
	       (is_class(site->class, VMT_CLASS_THREAD_STACKS) &&
		site->reserved_bytes <= report->snapshot.virtual_bytes / 2);
}

/* What can't be touched as it is (a reservation without access) is no gap. */
static uint64_t
gap_bytes(const struct vmt_report *report, const struct vmt_site *site)
{
	uint64_t gap = absent_bytes(site, site->accessible_bytes);

	if (is_no_news(report, site) || gap < GAP_WORTH_NAMING_BYTES ||
	    gap < site->reserved_bytes / GAP_WORTH_NAMING_PART || gap < error_bytes(report, site))
		return 0;
	return gap;
}

/* The part of a gap that surely never had a page: it is all but what may have had one. */
static uint64_t
never_touched_bytes(const struct vmt_site *site, uint64_t gap)
{
	uint64_t absent = absent_bytes(site, site->reserved_bytes);
	uint64_t touched =
	    absent > site->never_touched_bytes ? absent - site->never_touched_bytes : 0;

	return gap > touched ? gap - touched : 0;
}

/* Where rounding makes a part look like the whole, what is lacking is said. */
static void
say_part(struct vmt_sentence *sentence, uint64_t part, uint64_t all)
{
	char text[VMT_UNITS_BYTES];
	char whole[VMT_UNITS_BYTES];

	vmt_units_bytes(text, part);
	vmt_units_bytes(whole, all);
	if (part < all && strcmp(text, whole) == 0)
		vmt_sentence_say(sentence, "all but %s of %s", vmt_units_bytes(text, all - part),
				 whole);
	else
		vmt_sentence_say(sentence, "%s of %s", text, whole);
}

static void
say_gap(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_site *widest = NULL;
	uint64_t gap, never;

	for (size_t i = 0; i < report->site_count; i++)
		if (gap_bytes(report, &report->sites[i]) > (widest ? gap_bytes(report, widest) : 0))
			widest = &report->sites[i];
	if (!widest)
		return;
	gap = gap_bytes(report, widest);
	never = never_touched_bytes(widest, gap);
	if (never >= gap - gap / 100)
		gap = never;
	vmt_sentence_say(sentence, "; %s: ", gap == never ? "never touched" : "not in RAM");
	vmt_headline_say_site(sentence, widest);
	vmt_sentence_say(sentence, ", %s", widest->estimate ? "about " : "");
	say_part(sentence, gap, widest->accessible_bytes);
}

static void
say_all(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_class *first = largest_class(report, NULL);
	const struct vmt_class *second = largest_class(report, first);
	char figure[VMT_UNITS_BYTES];

	if (first) {
		vmt_sentence_say(sentence, ": ");
		say_class(sentence, report, first);
	}
	if (second && second->committed_bytes >= report->snapshot.rss_bytes / SECOND_PART) {
		vmt_sentence_say(sentence, "; then ");
		say_class(sentence, report, second);
	}
	vmt_sentence_say(sentence, "; %s reserved",
			 vmt_units_bytes(figure, report->snapshot.virtual_bytes));
	say_gap(sentence, report);
}

/* It names one frame: what bears the same name is taken together. */
void
vmt_headline_say_owners(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	struct vmt_report merged = *report;

	merged.sites = vmt_group_rows_merge(report, 0, &merged.site_count);
	say_all(sentence, merged.sites ? &merged : report);
	free(merged.sites);
}

void
vmt_headline_say_owner(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	struct vmt_report merged = *report;
	const struct vmt_class *first = largest_class(report, NULL);

	merged.sites = vmt_group_rows_merge(report, 0, &merged.site_count);
	if (first)
		say_class(sentence, merged.sites ? &merged : report, first);
	free(merged.sites);
}

void
vmt_headline_say_reserved(struct vmt_sentence *sentence, const struct vmt_report *report)
{
	const struct vmt_site *site = largest(report, VMT_RANK_RESERVED, NULL);
	char figure[VMT_UNITS_BYTES];

	if (!site)
		return;
	vmt_sentence_say(sentence, "; the most by ");
	vmt_headline_say_site(sentence, site);
	vmt_sentence_say(sentence, ", %s%s", site->estimate ? "about " : "",
			 vmt_units_bytes(figure, site->reserved_bytes));
}
