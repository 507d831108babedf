#include "tools/render/selection.h"

#include "tools/render/rank.h"
#include "tools/render/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool
vmt_selection_is_partial(const struct vmt_selection_patterns *patterns)
{
	return patterns && (patterns->focus || patterns->ignore || patterns->match);
}

/* What a row of text has: its call, its class, and the frames that it shows. */
static bool
matches_row(const struct vmt_selection_patterns *patterns, const struct vmt_stack_frames *stack,
	    const char *kind, const char *class)
{
	struct vmt_rank_walk walk;
	const struct vmt_frame *frame;

	if ((kind && vmt_name_pattern_matches(patterns->match, kind)) ||
	    (class && vmt_name_pattern_matches(patterns->match, class)))
		return true;
	vmt_rank_walk_begin(&walk, stack, patterns->callers);
	while ((frame = vmt_rank_walk_next(&walk)) != NULL)
		if (vmt_name_pattern_in_frame(patterns->match, frame))
			return true;
	return false;
}

bool
vmt_selection_takes(const struct vmt_selection_patterns *patterns,
		    const struct vmt_stack_frames *stack, const char *kind, const char *class)
{
	if (patterns->focus && !vmt_name_pattern_in_stack(patterns->focus, stack))
		return false;
	if (patterns->ignore && vmt_name_pattern_in_stack(patterns->ignore, stack))
		return false;
	return !patterns->match || matches_row(patterns, stack, kind, class);
}

static void
hide_frames(struct vmt_name_pattern *pattern, struct vmt_stack_frames *stack)
{
	static char hidden[] = "(all frames are hidden)";
	size_t left = 0;

	for (size_t i = 0; i < stack->count; i++)
		if (!vmt_name_pattern_in_frame(pattern, &stack->frames[i]))
			stack->frames[left++] = stack->frames[i];
	if (left == 0 && stack->count)
		stack->frames[left++] = (struct vmt_frame){.function = hidden};
	stack->count = left;
}

void
vmt_selection_hide(const struct vmt_selection_patterns *patterns, struct vmt_report *report)
{
	if (!patterns || !patterns->hide)
		return;
	for (size_t i = 0; i < report->site_count; i++)
		hide_frames(patterns->hide, &report->sites[i].stack);
	for (size_t i = 0; i < report->advice_count; i++)
		hide_frames(patterns->hide, &report->advice[i].stack);
	for (size_t i = 0; i < report->lock_count; i++)
		hide_frames(patterns->hide, &report->locks[i].stack);
	for (size_t i = 0; i < report->committer_count; i++)
		hide_frames(patterns->hide, &report->committers[i].stack);
}

static void
add(struct vmt_selection_sum *sum, const struct vmt_site *site)
{
	sum->sites++;
	sum->committed_bytes += site->committed_bytes;
	sum->reserved_bytes += site->reserved_bytes;
	sum->estimate |= site->estimate;
}

static void
select_sites(struct vmt_selection *selection, const struct vmt_report *report)
{
	struct vmt_report *shown = &selection->shown;

	shown->site_count = 0;
	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];

		add(&selection->all, site);
		if (!vmt_selection_takes(selection->patterns, &site->stack, site->kind,
					 site->class))
			continue;
		add(&selection->part, site);
		shown->sites[shown->site_count++] = *site;
	}
}

static void
select_others(struct vmt_selection *selection, const struct vmt_report *report)
{
	struct vmt_report *shown = &selection->shown;

	shown->advice_count = 0;
	for (size_t i = 0; i < report->advice_count; i++)
		if (vmt_selection_takes(selection->patterns, &report->advice[i].stack,
					report->advice[i].advice, report->advice[i].cause))
			shown->advice[shown->advice_count++] = report->advice[i];
	shown->lock_count = 0;
	for (size_t i = 0; i < report->lock_count; i++)
		if (vmt_selection_takes(selection->patterns, &report->locks[i].stack,
					report->locks[i].call, NULL))
			shown->locks[shown->lock_count++] = report->locks[i];
}

int
vmt_selection_make(struct vmt_selection *selection, const struct vmt_selection_patterns *patterns,
		   const struct vmt_report *report)
{
	struct vmt_report *shown = &selection->shown;

	*selection = (struct vmt_selection){.patterns = patterns, .shown = *report};
	shown->sites = calloc(report->site_count + 1, sizeof(*shown->sites));
	shown->advice = calloc(report->advice_count + 1, sizeof(*shown->advice));
	shown->locks = calloc(report->lock_count + 1, sizeof(*shown->locks));
	if (!shown->sites || !shown->advice || !shown->locks) {
		vmt_selection_free(selection);
		return -ENOMEM;
	}
	select_sites(selection, report);
	select_others(selection, report);
	return 0;
}

void
vmt_selection_free(struct vmt_selection *selection)
{
	free(selection->shown.sites);
	free(selection->shown.advice);
	free(selection->shown.locks);
	selection->shown = (struct vmt_report){.site_count = 0};
}

char *
vmt_selection_write(const struct vmt_selection *selection, char *text, size_t text_bytes)
{
	const struct vmt_selection_sum *part = &selection->part;
	const struct vmt_selection_sum *all = &selection->all;
	char figures[4][VMT_UNITS_BYTES];
	char committed[80] = "";

	if (selection->shown.snapshot.taken)
		snprintf(committed, sizeof(committed), "%s%s of %s committed, ",
			 all->estimate ? "about " : "",
			 vmt_units_bytes(figures[0], part->committed_bytes),
			 vmt_units_bytes(figures[1], all->committed_bytes));
	snprintf(text, text_bytes, "%zu of %zu call sites shown: %s%s%s of %s reserved",
		 part->sites, all->sites, committed, all->estimate ? "about " : "",
		 vmt_units_bytes(figures[2], part->reserved_bytes),
		 vmt_units_bytes(figures[3], all->reserved_bytes));
	return text;
}
