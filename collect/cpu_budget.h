/*
 * cpu_budget.h: whether a snapshot may be taken now, within the CPU budget
 *
 * Snapshots that nobody waits for draw on a credit that fills up by a hundredth of the time, to
 * VMT_CPU_BUDGET_MAX_NS at most; where a quota allows the collector less than a CPU, by a hundredth
 * of what it allows, and to the same part of that most. One is begun while there is any credit
 * left, whatever it will cost, and what it has cost is paid before the next. So in all time up to
 * any instant they have used no more than VMT_CPU_BUDGET_FIRST_NS, a hundredth of that time (or of
 * that quota), and what the last of them was overdrawn by.
 *
 * Readings of RSS and what goes with them are owed: they come first, and are paid out of what is
 * earned, of half of it at most. Where more is owed than VMT_CPU_BUDGET_FREE_NS, the next reading
 * waits until that would be paid at this rate. More than VMT_CPU_BUDGET_OWED_MAX_NS is forgotten,
 * so that it waits for a tenth of a second at most.
 *
 * Nanoseconds, of a monotonic clock and of CPU time. Single-threaded.
 */
#ifndef VMT_CPU_BUDGET_H
#define VMT_CPU_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_CPU_BUDGET_PART 100u
#define VMT_CPU_BUDGET_WHOLE 1000u		   /* no quota */
#define VMT_CPU_BUDGET_FIRST_NS INT64_C(5000000)   /* before any has been earned */
#define VMT_CPU_BUDGET_MAX_NS INT64_C(100000000)   /* what may be saved up */
#define VMT_CPU_BUDGET_SCARCE_NS INT64_C(10000000) /* below: not for what is soon superseded */
#define VMT_CPU_BUDGET_FREE_NS UINT64_C(1000000)
#define VMT_CPU_BUDGET_OWED_MAX_NS UINT64_C(1500000)

struct vmt_cpu_budget {
	int64_t left_ns; /* below 0 = overdrawn */
	uint64_t at_ns;	 /* filled up to this time */
	uint32_t part;	 /* of a CPU that it fills up for: thousandths, 1 to VMT_CPU_BUDGET_WHOLE */
	uint64_t owed_ns; /* for readings */
};

static inline void
vmt_cpu_budget_begin(struct vmt_cpu_budget *credit, uint64_t now_ns)
{
	*credit = (struct vmt_cpu_budget){
	    .left_ns = VMT_CPU_BUDGET_FIRST_NS, .at_ns = now_ns, .part = VMT_CPU_BUDGET_WHOLE};
}

static inline int64_t
vmt_cpu_budget_scaled(const struct vmt_cpu_budget *credit, uint64_t whole_ns)
{
	return (int64_t)(whole_ns * credit->part / VMT_CPU_BUDGET_WHOLE);
}

/* What is left of it for snapshots. */
static inline int64_t
vmt_cpu_budget_pay(struct vmt_cpu_budget *credit, int64_t earned_ns)
{
	uint64_t most_ns = (uint64_t)earned_ns / 2;
	uint64_t paid_ns = credit->owed_ns < most_ns ? credit->owed_ns : most_ns;

	credit->owed_ns -= paid_ns;
	return earned_ns - (int64_t)paid_ns;
}

/* Fills up to now; whether a snapshot may begin. */
static inline bool
vmt_cpu_budget_is_there(struct vmt_cpu_budget *credit, uint64_t now_ns)
{
	int64_t most_ns = vmt_cpu_budget_scaled(credit, (uint64_t)VMT_CPU_BUDGET_MAX_NS);

	if (now_ns > credit->at_ns) {
		credit->left_ns += vmt_cpu_budget_pay(
		    credit,
		    vmt_cpu_budget_scaled(credit, (now_ns - credit->at_ns) / VMT_CPU_BUDGET_PART));
		credit->at_ns = now_ns;
	}
	if (credit->left_ns > most_ns)
		credit->left_ns = most_ns;
	return credit->left_ns > 0;
}

/* Whether it is kept from what is soon superseded. */
static inline bool
vmt_cpu_budget_is_scarce(const struct vmt_cpu_budget *credit)
{
	return credit->left_ns < vmt_cpu_budget_scaled(credit, (uint64_t)VMT_CPU_BUDGET_SCARCE_NS);
}

/* From now on; what came before was filled up at the old part. */
static inline void
vmt_cpu_budget_set_part(struct vmt_cpu_budget *credit, uint64_t now_ns, uint32_t part)
{
	(void)vmt_cpu_budget_is_there(credit, now_ns);
	credit->part = part;
}

static inline void
vmt_cpu_budget_spend(struct vmt_cpu_budget *credit, uint64_t cost_ns)
{
	credit->left_ns -= (int64_t)cost_ns;
}

static inline void
vmt_cpu_budget_owe(struct vmt_cpu_budget *credit, uint64_t cost_ns)
{
	uint64_t room_ns = VMT_CPU_BUDGET_OWED_MAX_NS - credit->owed_ns;

	credit->owed_ns += cost_ns < room_ns ? cost_ns : room_ns;
}

/* For how long the next reading waits. */
static inline uint64_t
vmt_cpu_budget_wait_ns(const struct vmt_cpu_budget *credit)
{
	if (credit->owed_ns <= VMT_CPU_BUDGET_FREE_NS)
		return 0;
	return (credit->owed_ns - VMT_CPU_BUDGET_FREE_NS) * 2 * VMT_CPU_BUDGET_PART;
}

#endif
