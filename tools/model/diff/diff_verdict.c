/*
 * The difference of two reports in one word, and what changed most.
 *
 * Two runs of one program never commit the same pages: address randomisation moves the windows in
 * which the kernel maps file pages round a fault, threads race, heaps round up. What is below 2 %
 * of the larger of the two, below a floor, below what the snapshots' own counters were off by, or
 * below what RSS rose between snapshots that are to show its peak, is noise. Ownership has more of
 * it than the sum, since what one row has by chance another lacks: twice as much is asked for.
 *
 * How many threads Go's runtime starts is chance, too, and each sets aside room that nobody asked
 * for: its stack, and the 64 MiB of address space of an arena of glibc's. What differs by that, up
 * to the room of a few threads, is noise of reserved beside the rest.
 *
 * Whether more is committed because more was asked for or because more is touched: the first where
 * reserved grew by more than a quarter of what committed did, and not in other classes only.
 */
#include "tools/model/diff/diff_verdict.h"

#include "tools/model/diff/diff_go.h"

#include "tools/model/diff/diff_key.h"

#include <assert.h>
#include <string.h>

#define COMMITTED_FLOOR_BYTES (UINT64_C(512) << 10)
#define RESERVED_FLOOR_BYTES (UINT64_C(1) << 20)
#define NOISE_DIVISOR 50u
#define THREAD_ROOM_BYTES (UINT64_C(72) << 20) /* 8 MiB of stack, 64 MiB of arena */
#define THREADS_BY_CHANCE 4u

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t
noise_of(const struct vmt_diff_figure *figure, uint64_t floor_bytes)
{
	return larger(larger(figure->a, figure->b) / NOISE_DIVISOR, floor_bytes);
}

static bool
is_tracer(const struct vmt_diff_class *row)
{
	return strcmp(row->name, VMT_DIFF_TRACER_CLASS) == 0;
}

/* What is reserved for threads' stacks, and for arenas without being accessible yet. */
static struct vmt_diff_figure
room_of_threads(const struct vmt_diff *diff)
{
	struct vmt_diff_figure room = {0, 0};

	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];
		bool arenas = strcmp(row->name, "malloc retained") == 0;

		if (!arenas && strcmp(row->name, "thread stacks") != 0 &&
		    strcmp(row->name, "Go stacks") != 0)
			continue;
		room.a += row->reserved_bytes.a - (arenas ? row->accessible_bytes.a : 0);
		room.b += row->reserved_bytes.b - (arenas ? row->accessible_bytes.b : 0);
	}
	return room;
}

static uint64_t
reserved_noise(const struct vmt_diff *diff)
{
	struct vmt_diff_figure room = room_of_threads(diff);
	uint64_t by_chance = vmt_diff_distance(&room);

	if (!diff->a->go.version || !diff->b->go.version ||
	    by_chance > THREADS_BY_CHANCE * THREAD_ROOM_BYTES)
		by_chance = 0;
	return noise_of(&diff->totals.reserved_bytes, RESERVED_FLOOR_BYTES) + by_chance;
}

/* How far a figure went in a direction (1 or -1), 0 for the other one. */
static uint64_t
gone(const struct vmt_diff_figure *figure, int direction)
{
	return (vmt_diff_delta(figure) > 0) == (direction > 0) ? vmt_diff_distance(figure) : 0;
}

/* What classes committed beyond what they reserved, in the direction of the whole. */
static uint64_t
touched_alone(const struct vmt_diff *diff, int direction)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];
		uint64_t committed = gone(&row->committed_bytes, direction);
		uint64_t reserved = gone(&row->reserved_bytes, direction);

		if (!is_tracer(row) && committed > reserved)
			sum += committed - reserved;
	}
	return sum;
}

static enum vmt_diff_kind
judge_committed(const struct vmt_diff *diff, int direction)
{
	uint64_t committed = vmt_diff_distance(&diff->totals.committed_bytes);
	uint64_t reserved = gone(&diff->totals.reserved_bytes, direction);
	bool touched = reserved <= committed / 4 ||
		       touched_alone(diff, direction) >= committed - committed / 4;

	if (direction > 0)
		return touched ? VMT_DIFF_MORE_TOUCHED : VMT_DIFF_GROWN;
	return touched ? VMT_DIFF_LESS_TOUCHED : VMT_DIFF_SHRUNK;
}

static const struct vmt_diff_class *
most_changed_class(const struct vmt_diff *diff, int direction, bool reserved)
{
	const struct vmt_diff_class *best = NULL;
	uint64_t most = 0;

	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];
		uint64_t change =
		    gone(reserved ? &row->reserved_bytes : &row->committed_bytes, direction);

		if (!is_tracer(row) && change > most) {
			most = change;
			best = row;
		}
	}
	return best;
}

static const struct vmt_diff_site *
most_changed_site(const struct vmt_diff_rows *rows, int direction, bool reserved)
{
	const struct vmt_diff_site *best = NULL;
	uint64_t most = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct vmt_diff_site *row = &rows->sites[i];
		uint64_t change =
		    gone(reserved ? &row->reserved_bytes : &row->committed_bytes, direction);

		if (change > most) {
			most = change;
			best = row;
		}
	}
	return best;
}

/* A part that came and a part that went, and who has most of each. */
struct balance {
	uint64_t came;
	uint64_t went;
	uint64_t most_came;
	uint64_t most_went;
	const void *to;
	const void *from;
};

static void
weigh(struct balance *balance, const void *row, const struct vmt_diff_figure *committed,
      uint64_t error_bytes)
{
	uint64_t distance = vmt_diff_distance(committed);

	if (distance <= error_bytes)
		return;
	if (vmt_diff_delta(committed) > 0) {
		balance->came += distance;
		if (distance > balance->most_came) {
			balance->most_came = distance;
			balance->to = row;
		}
		return;
	}
	balance->went += distance;
	if (distance > balance->most_went) {
		balance->most_went = distance;
		balance->from = row;
	}
}

static uint64_t
moved(const struct balance *balance)
{
	return balance->came < balance->went ? balance->came : balance->went;
}

/* A site without names has no counterpart in a build that has them, and the Go runtime's sites
 * share its heap by chance: neither is a move. */
static struct balance
weigh_sites(const struct vmt_diff_rows *rows)
{
	struct balance balance = {.came = 0};

	for (size_t i = 0; i < rows->count; i++) {
		const struct vmt_diff_site *row = &rows->sites[i];

		if (vmt_diff_key_is_named(row->shown) && !vmt_diff_key_is_runtime(row->shown))
			weigh(&balance, row, &row->committed_bytes, row->error_bytes);
	}
	return balance;
}

static struct balance
weigh_classes(const struct vmt_diff *diff)
{
	struct balance balance = {.came = 0};

	for (size_t i = 0; i < diff->class_count; i++) {
		const struct vmt_diff_class *row = &diff->classes[i];

		if (!is_tracer(row))
			weigh(&balance, row, &row->committed_bytes, row->error_bytes);
	}
	return balance;
}

static bool
judge_moved(const struct vmt_diff *diff, const struct vmt_diff_rows *rows,
	    struct vmt_diff_verdict *verdict)
{
	struct balance sites = weigh_sites(rows);
	struct balance classes = weigh_classes(diff);

	verdict->moved_bytes = larger(moved(&sites), moved(&classes));
	if (verdict->moved_bytes <= 2 * verdict->committed_noise_bytes) {
		verdict->moved_bytes = 0;
		return false;
	}
	if (moved(&sites) >= moved(&classes) - moved(&classes) / 10) {
		verdict->moved_bytes = moved(&sites);
		verdict->from_site = sites.from;
		verdict->to_site = sites.to;
	} else {
		verdict->from_class = classes.from;
		verdict->to_class = classes.to;
	}
	return true;
}

static void
judge(const struct vmt_diff *diff, const struct vmt_diff_rows *rows,
      struct vmt_diff_verdict *verdict)
{
	const struct vmt_diff_figure *committed = &diff->totals.committed_bytes;
	const struct vmt_diff_figure *reserved = &diff->totals.reserved_bytes;
	bool is_reserved = false;
	int direction = vmt_diff_delta(committed) > 0 ? 1 : -1;

	if (vmt_diff_distance(committed) > verdict->committed_noise_bytes) {
		verdict->kind = judge_committed(diff, direction);
	} else if (judge_moved(diff, rows, verdict)) {
		verdict->kind = VMT_DIFF_MOVED;
		return;
	} else if (vmt_diff_distance(reserved) > verdict->reserved_noise_bytes) {
		is_reserved = true;
		direction = vmt_diff_delta(reserved) > 0 ? 1 : -1;
		verdict->kind = direction > 0 ? VMT_DIFF_MORE_RESERVED : VMT_DIFF_LESS_RESERVED;
	} else {
		verdict->kind = VMT_DIFF_SAME;
		return;
	}
	verdict->main_class = most_changed_class(diff, direction, is_reserved);
	verdict->main_site = most_changed_site(rows, direction, is_reserved);
}

void
vmt_diff_verdict_judge(struct vmt_diff *diff, const struct vmt_diff_rows *rows)
{
	struct vmt_diff_verdict *verdict = &diff->verdict;

	*verdict = (struct vmt_diff_verdict){.kind = VMT_DIFF_UNKNOWN};
	if (!diff->a->snapshot.taken || !diff->b->snapshot.taken || vmt_diff_is_one_snapshot(diff))
		return;
	verdict->committed_noise_bytes =
	    larger(larger(noise_of(&diff->totals.committed_bytes, COMMITTED_FLOOR_BYTES),
			  diff->totals.skew_bytes),
		   larger(diff->totals.missed_bytes.a, diff->totals.missed_bytes.b));
	verdict->reserved_noise_bytes = reserved_noise(diff);
	judge(diff, rows, verdict);
	vmt_diff_go_compare(&diff->go, diff->a, diff->b, verdict->committed_noise_bytes);
}
