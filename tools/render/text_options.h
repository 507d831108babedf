/*
 * text_options.h: how a report's text is to look.
 */
#ifndef VMT_TEXT_OPTIONS_H
#define VMT_TEXT_OPTIONS_H

#include "tools/render/aggregate.h"
#include "tools/render/layout.h"
#include "tools/render/rank.h"
#include "tools/render/selection.h"

#define VMT_TEXT_DEFAULT_TOP 12u
#define VMT_TEXT_DEFAULT_CALLERS 3u

enum vmt_text_tree {
	VMT_TEXT_TREE_NONE,
	VMT_TEXT_TREE_CALLERS,	/* from the outermost caller inwards */
	VMT_TEXT_TREE_INVERTED, /* from what asked for memory outwards */
};

struct vmt_text_options {
	struct vmt_layout layout;
	enum vmt_rank_by rank;
	size_t top;			       /* rows of each list */
	size_t callers;			       /* below each row */
	enum vmt_aggregate_by by;	       /* VMT_AGGREGATE_NONE: all sections are printed */
	enum vmt_text_tree tree;	       /* likewise */
	const struct vmt_selection *selection; /* NULL: all rows are shown */
	/* Traces of what the process went on as by exec; NULL or "" where not known. */
	const char *next_image;
	const char *last_image;
};

#endif
