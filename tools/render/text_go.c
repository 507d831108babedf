#include "format/chunk.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <string.h>

/* Names of classes, as the model has them. */
#define HEAP "Go heap"
#define METADATA "Go metadata"
#define STACKS "Go stacks"
#define OTHER "Go other"

/* No call of the runtime's was recorded: what of its memory is anonymous is not told apart. */
static bool
is_seen_from_outside(const struct vmt_report *report)
{
	return report->process.is_snapshot || report->process.is_watched;
}

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
	if (is_seen_from_outside(report))
		snprintf(
		    text, sizeof(text),
		    "RSS is %s; the Go heap has %s of it. Other memory of Go's runtime is part "
		    "of the anonymous memory.",
		    rss, go);
	else
		snprintf(text, sizeof(text), "RSS is %s; Go accounts for %s of it; %s.", rss, go,
			 rest);
	vmt_layout_wrap(&options->layout, VMT_STYLE_TITLE, text, 2);
}

/* NULL where it is not known what the runtime mapped. */
static const struct vmt_class *
find_class(const struct vmt_report *report, const char *name)
{
	static const struct vmt_class none;

	if (report->go.unseen)
		return NULL;
	for (size_t i = 0; i < report->class_count; i++)
		if (strcmp(report->classes[i].name, name) == 0)
			return &report->classes[i];
	return is_seen_from_outside(report) ? NULL : &none;
}

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

/* Arenas hold objects, goroutines' stacks and what is free; the runtime counts each. */
static void
print_heap(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	bool known = !report->go.uncounted;
	uint64_t heap =
	    figures->heap_in_use_bytes + figures->heap_idle_bytes + figures->stacks_bytes;

	print_row(options, VMT_STYLE_PLAIN, HEAP, known ? heap : VMT_FIGURE_UNKNOWN,
		  find_class(report, HEAP));
	if (!known)
		return;
	print_row(options, VMT_STYLE_DIM, "  in use", figures->heap_in_use_bytes, NULL);
	print_row(options, VMT_STYLE_DIM, "  goroutine stacks", figures->stacks_bytes, NULL);
	print_row(options, VMT_STYLE_DIM, "  idle", figures->heap_idle_bytes, NULL);
	print_row(options, VMT_STYLE_DIM, "    of it released", figures->heap_released_bytes, NULL);
}

static void
print_limit(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char limit[VMT_UNITS_BYTES];

	if (report->go.uncounted)
		vmt_layout_wrap(&options->layout, VMT_STYLE_DIM, report->go.uncounted, 2);
	else if (report->go.figures.memory_limit_bytes != VMT_FIGURE_UNKNOWN)
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "  memory limit (GOMEMLIMIT) %s",
				vmt_units_bytes(limit, report->go.figures.memory_limit_bytes));
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

static void
add_class(struct vmt_class *all, const struct vmt_class *class)
{
	if (!class)
		return;
	all->reserved_bytes += class->reserved_bytes;
	all->accessible_bytes += class->accessible_bytes;
	all->committed_bytes += class->committed_bytes;
}

void
vmt_text_go(const struct vmt_report *report, const struct vmt_text_options *options)
{
	static const char *const names[] = {HEAP, METADATA, STACKS, OTHER};
	struct vmt_class all = {.name = "total"};
	bool known = !report->go.uncounted;
	char text[128];

	if (!report->go.version)
		return;
	snprintf(text, sizeof(text), "The Go runtime (%s%s%s)", report->go.version,
		 report->go.cgo ? ", cgo" : "", report->go.stripped ? ", stripped" : "");
	vmt_text_sections_title(options, text);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		add_class(&all, find_class(report, names[i]));
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %-22s %10s %10s %10s %10s", "",
			"Go counts", "reserved", "accessible", "resident");
	print_heap(report, options);
	print_row(options, VMT_STYLE_PLAIN, METADATA,
		  known ? report->go.figures.metadata_bytes : VMT_FIGURE_UNKNOWN,
		  find_class(report, METADATA));
	if (!report->go.unseen && !is_seen_from_outside(report)) {
		print_row(options, VMT_STYLE_PLAIN, STACKS, VMT_FIGURE_UNKNOWN,
			  find_class(report, STACKS));
		print_row(options, VMT_STYLE_PLAIN, OTHER, VMT_FIGURE_UNKNOWN,
			  find_class(report, OTHER));
	}
	print_row(options, VMT_STYLE_TITLE, "total",
		  known ? report->go.figures.total_bytes : VMT_FIGURE_UNKNOWN,
		  report->go.unseen || is_seen_from_outside(report) ? NULL : &all);
	print_limit(report, options);
	print_over_time(report, options);
}
