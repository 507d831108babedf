#include "inject/standing.h"

#include "base/roomy.h"
#include "inject/tracee.h"

#include <errno.h>

#define STACK_BYTES 65536u /* a stack may end within */

struct look {
	struct vmt_standing_group *groups;
	size_t count;
};

static void
mark(const struct look *look, uint64_t address)
{
	for (size_t i = 0; i < look->count; i++) {
		const struct vmt_standing_group *group = &look->groups[i];

		if (address < group->low || address >= group->high)
			continue;
		for (size_t j = 0; j < group->count; j++)
			if (address >= group->ranges[j].low && address < group->ranges[j].high)
				group->ranges[j].is_occupied = true;
	}
}

static void
begin_group(struct vmt_standing_group *group)
{
	group->low = UINT64_MAX;
	group->high = 0;
	for (size_t i = 0; i < group->count; i++) {
		struct vmt_standing_range *range = &group->ranges[i];

		range->is_occupied = false;
		if (range->low == range->high)
			continue;
		if (range->low < group->low)
			group->low = range->low;
		if (range->high > group->high)
			group->high = range->high;
	}
}

static struct look
begin(struct vmt_standing_group *groups, size_t count)
{
	for (size_t i = 0; i < count; i++)
		begin_group(&groups[i]);
	return (struct look){groups, count};
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
		  struct vmt_standing_group *groups, size_t count)
{
	const struct vmt_stopped_thread *list = vmt_stopped_threads_list(threads);
	struct look look = begin(groups, count);

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
		  struct vmt_standing_group *groups, size_t count)
{
	(void)target;
	(void)threads;
	(void)begin(groups, count);
	return -ENOSYS;
}

#endif
