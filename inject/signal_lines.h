/*
 * signal_lines.h: sets of signals as /proc/PID/status shows them
 */
#ifndef VMT_SIGNAL_LINES_H
#define VMT_SIGNAL_LINES_H

#include "base/text.h"

#include <stdint.h>

/* A line such as "SigIgn:	0000000000001000" of /proc/PID/status. */
static inline uint64_t
vmt_signal_lines_mask(struct vmt_text text, const char *key)
{
	struct vmt_text line;
	uint64_t mask = 0;

	while (vmt_text_take_line(&text, &line)) {
		if (!vmt_text_skip_string(&line, key))
			continue;
		vmt_text_skip_blanks(&line);
		(void)vmt_text_take_hex(&line, &mask);
		return mask;
	}
	return 0;
}

static inline uint64_t
vmt_signal_lines_bit(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

#endif
