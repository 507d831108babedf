#include "inject/standing.h"

#include "base/roomy.h"
#include "inject/tracee.h"

#include <errno.h>

#define STACK_BYTES 65536u /* a stack may end within */

struct look {
	struct vmt_standing_range *ranges;
	size_t count;
	uint64_t low; /* of all of them */
	uint64_t high;
};

static void
mark(const struct look *look, uint64_t address)
{
	if (address < look->low || address >= look->high)
		return;
	for (size_t i = 0; i < look->count; i++)
		if (address >= look->ranges[i].low && address < look->ranges[i].high)
			look->ranges[i].is_occupied = true;
}

static struct look
begin(struct vmt_standing_range *ranges, size_t count)
{
	struct look look = {.ranges = ranges, .count = count, .low = UINT64_MAX};

	for (size_t i = 0; i < count; i++) {
		ranges[i].is_occupied = false;
		if (ranges[i].low == ranges[i].high)
			continue;
		if (ranges[i].low < look.low)
			look.low = ranges[i].low;
		if (ranges[i].high > look.high)
			look.high = ranges[i].high;
	}
	return look;
}

#if defined(__x86_64__)

static void
look_at_stack(const struct look *look, const struct vmt_target *target, uint64_t stack_pointer)
{
	static VMT_ROOMY uint64_t words[STACK_BYTES / sizeof(uint64_t)];
	uint64_t at = stack_pointer & ~UINT64_C(7);
	size_t bytes = vmt_target_read_some(target, at, words, sizeof(words));

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		mark(look, words[i]);
}

int
vmt_standing_find(const struct vmt_target *target, const struct vmt_stopped_threads *threads,
		  struct vmt_standing_range *ranges, size_t count)
{
	const struct vmt_stopped_thread *list = vmt_stopped_threads_list(threads);
	struct look look = begin(ranges, count);

	for (uint32_t i = 0; i < threads->count; i++) {
		struct vmt_registers registers;
		int result;

		if (list[i].state == VMT_STOPPED_THREADS_GONE)
			continue;
		result = vmt_tracee_read_registers(list[i].tid, &registers);
		if (result == -ESRCH) /* killed meanwhile */
			continue;
		if (result < 0)
			return result;
		mark(&look, registers.user.rip);
		look_at_stack(&look, target, registers.user.rsp);
	}
	return 0;
}

#else

int
vmt_standing_find(const struct vmt_target *target, const struct vmt_stopped_threads *threads,
		  struct vmt_standing_range *ranges, size_t count)
{
	(void)target;
	(void)threads;
	(void)begin(ranges, count);
	return -ENOSYS;
}

#endif
