/*
 * selection.h: which rows of a report are shown.
 *
 * focus: stacks with a frame that matches. ignore: stacks without one. match: rows of which the
 * call, the class or a frame that the row shows matches. hide: frames that match are left out of
 * all stacks, and no row is. What is left out of the lists stays in every sum of the whole process:
 * the first sentence, the classes, RSS; the account says how much it is. One thread at a time.
 */
#ifndef VMT_SELECTION_H
#define VMT_SELECTION_H

#include "tools/model/report/report.h"
#include "tools/render/name_pattern.h"

#include <stddef.h>

/* Each NULL where it is not asked for. */
struct vmt_selection_patterns {
	struct vmt_name_pattern *focus;
	struct vmt_name_pattern *ignore;
	struct vmt_name_pattern *hide;
	struct vmt_name_pattern *match;
	size_t callers; /* that a row shows, for match */
};

struct vmt_selection_sum {
	size_t sites;
	uint64_t committed_bytes;
	uint64_t reserved_bytes;
	bool estimate;
};

struct vmt_selection {
	const struct vmt_selection_patterns *patterns;
	/* The report, with the sites, advice and locks alone that are shown; committers are all. */
	struct vmt_report shown;
	struct vmt_selection_sum part; /* of the call sites that are shown */
	struct vmt_selection_sum all;
};

/* Whether rows are left out. */
bool vmt_selection_is_partial(const struct vmt_selection_patterns *patterns);

/* Whether a row with this stack is shown; kind and class may be NULL. */
bool vmt_selection_takes(const struct vmt_selection_patterns *patterns,
			 const struct vmt_stack_frames *stack, const char *kind, const char *class);

/* Leaves the frames out that are to be hidden; a stack of which none is left has one that says so.
 */
void vmt_selection_hide(const struct vmt_selection_patterns *patterns, struct vmt_report *report);

/* 0 or -ENOMEM. The report stays as it is, and has to outlive the selection. */
int vmt_selection_make(struct vmt_selection *selection,
		       const struct vmt_selection_patterns *patterns,
		       const struct vmt_report *report);
void vmt_selection_free(struct vmt_selection *selection);

/* "12 of 90 call sites shown: 3.2 MiB of 1.1 GiB committed, ..." Returns text. */
char *vmt_selection_write(const struct vmt_selection *selection, char *text, size_t text_bytes);

#endif
