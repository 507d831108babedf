#include "collect/touch_events.h"

#include "base/sys.h"
#include "collect/touch_record.h"
#include "collect/touch_unwind.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* struct perf_event_attr up to its size of Linux 4.8 (PERF_ATTR_SIZE_VER5). The system's header
 * may be older than the kernel, so newer bits have their names here. */
struct attributes {
	uint32_t type;
	uint32_t size;
	uint64_t config;
	uint64_t sample_period;
	uint64_t sample_type;
	uint64_t read_format;
	uint64_t flags;
	uint32_t wakeup_watermark;
	uint32_t bp_type;
	uint64_t config1;
	uint64_t config2;
	uint64_t branch_sample_type;
	uint64_t sample_regs_user;
	uint32_t sample_stack_user;
	int32_t clockid;
	uint64_t sample_regs_intr;
	uint32_t aux_watermark;
	uint16_t sample_max_stack;
	uint16_t reserved;
};

_Static_assert(sizeof(struct attributes) == 112, "PERF_ATTR_SIZE_VER5");

#define FLAG_DISABLED (UINT64_C(1) << 0)
#define FLAG_INHERIT (UINT64_C(1) << 1)
#define FLAG_EXCLUDE_KERNEL (UINT64_C(1) << 5)
#define FLAG_EXCLUDE_HV (UINT64_C(1) << 6)
#define FLAG_MMAP (UINT64_C(1) << 8)
#define FLAG_COMM (UINT64_C(1) << 9)
#define FLAG_TASK (UINT64_C(1) << 13)
#define FLAG_WATERMARK (UINT64_C(1) << 14)
#define FLAG_SAMPLE_ID_ALL (UINT64_C(1) << 18)
#define FLAG_EXCLUDE_CHAIN_KERNEL (UINT64_C(1) << 21)
#define FLAG_MMAP2 (UINT64_C(1) << 23)
#define FLAG_COMM_EXEC (UINT64_C(1) << 24)
#define FLAG_CLOCKID (UINT64_C(1) << 25)
#define FLAG_INHERIT_THREAD (UINT64_C(1) << 35)

#define SAMPLE_PAGE_SIZE (UINT64_C(1) << 22)
#define FORMAT_LOST (UINT64_C(1) << 4)

static int
open_event(const struct attributes *attributes, uint32_t tid, int32_t cpu)
{
	return (int)vmt_sys_call6(SYS_perf_event_open, (long)attributes, (int32_t)tid, cpu, -1,
				  PERF_FLAG_FD_CLOEXEC, 0);
}

static struct attributes
describe(const struct vmt_touch_events *events, enum vmt_touch_kind kind, uint64_t period)
{
	struct attributes attributes = {
	    .type = PERF_TYPE_SOFTWARE,
	    .size = sizeof(attributes),
	    .config = kind == VMT_TOUCH_MAJOR ? PERF_COUNT_SW_PAGE_FAULTS_MAJ
					      : PERF_COUNT_SW_PAGE_FAULTS_MIN,
	    .sample_period = period,
	    .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR |
			   PERF_SAMPLE_ID | PERF_SAMPLE_CALLCHAIN,
	    .flags = FLAG_DISABLED | FLAG_EXCLUDE_HV | FLAG_SAMPLE_ID_ALL |
		     FLAG_EXCLUDE_CHAIN_KERNEL | FLAG_CLOCKID,
	    .clockid = CLOCK_MONOTONIC,
	};

	if (events->has & VMT_TOUCH_HAS_SIZE)
		attributes.sample_type |= SAMPLE_PAGE_SIZE;
	if (events->has & VMT_TOUCH_HAS_STACK) {
		attributes.sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
		attributes.sample_regs_user = VMT_TOUCH_UNWIND_REGISTERS;
		attributes.sample_stack_user = events->copy_bytes;
	}
	if (!events->kernel)
		attributes.flags |= FLAG_EXCLUDE_KERNEL;
	if (events->inherit)
		attributes.flags |= FLAG_INHERIT | FLAG_INHERIT_THREAD;
	if (kind == VMT_TOUCH_MINOR)
		attributes.flags |= FLAG_MMAP | FLAG_MMAP2 | FLAG_COMM | FLAG_COMM_EXEC;
	if (kind == VMT_TOUCH_MINOR && events->tells_threads)
		attributes.flags |= FLAG_TASK;
	if (events->counts_losses)
		attributes.read_format = FORMAT_LOST;
	return attributes;
}

/* What the kernel does not know goes, the newest first. False: nothing is left. */
static bool
do_without(struct vmt_touch_events *events)
{
	if (events->counts_losses)
		events->counts_losses = false;
	else if (events->inherit)
		events->inherit = false;
	else if (events->has & VMT_TOUCH_HAS_SIZE)
		events->has &= ~VMT_TOUCH_HAS_SIZE;
	else if (events->has & VMT_TOUCH_HAS_STACK)
		events->has &= ~VMT_TOUCH_HAS_STACK;
	else
		return false;
	return true;
}

/* Where seccomp filters calls, or may. */
static bool
is_filtered(void)
{
	return vmt_sys_call2(SYS_prctl, PR_GET_SECCOMP, 0) != 0;
}

/* A filter may kill whoever calls: so first a child does, which leaves no core. -EPERM: it died of
 * it; other errors: there was no child. */
static int
try_in_child(const struct vmt_touch_events *events)
{
	const struct attributes attributes = describe(events, VMT_TOUCH_MINOR, 1);
	long child = vmt_sys_call6(SYS_clone, 0, 0, 0, 0, 0, 0);
	int status = 0;
	long result;

	if (child == 0) {
		vmt_sys_call2(SYS_prctl, PR_SET_DUMPABLE, 0);
		(void)open_event(&attributes, 0, -1);
		for (;;)
			vmt_sys_call1(SYS_exit_group, 0);
	}
	if (child < 0)
		return (int)child;
	do
		result = vmt_sys_call4(SYS_wait4, child, &status, __WALL, NULL);
	while (result == -EINTR);
	if (result < 0)
		return (int)result;
	return WIFSIGNALED(status) ? -EPERM : 0;
}

int
vmt_touch_events_probe(struct vmt_touch_events *events)
{
	int result;
	int fd;

	*events = (struct vmt_touch_events){
	    .has = VMT_TOUCH_HAS_SIZE | (VMT_TOUCH_UNWIND_COPIES ? VMT_TOUCH_HAS_STACK : 0),
	    .kernel = true,
	    .inherit = true,
	    .counts_losses = true};
	result = is_filtered() ? try_in_child(events) : 0;
	if (result < 0)
		return result;
	for (;;) {
		struct attributes attributes = describe(events, VMT_TOUCH_MINOR, 1);

		fd = open_event(&attributes, 0, -1);
		if (fd >= 0)
			break;
		if ((fd == -EACCES || fd == -EPERM) && events->kernel)
			events->kernel = false;
		else if ((fd != -EINVAL && fd != -E2BIG && fd != -EOPNOTSUPP) ||
			 !do_without(events))
			return fd;
	}
	vmt_sys_close(fd);
	return 0;
}

int
vmt_touch_events_open_ring(uint32_t cpu)
{
	struct attributes attributes = {
	    .type = PERF_TYPE_SOFTWARE,
	    .size = sizeof(attributes),
	    .config = PERF_COUNT_SW_DUMMY,
	    .flags = FLAG_EXCLUDE_KERNEL | FLAG_EXCLUDE_HV | FLAG_WATERMARK | FLAG_CLOCKID,
	    .wakeup_watermark = INT32_MAX, /* nobody waits: a wakeup would only cost */
	    .clockid = CLOCK_MONOTONIC,
	};

	return open_event(&attributes, 0, (int32_t)cpu);
}

/* Nothing is lost between the opening and the enabling: what comes before has no ring yet. */
static int
start(int fd, int ring_fd)
{
	int result = (int)vmt_sys_call3(SYS_ioctl, fd, PERF_EVENT_IOC_SET_OUTPUT, ring_fd);

	if (result == 0)
		result = (int)vmt_sys_call3(SYS_ioctl, fd, PERF_EVENT_IOC_ENABLE, 0);
	return result;
}

int
vmt_touch_events_open(const struct vmt_touch_events *events, const struct vmt_touch_wish *wish,
		      int ring_fd)
{
	struct attributes attributes = describe(events, wish->kind, wish->period);
	int fd = open_event(&attributes, wish->tid, (int32_t)wish->cpu);
	int result = fd < 0 ? fd : start(fd, ring_fd);

	if (result < 0 && fd >= 0)
		vmt_sys_close(fd);
	return result < 0 ? result : fd;
}

int
vmt_touch_events_read_id(int fd, uint64_t *id)
{
	return (int)vmt_sys_call3(SYS_ioctl, fd, PERF_EVENT_IOC_ID, (long)id);
}

uint64_t
vmt_touch_events_read_lost(const struct vmt_touch_events *events, int fd)
{
	uint64_t values[2] = {0, 0}; /* count, lost */

	if (!events->counts_losses ||
	    vmt_sys_read(fd, values, sizeof(values)) != (long)sizeof(values))
		return 0;
	return values[1];
}
