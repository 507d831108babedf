/*
 * touch_rows.h: joins touchers that look the same.
 *
 * As group_rows.h does for sites: committers that show the same frames are one row, largest first.
 * Figures are bytes.
 */
#ifndef VMT_TOUCH_ROWS_H
#define VMT_TOUCH_ROWS_H

#include "tools/model/report/report.h"

struct vmt_touch_row {
	const struct vmt_committer *first; /* whose evidence and frames are all others' */
	uint64_t committed_bytes;
	uint64_t unshared_bytes;
	double samples; /* that the row stands on */
	bool estimate;
	bool unshared_is_estimate;
	bool unshared_is_least;
	size_t number; /* while they are sorted */
};

struct vmt_touch_rows {
	struct vmt_touch_row *rows;
	size_t count;
	size_t *of; /* row by index of the report's committers */
};

/* What of some bytes a row has; row = count stands for what no sample explains. */
struct vmt_touch_share {
	size_t row;
	uint64_t bytes;
	double samples;
	bool estimate;
};

#define VMT_TOUCH_ROWS_FEW_BYTES 32u

/* " (1 sample)" where an estimate stands on few of them, else "". Returns text. */
const char *vmt_touch_rows_few(double samples, bool estimate, char text[VMT_TOUCH_ROWS_FEW_BYTES]);

/* Rows that show so many callers. false: no memory. Free in either case. */
bool vmt_touch_rows_make(struct vmt_touch_rows *rows, const struct vmt_report *report,
			 size_t callers);
void vmt_touch_rows_free(struct vmt_touch_rows *rows);

/* How many rows have something: the others, of which nothing is left, come last. */
size_t vmt_touch_rows_filled(const struct vmt_touch_rows *rows);

/* Who touched what the sites have that are shown as this one is, largest first, into shares, which
 * has room for rows->count + 1. Returns how many have something. */
size_t vmt_touch_rows_of_site(const struct vmt_touch_rows *rows, const struct vmt_report *report,
			      const struct vmt_site *site, size_t callers,
			      struct vmt_touch_share *shares);

/* Who touched what a class has that no call is known for. */
size_t vmt_touch_rows_of_class(const struct vmt_touch_rows *rows, const struct vmt_report *report,
			       const char *class, struct vmt_touch_share *shares);

/* Whose memory a row touched, largest first, then two parts of no bytes; to be freed. NULL: no
 * memory. */
struct vmt_reserved_part *vmt_touch_rows_reserved(const struct vmt_touch_rows *rows,
						  const struct vmt_report *report, size_t row);

/* The code that touched, inside out: what touched, who called that, and the program's own function
 * ("runtime.memclrNoHeapPointers <- runtime.mallocgcLarge <- main.build"). Returns result. */
char *vmt_touch_rows_chain(const struct vmt_stack_frames *stack, const char *arrow, char *result,
			   size_t result_bytes);

#endif
