#include "collect/touch_clock.h"

#include "base/ticks.h"

/* Two readings this far apart give the rate well enough. */
#define PAIR_NS UINT64_C(1000000)
#define PAIR_TRIES 3u

/* Both clocks: the counter's reading lies in the middle of two around the other one. */
static struct vmt_clock_pair
read_pair(void)
{
	struct vmt_clock_pair best = {0, 0};
	uint64_t shortest = UINT64_MAX;

	for (unsigned i = 0; i < PAIR_TRIES; i++) {
		uint64_t before = vmt_ticks_counter();
		uint64_t monotonic_ns = vmt_ticks_monotonic_ns();
		uint64_t took = vmt_ticks_counter() - before;

		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct vmt_clock_pair){before + took / 2, monotonic_ns};
	}
	return best;
}

void
vmt_touch_clock_read(struct vmt_touch_clock *clock)
{
	struct vmt_clock_pair now = read_pair();

	if (clock->older.monotonic_ns == 0 ||
	    now.monotonic_ns - clock->newer.monotonic_ns >= PAIR_NS)
		clock->older = clock->newer.monotonic_ns ? clock->newer : now;
	clock->newer = now;
}

uint64_t
vmt_touch_clock_ticks(const struct vmt_touch_clock *clock, uint32_t kind, uint64_t time_ns)
{
	const struct vmt_clock_pair *older = &clock->older;
	const struct vmt_clock_pair *newer = &clock->newer;
	uint64_t ns = newer->monotonic_ns - older->monotonic_ns;
	uint64_t ticks = newer->ticks - older->ticks;
	uint64_t before_ns = newer->monotonic_ns - time_ns;

	if (kind != VMT_CLOCK_TSC)
		return time_ns;
	if (ns == 0)
		return newer->ticks;
	if (time_ns > newer->monotonic_ns)
		return newer->ticks +
		       (uint64_t)((unsigned __int128)(time_ns - newer->monotonic_ns) * ticks / ns);
	return newer->ticks - (uint64_t)((unsigned __int128)before_ns * ticks / ns);
}
