#include "collect/touch_cost.h"

#include "base/procfs.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/tasks.h"

#include <string.h>

#define MILLISECOND UINT64_C(1000000)

#define REST_NS (10000 * MILLISECOND)
#define REST_LEAST_NS (500 * MILLISECOND)
#define GROWTH_BYTES (UINT64_C(4) << 20)
#define GROWTH_PART 16u /* of RSS */

#define WEIGH_NS (50 * MILLISECOND)
#define WEIGH_PART 500u /* of the time: at most so much for looking */
#define MOST_LOOKED_AT 64u
#define FOLLOW_CREDIT_NS INT64_C(1000000)

bool
vmt_touch_cost_parse(const char *text, size_t length, uint64_t *slices)
{
	struct vmt_text line = vmt_text_of(text, length);

	for (unsigned field = 0; field < 3; field++) {
		vmt_text_skip_blanks(&line);
		if (!vmt_text_take_decimal(&line, slices))
			return false;
	}
	return true;
}

/* task/TID/schedstat of /proc/PID. */
static void
name_of(uint32_t tid, char name[40])
{
	char digits[10];
	size_t count = 0;
	size_t at = 5;

	memcpy(name, "task/", at);
	do
		digits[count++] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	while (count > 0)
		name[at++] = digits[--count];
	memcpy(name + at, "/schedstat", 11);
}

/* 0 where the kernel does not say it. */
static uint64_t
slices_of(uint32_t pid, uint32_t tid)
{
	char text[80];
	char name[40];
	uint64_t slices = 0;
	long length;
	int fd;

	name_of(tid, name);
	fd = vmt_procfs_open(pid, name);
	if (fd < 0)
		return 0;
	length = vmt_procfs_read(fd, text, sizeof(text));
	vmt_sys_close(fd);
	return length > 0 && vmt_touch_cost_parse(text, (size_t)length, &slices) ? slices : 0;
}

static uint64_t
all_slices(const struct vmt_traced *process, struct vmt_buffer *scratch)
{
	const uint32_t *tids;
	uint64_t slices = 0;
	uint32_t looked_at;
	uint32_t count;

	if (vmt_tasks_read(process->pid, scratch, &count) < 0 || count == 0)
		return 0;
	tids = (const uint32_t *)(const void *)scratch->bytes;
	looked_at = count < MOST_LOOKED_AT ? count : MOST_LOOKED_AT;
	for (uint32_t i = 0; i < looked_at; i++)
		slices += slices_of(process->pid, tids[i]);
	return slices * count / looked_at;
}

void
vmt_touch_cost_begin(struct vmt_touch_target *target, uint64_t now_ns)
{
	vmt_cpu_budget_begin(&target->making, now_ns);
	vmt_cpu_budget_begin(&target->switching, now_ns);
	target->rests_until_ns = 0;
	target->weigh_ns = 0;
}

void
vmt_touch_cost_follow(struct vmt_touch_target *target, uint64_t now_ns)
{
	vmt_cpu_budget_begin(&target->making, now_ns);
	target->making.left_ns = FOLLOW_CREDIT_NS;
	target->follows = true;
}

void
vmt_touch_cost_weigh(struct vmt_traced *process, struct vmt_buffer *scratch, uint64_t now_ns)
{
	struct vmt_touch_target *target = &process->touch;
	bool is_first = target->weigh_ns == 0;
	uint64_t slices, begin_ns, spent_ns;

	if (now_ns < target->weigh_ns)
		return;
	begin_ns = vmt_ticks_monotonic_ns();
	slices = all_slices(process, scratch);
	spent_ns = (vmt_ticks_monotonic_ns() - begin_ns) * WEIGH_PART;
	target->weigh_ns = now_ns + (spent_ns > WEIGH_NS ? spent_ns : WEIGH_NS);
	/* With threads that have ended theirs are gone. */
	if (!is_first && slices > target->slices)
		vmt_cpu_budget_spend(&target->switching,
				     (slices - target->slices) * VMT_TOUCH_SWITCH_NS);
	target->slices = slices;
}

void
vmt_touch_cost_rest(struct vmt_traced *process, uint64_t now_ns)
{
	process->touch.rests_until_ns = now_ns + REST_NS;
	process->touch.rest_rss_bytes = process->sampling.rss_bytes;
}

bool
vmt_touch_cost_has_rested(const struct vmt_traced *process, uint64_t now_ns)
{
	const struct vmt_touch_target *target = &process->touch;
	uint64_t before = target->rest_rss_bytes;
	uint64_t least = before / GROWTH_PART > GROWTH_BYTES ? before / GROWTH_PART : GROWTH_BYTES;

	if (target->rests_until_ns == UINT64_MAX)
		return false;
	return now_ns >= target->rests_until_ns ||
	       (now_ns + REST_NS >= target->rests_until_ns + REST_LEAST_NS &&
		process->sampling.rss_bytes > before + least);
}
