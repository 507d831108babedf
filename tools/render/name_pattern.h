/*
 * name_pattern.h: a regular expression that names are held against.
 *
 * POSIX extended, by regcomp, bounded: names come from traces and may be long and hostile, and a
 * pattern may come from a script. A pattern has at most 1,000 bytes, repeats ({m,n}) at most 1,000
 * times in all, and no back references, whose cost nobody can bound. Of a name the first 4,000
 * bytes are looked at. Answers about frames are kept, since the same frame is in many stacks. One
 * thread at a time.
 */
#ifndef VMT_NAME_PATTERN_H
#define VMT_NAME_PATTERN_H

#include "tools/err.h"
#include "tools/model/report/report.h"

#include <stdbool.h>

struct vmt_name_pattern;

/* A pattern, to be freed; with `plain` text that is no valid pattern stands for itself, and every
 * text that it is part of matches too. NULL with a message that begins with the option's name. */
struct vmt_name_pattern *vmt_name_pattern_new(const char *option, const char *text, bool plain,
					      struct vmt_err *err);
void vmt_name_pattern_free(struct vmt_name_pattern *pattern);

const char *vmt_name_pattern_text(const struct vmt_name_pattern *pattern);
bool vmt_name_pattern_matches(const struct vmt_name_pattern *pattern, const char *name);

/* Whether it matches the frame's function (or where it has no name "module+0x12"), its "path:line",
 * or its module's path. */
bool vmt_name_pattern_in_frame(struct vmt_name_pattern *pattern, const struct vmt_frame *frame);
bool vmt_name_pattern_in_stack(struct vmt_name_pattern *pattern,
			       const struct vmt_stack_frames *stack);

#endif
