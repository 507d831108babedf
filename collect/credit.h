/*
 * credit.h: may a snapshot be taken now, within the CPU budget?
 *
 * Snapshots that nobody waits for draw on a credit that fills up by a hundredth of the time, to
 * VMT_CREDIT_MAX_NS at most. One is begun while there is any credit left, whatever it will cost,
 * and what it has cost is paid before the next. So in all time up to any instant they have used no
 * more than VMT_CREDIT_FIRST_NS, a hundredth of that time, and what the last of them was overdrawn
 * by. Nanoseconds, of a monotonic clock and of CPU time. Single-threaded.
 */
#ifndef VMT_CREDIT_H
#define VMT_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_CREDIT_PART 100u
#define VMT_CREDIT_FIRST_NS INT64_C(5000000)   /* before any has been earned */
#define VMT_CREDIT_MAX_NS INT64_C(100000000)   /* what may be saved up */
#define VMT_CREDIT_SCARCE_NS INT64_C(10000000) /* below: not for what is soon superseded */

struct vmt_credit {
	int64_t left_ns; /* below 0 = overdrawn */
	uint64_t at_ns;	 /* filled up to this time */
};

static inline void
vmt_credit_begin(struct vmt_credit *credit, uint64_t now_ns)
{
	*credit = (struct vmt_credit){VMT_CREDIT_FIRST_NS, now_ns};
}

/* Fills up to now; whether a snapshot may begin. */
static inline bool
vmt_credit_is_there(struct vmt_credit *credit, uint64_t now_ns)
{
	if (now_ns > credit->at_ns) {
		credit->left_ns += (int64_t)((now_ns - credit->at_ns) / VMT_CREDIT_PART);
		credit->at_ns = now_ns;
	}
	if (credit->left_ns > VMT_CREDIT_MAX_NS)
		credit->left_ns = VMT_CREDIT_MAX_NS;
	return credit->left_ns > 0;
}

static inline void
vmt_credit_spend(struct vmt_credit *credit, uint64_t cost_ns)
{
	credit->left_ns -= (int64_t)cost_ns;
}

#endif
