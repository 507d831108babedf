#include "tools/model/report/report_draft.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_ROW SIZE_MAX

/* Bytes that a row committed of what a site, or a class without one, has. */
struct part {
	size_t row;
	size_t site; /* of the report; NO_ROW: no call is known */
	uint64_t bytes;
	double samples;
	uint8_t class;
	bool estimate;
	bool sampled;
};

/* Rows under construction. */
struct build {
	struct vmt_report_draft *draft;
	struct vmt_committer *rows;
	size_t count;
	size_t *of_toucher; /* row by index of the replay's touch_sites */
	size_t *of_site;    /* row of what no sample explains, by site of the report */
	size_t of_class[VMT_CLASSES];
	struct part *parts;
	size_t part_count;
};

/* A toucher and its frames. */
struct named {
	uint32_t toucher;
	struct vmt_stack_frames stack;
};

static int
compare_texts(const char *left, const char *right)
{
	return left == right ? 0 : strcmp(left ? left : "", right ? right : "");
}

static int
compare_numbers(uint64_t left, uint64_t right)
{
	return (left > right) - (left < right);
}

/* Of the innermost function each instruction may have touched; callers are told by their calls. */
static int
compare_frames(const struct vmt_frame *a, const struct vmt_frame *b, bool innermost)
{
	int order = compare_texts(a->function, b->function);

	if (!order)
		order = compare_texts(a->module, b->module);
	if (!order && (!innermost || !a->function))
		order = compare_numbers(a->module ? a->module_offset : a->address,
					b->module ? b->module_offset : b->address);
	return order;
}

static int
compare_named(const void *left, const void *right)
{
	const struct vmt_stack_frames *a = &((const struct named *)left)->stack;
	const struct vmt_stack_frames *b = &((const struct named *)right)->stack;
	size_t count = a->count < b->count ? a->count : b->count;
	bool innermost = true;

	for (size_t i = 0; i < count; i++) {
		int order = compare_frames(&a->frames[i], &b->frames[i], innermost);

		if (order)
			return order;
		innermost &= a->frames[i].inlined;
	}
	return compare_numbers(a->count, b->count);
}

static struct vmt_frames *
make_frames(struct vmt_report_draft *draft)
{
	const struct vmt_frames_input input = {
	    .trace = draft->trace,
	    .history = draft->replay->history,
	    .sites = draft->replay->touch_sites,
	    .stacks = {vmt_report_touch_stack, draft->trace},
	    .first_is_exact = true,
	    .strings = draft->strings,
	    .symbols = draft->options->symbols ? draft->names : NULL,
	    .compiled = draft->options->symbols ? draft->compiled : NULL,
	};

	return vmt_frames_new(&input);
}

/* The touchers' frames, in an order in which those that look alike follow one another. */
static int
name_touchers(const struct build *build, struct named *named, uint32_t count)
{
	struct vmt_frames *frames = make_frames(build->draft);
	int status = frames ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < count && !status; i++) {
		named[i].toucher = i;
		vmt_report_draft_tell(build->draft, "naming who touched memory", i, count);
		status = vmt_frames_of_site(
		    frames, vmt_sites_get(build->draft->replay->touch_sites, i), &named[i].stack);
	}
	vmt_frames_free(frames);
	if (!status && count)
		qsort(named, count, sizeof(*named), compare_named);
	return status;
}

static void
add_toucher(struct vmt_committer *row, const struct vmt_site_entry *entry)
{
	row->samples += vmt_sites_figure(entry, VMT_FIGURE_COUNT);
	row->unshared_bytes += vmt_sites_figure(entry, VMT_FIGURE_UNSHARED);
	row->unshared_is_estimate |= entry->estimated;
	row->unshared_is_least |= entry->least;
}

/* A row for all that touched from one place in the code. The rows take the frames over. */
static int
add_touchers(struct build *build)
{
	struct vmt_sites *sites = build->draft->replay->touch_sites;
	const struct vmt_touch_stacks *stacks = vmt_trace_touch_stacks(build->draft->trace);
	uint32_t count = vmt_sites_count(sites);
	struct named *named = calloc((size_t)count + 1, sizeof(*named));
	int status = named ? name_touchers(build, named, count) : -ENOMEM;

	for (uint32_t i = 0; i < count && !status; i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(sites, named[i].toucher);

		if (i == 0 || compare_named(&named[i - 1], &named[i]) != 0)
			build->rows[build->count++] = (struct vmt_committer){
			    .evidence = VMT_EVIDENCE_SAMPLES,
			    .stack = named[i].stack,
			    .stack_end = vmt_touch_stacks_end_name(
				vmt_touch_stacks_end(stacks, entry->key.stack)),
			};
		add_toucher(&build->rows[build->count - 1], entry);
		build->of_toucher[named[i].toucher] = build->count - 1;
	}
	for (uint32_t i = 0; named && i < count; i++)
		if (status || build->rows[build->of_toucher[named[i].toucher]].stack.frames !=
				  named[i].stack.frames)
			free(named[i].stack.frames);
	free(named);
	return status;
}

/* The row of what no sample explains: of a site, or of a class where no call is known. */
static int
unsampled_row(struct build *build, const struct part *part, size_t *row)
{
	const struct vmt_report *report = &build->draft->report;
	size_t *known =
	    part->site == NO_ROW ? &build->of_class[part->class] : &build->of_site[part->site];
	struct vmt_committer *made = &build->rows[build->count];

	*row = *known;
	if (*known != NO_ROW)
		return 0;
	*made = (struct vmt_committer){.evidence = part->site == NO_ROW ? VMT_EVIDENCE_NONE
									: VMT_EVIDENCE_RESERVATION};
	if (part->site != NO_ROW && report->sites[part->site].stack.count) {
		const struct vmt_stack_frames *stack = &report->sites[part->site].stack;

		made->stack.frames = calloc(stack->count, sizeof(*stack->frames));
		if (!made->stack.frames)
			return -ENOMEM;
		memcpy(made->stack.frames, stack->frames, stack->count * sizeof(*stack->frames));
		made->stack.count = stack->count;
	}
	*row = *known = build->count++;
	return 0;
}

/* Then a page without a sample may have had one. */
static bool
has_losses(const struct vmt_report_draft *draft)
{
	const struct vmt_report *report = &draft->report;

	return report->touch.samples_lost > 0 || report->touch.samples_skipped > 0 ||
	       report->touch.pauses > 0 || vmt_touchers_left_out(draft->replay->touchers) > 0;
}

static int
add_cell(struct build *build, const struct vmt_committed_cell *cell)
{
	struct vmt_report_draft *draft = build->draft;
	struct part part = {.site = NO_ROW,
			    .bytes = cell->bytes,
			    .samples = cell->samples,
			    .class = cell->class,
			    .estimate = cell->estimate || has_losses(draft),
			    .sampled = cell->toucher != VMT_SITE_NONE};
	int status = 0;

	if (cell->site != VMT_SITE_NONE)
		part.site =
		    draft->site_rows[vmt_sites_merged_into(draft->replay->sites, cell->site)];
	if (part.sampled)
		part.row = build->of_toucher[cell->toucher];
	else
		status = unsampled_row(build, &part, &part.row);
	if (status)
		return status;
	build->rows[part.row].committed_bytes += part.bytes;
	build->rows[part.row].samples_now += part.samples;
	build->rows[part.row].estimate |= part.estimate;
	build->parts[build->part_count++] = part;
	return 0;
}

static int
compare_rows(const void *left, const void *right)
{
	const struct vmt_committer *a = left;
	const struct vmt_committer *b = right;

	if (a->committed_bytes != b->committed_bytes)
		return a->committed_bytes < b->committed_bytes ? 1 : -1;
	if (a->unshared_bytes != b->unshared_bytes)
		return a->unshared_bytes < b->unshared_bytes ? 1 : -1;
	return compare_numbers(a->number, b->number);
}

/* Puts the rows in order, largest first, and the parts' numbers of rows with them. */
static int
sort_rows(struct build *build)
{
	size_t *now = calloc(build->count + 1, sizeof(*now));

	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < build->count; i++)
		build->rows[i].number = i;
	qsort(build->rows, build->count, sizeof(*build->rows), compare_rows);
	for (size_t i = 0; i < build->count; i++)
		now[build->rows[i].number] = i;
	for (size_t i = 0; i < build->part_count; i++)
		build->parts[i].row = now[build->parts[i].row];
	free(now);
	return 0;
}

static int
compare_by_row(const void *left, const void *right)
{
	const struct part *a = left;
	const struct part *b = right;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	return compare_numbers(a->site, b->site);
}

static int
compare_by_site(const void *left, const void *right)
{
	const struct part *a = left;
	const struct part *b = right;

	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	return compare_numbers(a->row, b->row);
}

static int
compare_reserved(const void *left, const void *right)
{
	const struct vmt_reserved_part *a = left;
	const struct vmt_reserved_part *b = right;

	return compare_numbers(b->bytes, a->bytes);
}

static int
compare_touched(const void *left, const void *right)
{
	const struct vmt_touched_part *a = left;
	const struct vmt_touched_part *b = right;

	return compare_numbers(b->bytes, a->bytes);
}

/* Each row's reserved_by; parts of one class and site are one. */
static int
fill_reserved(struct build *build)
{
	struct vmt_report *report = &build->draft->report;
	size_t used = 0;

	report->reserved_parts = calloc(build->part_count + 1, sizeof(*report->reserved_parts));
	if (!report->reserved_parts)
		return -ENOMEM;
	qsort(build->parts, build->part_count, sizeof(*build->parts), compare_by_row);
	for (size_t i = 0; i < build->part_count; i++) {
		const struct part *part = &build->parts[i];
		struct vmt_committer *row = &build->rows[part->row];

		if (i > 0 && compare_by_row(part - 1, part) == 0) {
			report->reserved_parts[used - 1].bytes += part->bytes;
			report->reserved_parts[used - 1].estimate |= part->estimate;
			continue;
		}
		if (row->reserved_by_count++ == 0)
			row->reserved_by = &report->reserved_parts[used];
		report->reserved_parts[used++] = (struct vmt_reserved_part){
		    .class = vmt_classes_name((enum vmt_class_id)part->class),
		    .site = part->site,
		    .bytes = part->bytes,
		    .estimate = part->estimate,
		};
	}
	for (size_t i = 0; i < build->count; i++)
		if (build->rows[i].reserved_by_count)
			qsort(build->rows[i].reserved_by, build->rows[i].reserved_by_count,
			      sizeof(*build->rows[i].reserved_by), compare_reserved);
	return 0;
}

/* A site's committed bytes may be an estimate of their own: its touchers share in it as they do in
 * its parts. */
static void
fit_site(struct vmt_site *site, uint64_t parts_bytes)
{
	double passed = 0;
	uint64_t given = 0;

	for (size_t i = 0; i < site->touched_by_count; i++) {
		struct vmt_touched_part *part = &site->touched_by[i];
		uint64_t upto;

		passed += (double)part->bytes;
		upto = (uint64_t)llround((double)site->committed_bytes *
					 (passed / (double)parts_bytes));
		part->bytes = upto - given;
		given = upto;
	}
	site->unsampled_bytes = site->committed_bytes - given;
	if (site->touched_by_count)
		qsort(site->touched_by, site->touched_by_count, sizeof(*site->touched_by),
		      compare_touched);
}

/* The parts [first, end) are those of one site. */
static size_t
fill_site(struct build *build, size_t first, size_t end, size_t used)
{
	struct vmt_report *report = &build->draft->report;
	struct vmt_site *site = &report->sites[build->parts[first].site];
	uint64_t bytes = 0;

	site->touched_by = &report->touched_parts[used];
	for (size_t i = first; i < end; i++) {
		const struct part *part = &build->parts[i];

		bytes += part->bytes;
		if (!part->sampled)
			continue;
		if (site->touched_by_count && report->touched_parts[used - 1].row == part->row) {
			report->touched_parts[used - 1].bytes += part->bytes;
			report->touched_parts[used - 1].samples += part->samples;
			report->touched_parts[used - 1].estimate |= part->estimate;
			continue;
		}
		site->touched_by_count++;
		report->touched_parts[used++] = (struct vmt_touched_part){
		    .row = part->row,
		    .bytes = part->bytes,
		    .samples = part->samples,
		    .estimate = part->estimate,
		};
	}
	fit_site(site, bytes);
	return used;
}

/* Each site's touched_by. */
static int
fill_touched(struct build *build)
{
	struct vmt_report *report = &build->draft->report;
	size_t first = 0;
	size_t used = 0;

	report->touched_parts = calloc(build->part_count + 1, sizeof(*report->touched_parts));
	if (!report->touched_parts)
		return -ENOMEM;
	qsort(build->parts, build->part_count, sizeof(*build->parts), compare_by_site);
	while (first < build->part_count && build->parts[first].site != NO_ROW) {
		size_t end = first;

		while (end < build->part_count &&
		       build->parts[end].site == build->parts[first].site)
			end++;
		used = fill_site(build, first, end, used);
		first = end;
	}
	return 0;
}

static int
fill_rows(struct build *build)
{
	const struct vmt_committers *committers = &build->draft->attribution.committers;
	int status = add_touchers(build);

	for (size_t i = 0; i < committers->count && !status; i++)
		status = add_cell(build, &committers->cells[i]);
	if (!status)
		status = sort_rows(build);
	if (!status)
		status = fill_reserved(build);
	return status ? status : fill_touched(build);
}

int
vmt_report_committers_fill(struct vmt_report_draft *draft)
{
	const struct vmt_committers *committers = &draft->attribution.committers;
	struct vmt_report *report = &draft->report;
	size_t touchers = vmt_sites_count(draft->replay->touch_sites);
	struct build build = {.draft = draft};
	int status = -ENOMEM;

	if (committers->count == 0)
		return 0;
	build.rows = calloc(touchers + report->site_count + VMT_CLASSES + 1, sizeof(*build.rows));
	build.of_toucher = calloc(touchers + 1, sizeof(*build.of_toucher));
	build.of_site = malloc((report->site_count + 1) * sizeof(*build.of_site));
	build.parts = calloc(committers->count, sizeof(*build.parts));
	for (size_t i = 0; build.of_site && i < report->site_count; i++)
		build.of_site[i] = NO_ROW;
	for (size_t i = 0; i < VMT_CLASSES; i++)
		build.of_class[i] = NO_ROW;
	if (build.rows && build.of_toucher && build.of_site && build.parts)
		status = fill_rows(&build);
	report->committers = build.rows;
	report->committer_count = build.count;
	free(build.of_toucher);
	free(build.of_site);
	free(build.parts);
	return status;
}

void
vmt_report_committers_free(struct vmt_report *report)
{
	for (size_t i = 0; i < report->committer_count; i++)
		free(report->committers[i].stack.frames);
	free(report->committers);
	free(report->reserved_parts);
	free(report->touched_parts);
}
