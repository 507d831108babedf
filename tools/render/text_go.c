#include "format/chunk.h"
#include "tools/render/go_cause.h"
#include "tools/render/go_sentences.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <string.h>

static void
malloc_share(const struct vmt_report *report, char *text, size_t text_bytes)
{
	uint64_t live_bytes = report->go.malloc_live_bytes;
	uint64_t retained_bytes = report->go.malloc_retained_bytes;
	char all[VMT_UNITS_BYTES];
	char live[VMT_UNITS_BYTES];
	char retained[VMT_UNITS_BYTES];
	char neither[VMT_UNITS_BYTES];

	vmt_units_bytes(neither, report->go.neither_bytes);
	if (!report->go.cgo) /* there is no malloc */
		snprintf(text, text_bytes, "%s is not Go's", neither);
	else if (report->go.malloc_unseen)
		snprintf(text, text_bytes, "what C malloc holds of the other %s was not recorded",
			 neither);
	else
		snprintf(text, text_bytes,
			 "C malloc holds %s (%s live, %s retained); %s is neither",
			 vmt_units_bytes(all, live_bytes + retained_bytes),
			 vmt_units_bytes(live, live_bytes),
			 vmt_units_bytes(retained, retained_bytes), neither);
}

struct said {
	void (*say)(struct vmt_sentence *sentence, const struct vmt_report *report);
	enum vmt_layout_style style;
};

static void
print_said(const struct vmt_report *report, const struct vmt_text_options *options,
	   const struct said *said)
{
	char text[VMT_LAYOUT_LINE_BYTES] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};

	said->say(&sentence, report);
	if (text[0])
		vmt_layout_wrap(&options->layout, said->style, text, 2);
}

void
vmt_text_go_shares(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	char rss[VMT_UNITS_BYTES];
	char go[VMT_UNITS_BYTES];
	char rest[128];

	if (!report->go.version || !report->snapshot.taken)
		return;
	if (report->go.unseen) {
		vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE,
				"Go's share of RSS is unknown: its runtime's calls were not "
				"recorded, and what they mapped is under unattributed.",
				2);
		return;
	}
	vmt_units_bytes(rss, report->snapshot.rss_bytes);
	vmt_units_bytes(go, report->go.go_bytes);
	malloc_share(report, rest, sizeof(rest));
	if (report->go.heap_alone)
		snprintf(text, sizeof(text),
			 "RSS is %s; the Go heap has %s of it. Other memory of Go's runtime is "
			 "under unattributed: its calls were not recorded.",
			 rss, go);
	else if (report->go.is_partial)
		snprintf(text, sizeof(text),
			 "RSS is %s; at least %s of it is Go's. Other memory of Go's runtime%s may "
			 "be part of \"anonymous memory\".",
			 rss, go,
			 report->process.is_attached ? ", from before the recording," : "");
	else
		snprintf(text, sizeof(text), "RSS is %s; Go accounts for %s of it; %s.", rss, go,
			 rest);
	vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE, text, 2);
	print_said(report, options, &(struct said){vmt_go_cause_say, VMT_STYLE_TITLE});
}

static void
add_class(struct vmt_class *all, const struct vmt_class *class)
{
	all->reserved_bytes += class->reserved_bytes;
	all->accessible_bytes += class->accessible_bytes;
	all->committed_bytes += class->committed_bytes;
}

/* The sum of classes [first, last]. False: it is not known what the runtime mapped. */
static bool
sum_classes(const struct vmt_report *report, enum vmt_class_id first, enum vmt_class_id last,
	    struct vmt_class *sum)
{
	bool found = false;

	*sum = (struct vmt_class){.name = NULL};
	for (size_t i = 0; i < report->class_count && !report->go.unseen; i++)
		for (int id = (int)first; id <= (int)last; id++)
			if (strcmp(report->classes[i].name,
				   vmt_classes_name((enum vmt_class_id)id)) == 0) {
				add_class(sum, &report->classes[i]);
				found = true;
			}
	return found || (!report->go.unseen && !report->go.is_partial && !report->go.heap_alone);
}

struct row {
	const char *name;
	uint64_t counted;
	enum vmt_class_id first;
	enum vmt_class_id last;
	enum vmt_layout_style style;
};

/* One row; counted = VMT_FIGURE_UNKNOWN and class = NULL leave their columns empty. */
static void
print_row(const struct vmt_text_options *options, enum vmt_layout_style style, const char *name,
	  uint64_t counted, const struct vmt_class *class)
{
	char texts[4][VMT_UNITS_BYTES] = {"", "", "", ""};

	if (counted != VMT_FIGURE_UNKNOWN)
		vmt_units_bytes(texts[0], counted);
	if (class) {
		vmt_units_bytes(texts[1], class->reserved_bytes);
		vmt_units_bytes(texts[2], class->accessible_bytes);
		vmt_units_bytes(texts[3], class->committed_bytes);
	}
	vmt_layout_line(&options->layout, style, "  %-22s %10s %10s %10s %10s", name, texts[0],
			texts[1], texts[2], texts[3]);
}

/* A row of classes [first, last]. */
static void
print_classes(const struct vmt_report *report, const struct vmt_text_options *options,
	      const struct row *row)
{
	struct vmt_class sum;
	bool known = sum_classes(report, row->first, row->last, &sum);

	print_row(options, row->style, row->name, row->counted, known ? &sum : NULL);
}

/* What the runtime counts, beside what its spans have. */
static void
print_heap(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	const uint64_t none = VMT_FIGURE_UNKNOWN;
	bool counted = !report->go.uncounted;
	uint64_t heap =
	    figures->heap_in_use_bytes + figures->heap_idle_bytes + figures->stacks_bytes;
	const struct row rows[] = {
	    {"Go heap", counted ? heap : none, VMT_CLASS_GO_HEAP, VMT_CLASS_GO_RELEASED,
	     VMT_STYLE_PLAIN},
	    {"  in use", counted ? figures->heap_in_use_bytes : none, VMT_CLASS_GO_LARGE,
	     VMT_CLASS_GO_FREE_SLOTS, VMT_STYLE_DIM},
	    {"    large objects", none, VMT_CLASS_GO_LARGE, VMT_CLASS_GO_LARGE, VMT_STYLE_DIM},
	    {"    small objects", none, VMT_CLASS_GO_SMALL, VMT_CLASS_GO_SMALL, VMT_STYLE_DIM},
	    {"    free slots", none, VMT_CLASS_GO_FREE_SLOTS, VMT_CLASS_GO_FREE_SLOTS,
	     VMT_STYLE_DIM},
	    {"  goroutine stacks", counted ? figures->stacks_bytes : none, VMT_CLASS_GO_STACKS,
	     VMT_CLASS_GO_STACKS, VMT_STYLE_DIM},
	    {"  idle", counted ? figures->heap_idle_bytes : none, VMT_CLASS_GO_FREE,
	     VMT_CLASS_GO_RELEASED, VMT_STYLE_DIM},
	    {"    of it released", counted ? figures->heap_released_bytes : none,
	     VMT_CLASS_GO_RELEASED, VMT_CLASS_GO_RELEASED, VMT_STYLE_DIM},
	};

	print_classes(report, options, &rows[0]);
	for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!report->go.uncut)
			print_classes(report, options, &rows[i]);
		else if (rows[i].counted != none)
			print_row(options, rows[i].style, rows[i].name, rows[i].counted, NULL);
	}
}

void
vmt_text_go_sentences(const struct vmt_report *report, const struct vmt_text_options *options)
{
	static const struct said all[] = {
	    {vmt_go_sentences_pace, VMT_STYLE_PLAIN},
	    {vmt_go_sentences_above, VMT_STYLE_PLAIN},
	    {vmt_go_sentences_give_back, VMT_STYLE_PLAIN},
	    {vmt_go_sentences_limit, VMT_STYLE_PLAIN},
	};

	if (!report->go.version)
		return;
	if (report->go.uncounted)
		vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, report->go.uncounted, 2);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		print_said(report, options, &all[i]);
}

/* How the total went: the runtime's own curve, in figures of three instants. */
static void
print_over_time(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_go_point *points = report->go.points;
	size_t count = report->go.point_count;
	size_t peak = 0;
	char texts[5][VMT_UNITS_BYTES];

	if (count < 2)
		return;
	for (size_t i = 1; i < count; i++)
		if (points[i].figures.heap_in_use_bytes > points[peak].figures.heap_in_use_bytes)
			peak = i;
	vmt_layout_line(&options->layout, VMT_STYLE_DIM,
			"  heap in use over time: first %s, peak %s at %s, last %s (released %s)",
			vmt_units_bytes(texts[0], points[0].figures.heap_in_use_bytes),
			vmt_units_bytes(texts[1], points[peak].figures.heap_in_use_bytes),
			vmt_units_duration(texts[2], points[peak].time_ns > 0
							 ? (uint64_t)points[peak].time_ns
							 : 0),
			vmt_units_bytes(texts[3], points[count - 1].figures.heap_in_use_bytes),
			vmt_units_bytes(texts[4], points[count - 1].figures.heap_released_bytes));
}

void
vmt_text_go(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const uint64_t none = VMT_FIGURE_UNKNOWN;
	bool counted = !report->go.uncounted;
	bool whole = !report->go.unseen && !report->go.is_partial && !report->go.heap_alone;
	struct vmt_class all;
	char text[128];

	if (!report->go.version)
		return;
	snprintf(text, sizeof(text), "The Go runtime (%s%s%s)", report->go.version,
		 report->go.cgo ? ", cgo" : "", report->go.stripped ? ", stripped" : "");
	vmt_text_sections_title(options, text);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %-22s %10s %10s %10s %10s", "",
			"Go counts", "reserved", "accessible", "resident");
	print_heap(report, options);
	print_classes(report, options,
		      &(struct row){"Go metadata",
				    counted ? report->go.figures.metadata_bytes : none,
				    VMT_CLASS_GO_METADATA, VMT_CLASS_GO_METADATA, VMT_STYLE_PLAIN});
	if (whole)
		print_classes(report, options,
			      &(struct row){"Go other", none, VMT_CLASS_GO_OTHER,
					    VMT_CLASS_GO_OTHER, VMT_STYLE_PLAIN});
	(void)sum_classes(report, VMT_CLASS_GO_HEAP, VMT_CLASS_GO_OTHER, &all);
	print_row(options, VMT_STYLE_TITLE, "total",
		  counted ? report->go.figures.total_bytes : none, whole ? &all : NULL);
	if (report->go.is_partial && !report->go.unseen)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"  What of the metadata was not recognized is in \"anonymous "
				"memory\", not here.");
	vmt_text_go_sentences(report, options);
	print_over_time(report, options);
	vmt_text_go_stacks(report, options);
	vmt_text_go_live(report, options);
	vmt_text_go_large(report, options);
}
