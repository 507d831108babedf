/*
 * touch_names.h: how is it said in one line whose memory it is, and who touched it?
 *
 * By one function where that tells it from the others; a helper that many call (a wrapper of mmap
 * or memset) is followed by its callers until it does, at most so many as rows show.
 */
#ifndef VMT_TOUCH_NAMES_H
#define VMT_TOUCH_NAMES_H

#include "tools/render/touch_rows.h"

/* The call that reserved, told from the other sites of the report that have committed bytes. The
 * site has frames. Returns result. */
char *vmt_touch_names_reserver(const struct vmt_report *report, const struct vmt_site *site,
			       size_t callers, char *result, size_t result_bytes);

/* Who touched, told from `other`, which may be NULL; either may be without frames. Returns result.
 */
char *vmt_touch_names_toucher(const struct vmt_stack_frames *stack,
			      const struct vmt_stack_frames *other, size_t callers, char *result,
			      size_t result_bytes);

#endif
