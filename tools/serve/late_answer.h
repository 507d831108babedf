/*
 * late_answer.h: the last metrics that were made, for who asks while the next ones take long.
 *
 * A scraper waits for ten seconds by default. Figures that are old, and say how old, tell it more
 * than nothing does. One copy of an answer is kept. Times in nanoseconds of CLOCK_MONOTONIC. One
 * thread's.
 */
#ifndef VMT_LATE_ANSWER_H
#define VMT_LATE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_LATE_ANSWER_AFTER_NS INT64_C(8000000000)  /* who has waited for so long gets it */
#define VMT_LATE_ANSWER_MOST_NS INT64_C(600000000000) /* an older one is given to nobody */

/* All zero: there is none. */
struct vmt_late_answer {
	char *bytes;
	size_t length;
	int64_t made_ns;
};

/* A copy of metrics that were made just now. Without memory the one before stays. */
void vmt_late_answer_keep(struct vmt_late_answer *late, const void *bytes, size_t length,
			  int64_t now_ns);
/* Whether there is one that is not too old. */
bool vmt_late_answer_is_there(const struct vmt_late_answer *late, int64_t now_ns);
/* Whether it is to be given to who asked then. */
bool vmt_late_answer_is_due(const struct vmt_late_answer *late, int64_t asked_ns, int64_t now_ns);
/* The metrics with their age, vmtrace_answer_age_seconds, to be freed. NULL: there are none, or no
 * memory. */
char *vmt_late_answer_text(const struct vmt_late_answer *late, int64_t now_ns, size_t *length);
void vmt_late_answer_free(struct vmt_late_answer *late);

#endif
