/*
 * text_options.h: how a report's text is to look.
 */
#ifndef VMT_TEXT_OPTIONS_H
#define VMT_TEXT_OPTIONS_H

#include "tools/render/layout.h"
#include "tools/render/rank.h"
#include "tools/render/selection.h"

#define VMT_TEXT_DEFAULT_TOP 12u
#define VMT_TEXT_DEFAULT_CALLERS 3u

struct vmt_text_options {
	struct vmt_layout layout;
	enum vmt_rank_by rank;
	size_t top;			       /* rows of each list */
	size_t callers;			       /* below each row */
	const struct vmt_selection *selection; /* NULL: all rows are shown */
	/* Traces of what the process went on as by exec; NULL or "" where not known. */
	const char *next_image;
	const char *last_image;
};

#endif
