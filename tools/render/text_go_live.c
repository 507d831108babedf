#include "tools/render/frame_text.h"
#include "tools/render/go_cause.h"
#include "tools/render/sentence.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <inttypes.h>
#include <string.h>

#define CALLERS_MOST 3u
#define EXACT_FACTOR 1.125 /* the runtime's count has some more than its profile */

/* The line, and its callers until one is of the program's own package. */
static void
name_row(const struct vmt_stack_frames *stack, char *name, size_t name_bytes)
{
	struct vmt_sentence sentence = {name, name_bytes, 0};
	char frame[512];

	if (stack->count == 0) {
		vmt_sentence_say(&sentence, "a stack that the runtime did not keep");
		return;
	}
	vmt_sentence_say(&sentence, "%s",
			 vmt_frame_text_write(&stack->frames[0], frame, sizeof(frame)));
	for (size_t i = 1; i < stack->count && i <= CALLERS_MOST; i++) {
		const char *before = stack->frames[i - 1].function;
		const char *function = stack->frames[i].function;

		if (!function || (before && strncmp(before, "main.", 5) == 0))
			return;
		vmt_sentence_say(&sentence, " < %s", function);
	}
}

/* Each object is in the profile now: whether it always was shows in what the rows add up to. */
static bool
is_exact(const struct vmt_report *report)
{
	return report->go.profile_rate_bytes == 1 &&
	       vmt_go_cause_is_profiled_within(report, EXACT_FACTOR);
}

/* The rows stand for themselves. */
static bool
is_sampled_alone(const struct vmt_report *report)
{
	return report->go.profile_rate_bytes == 0 || report->go.is_unscaled;
}

static const char *
as_of(const struct vmt_report *report)
{
	const struct vmt_go_figures *figures = &report->go.figures;

	if (!report->go.is_uncollected)
		return "as of the last garbage collection or the one before";
	if (vmt_go_cause_has_pace(report) && figures->heap_marked_bytes == 0)
		return "before the first garbage collection";
	return "as of now, freed objects out as far as a collection found them";
}

static void
print_title(const struct vmt_report *report, const struct vmt_text_options *options)
{
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};
	char rate[VMT_UNITS_BYTES];

	vmt_sentence_say(&sentence, "Live objects by Go line, ");
	vmt_sentence_say(&sentence, "%s", as_of(report));
	if (report->go.profile_rate_bytes == 0)
		vmt_sentence_say(&sentence,
				 " (sampled objects alone: sampling is off now, what was allocated "
				 "since is not among them, and they are not scaled)");
	else if (report->go.is_unscaled)
		vmt_sentence_say(&sentence,
				 " (sampled objects alone, not scaled: Go samples one object in %s "
				 "now, and by that they would be more than the heap ever had)",
				 vmt_units_bytes(rate, report->go.profile_rate_bytes));
	else if (report->go.profile_rate_bytes == 1 && !is_exact(report))
		vmt_sentence_say(&sentence, " (about: an earlier rate is not known)");
	else if (report->go.profile_rate_bytes > 1)
		vmt_sentence_say(&sentence, " (about: Go samples one object in %s)",
				 vmt_units_bytes(rate, report->go.profile_rate_bytes));
	vmt_sentence_say(&sentence, ":");
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

/* What the rows can't be all of, or not at this rate. */
static void
print_distance(const struct vmt_report *report, const struct vmt_text_options *options)
{
	const struct vmt_go_figures *figures = &report->go.figures;
	char text[VMT_LAYOUT_LINE_BYTES];
	struct vmt_sentence sentence = {text, sizeof(text), 0};
	char bytes[VMT_UNITS_BYTES];

	if (is_sampled_alone(report) || figures->heap_marked_bytes == 0 ||
	    !vmt_go_cause_is_profiled_beyond(report, VMT_GO_CAUSE_FAR))
		return;
	vmt_sentence_say(&sentence, "These add up to %s, ",
			 vmt_units_bytes(bytes, vmt_go_cause_profiled_bytes(report)));
	vmt_sentence_say(&sentence,
			 "and %s was live at the last collection: runtime.MemProfileRate was "
			 "changed, or they are of the collection before, or incomplete.",
			 vmt_units_bytes(bytes, figures->heap_marked_bytes));
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN, text, 2);
}

void
vmt_text_go_live(const struct vmt_report *report, const struct vmt_text_options *options)
{
	size_t shown = report->go.live_count < options->top ? report->go.live_count : options->top;
	const char *about = is_exact(report) || is_sampled_alone(report) ? "" : "~";
	char name[1024];
	char bytes[VMT_UNITS_BYTES];

	if (report->go.live_count == 0)
		return;
	print_title(report, options);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "   %10s  %10s   %s", "objects", "bytes",
			"allocated in");
	for (size_t i = 0; i < shown; i++) {
		const struct vmt_go_live *row = &report->go.live[i];

		name_row(&row->stack, name, sizeof(name));
		vmt_layout_line(&options->layout, VMT_STYLE_PLAIN,
				"  %1s%10" PRIu64 " %1s%10s   %s", about, row->objects, about,
				vmt_units_bytes(bytes, row->bytes), name);
	}
	if (report->go.live_count > shown)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %zu more lines",
				report->go.live_count - shown);
	print_distance(report, options);
}

/* What is worth a table: else nearly all of each object is in RAM, and the rows above say so. */
#define UNTOUCHED_WORTH_SAYING_BYTES (UINT64_C(1) << 20)

static void
print_large(const struct vmt_text_options *options, const struct vmt_go_large *row,
	    const char *name)
{
	char texts[4][VMT_UNITS_BYTES];

	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "   %10s  %10s %10s %10s   %s",
			vmt_units_count(texts[0], row->objects),
			vmt_units_bytes(texts[1], row->reserved_bytes),
			vmt_units_bytes(texts[2], row->committed_bytes),
			vmt_units_bytes(texts[3], row->untouched_bytes), name);
}

static uint64_t
untouched_bytes(const struct vmt_report *report)
{
	uint64_t bytes = report->go.other_large.untouched_bytes;

	for (size_t i = 0; i < report->go.large_count; i++)
		bytes += report->go.large[i].untouched_bytes;
	return bytes;
}

void
vmt_text_go_large(const struct vmt_report *report, const struct vmt_text_options *options)
{
	size_t shown =
	    report->go.large_count < options->top ? report->go.large_count : options->top;
	char name[1024];

	if (report->go.large_count == 0 || untouched_bytes(report) < UNTOUCHED_WORTH_SAYING_BYTES)
		return;
	vmt_layout_wrap(&options->layout, VMT_STYLE_PLAIN,
			"Large objects (over 32 KiB) by Go line, live or not, and what of them has "
			"no page, in RAM or in swap: never written, or given back:",
			2);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, "   %10s  %10s %10s %10s   %s", "objects",
			"reserved", "resident", "no page", "allocated in");
	for (size_t i = 0; i < shown; i++) {
		name_row(&report->go.large[i].stack, name, sizeof(name));
		print_large(options, &report->go.large[i], name);
	}
	if (report->go.large_count > shown)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  %zu more lines",
				report->go.large_count - shown);
	if (report->go.other_large.objects)
		print_large(options, &report->go.other_large, "lines that are not known");
}
