#include "inject/attach_stop.h"

#include "base/sys.h"
#include "inject/tracee.h"

#include <errno.h>

#define ATTEMPTS 20u
#define TIMEOUTS 3u /* each costs the other threads STOP_NS */
#define STOP_NS UINT64_C(1000000000)
#define FIRST_PAUSE_NS UINT64_C(500000)
#define LONGEST_PAUSE_NS UINT64_C(200000000)
#define LET_GO_NS UINT64_C(1000000)
#define PATIENCE_NS UINT64_C(10000000000)

int
vmt_attach_stop_open(struct vmt_attach_stop *stop, const struct vmt_target *target)
{
	*stop = (struct vmt_attach_stop){.target = target, .patience_ns = PATIENCE_NS};
	return vmt_return_frame_find(&stop->frame, target);
}

static void
pause_for(uint64_t ns)
{
	struct timespec time = {0, (long)ns};

	vmt_sys_call2(SYS_nanosleep, &time, 0);
}

#if defined(__x86_64__)

#define CODE_OF_64_BITS 0x33u /* __USER_CS */

/* Whether it can make calls for us: it executes code of 64 bits, and no signal is about to be
 * delivered to it. */
static bool
can_serve(const struct vmt_stopped_thread *thread, const struct vmt_registers *registers)
{
	return thread->state == VMT_STOPPED_THREADS_STAND && registers->user.cs == CODE_OF_64_BITS;
}

/* The first thread by choice: what the kernel counts by thread is asked of it the most. -EBUSY: one
 * is in the way of the frame, or not of this process; -EDEADLK: none can. */
static int
choose_agent(struct vmt_attach_stop *stop)
{
	const struct vmt_stopped_thread *list = vmt_stopped_threads_list(&stop->threads);

	stop->agent = 0;
	for (uint32_t i = 0; i < stop->threads.count; i++) {
		struct vmt_registers registers;

		if (list[i].state == VMT_STOPPED_THREADS_GONE)
			continue;
		if (list[i].is_other)
			return -EBUSY;
		if (vmt_tracee_read_registers(list[i].tid, &registers) < 0)
			continue;
		if (!vmt_return_frame_is_clear_of(&stop->frame, registers.user.rsp))
			return -EBUSY;
		if ((stop->agent == 0 || list[i].tid == stop->threads.pid) &&
		    can_serve(&list[i], &registers))
			stop->agent = list[i].tid;
	}
	return stop->agent != 0 ? 0 : -EDEADLK;
}

static bool
is_among(uint64_t pointer, const uint64_t *pointers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pointers[i] == pointer)
			return true;
	return false;
}

/* The time grows with the square of the number of threads: 10,000 make 50 million comparisons. */
bool
vmt_attach_stop_shares_pointer(const struct vmt_attach_stop *stop)
{
	const struct vmt_stopped_thread *list = vmt_stopped_threads_list(&stop->threads);
	struct vmt_buffer buffer = {0};
	bool shares = false;
	uint64_t *pointers;
	size_t count = 0;

	if (!vmt_buffer_reserve(&buffer, stop->threads.count * sizeof(*pointers)) || !buffer.bytes)
		return true;
	pointers = (uint64_t *)(void *)buffer.bytes;
	for (uint32_t i = 0; i < stop->threads.count && !shares; i++) {
		struct vmt_registers registers;

		if (list[i].state == VMT_STOPPED_THREADS_GONE ||
		    vmt_tracee_read_registers(list[i].tid, &registers) < 0 ||
		    registers.user.fs_base == 0)
			continue;
		shares = is_among(registers.user.fs_base, pointers, count);
		pointers[count++] = registers.user.fs_base;
	}
	vmt_buffer_free(&buffer);
	return shares;
}

#else

bool
vmt_attach_stop_shares_pointer(const struct vmt_attach_stop *stop)
{
	(void)stop;
	return true;
}

static int
choose_agent(struct vmt_attach_stop *stop)
{
	stop->agent = 0;
	return -ENOSYS;
}

#endif

uint64_t
vmt_attach_stop_let_go(struct vmt_attach_stop *stop)
{
	uint64_t deadline_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + stop->patience_ns;

	while ((stop->held = vmt_stopped_threads_let_go(&stop->threads)) > 0 &&
	       vmt_sys_clock_ns(CLOCK_MONOTONIC) < deadline_ns)
		pause_for(LET_GO_NS);
	vmt_urgent_end(&stop->urgent);
	return vmt_sys_clock_ns(CLOCK_MONOTONIC) - stop->began_ns;
}

static int
try_once(struct vmt_attach_stop *stop,
	 int (*check)(void *context, const struct vmt_stopped_threads *threads, bool last),
	 void *context, bool last)
{
	int result;

	vmt_urgent_begin(&stop->urgent);
	stop->began_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	result = vmt_stopped_threads_stop(&stop->threads, stop->target->pid, 0,
					  stop->began_ns + STOP_NS);
	if (result == 0)
		result = choose_agent(stop);
	if ((result == -EBUSY || result == -EDEADLK) && last && stop->may_do_without) {
		stop->agent = 0;
		result = 0;
	}
	if (result == 0)
		result = check(context, &stop->threads, last);
	if (result < 0)
		(void)vmt_attach_stop_let_go(stop);
	return result;
}

int
vmt_attach_stop_run(struct vmt_attach_stop *stop,
		    int (*check)(void *context, const struct vmt_stopped_threads *threads,
				 bool last),
		    void *context)
{
	uint64_t pause_ns = FIRST_PAUSE_NS;
	uint32_t timeouts = 0;

	for (uint32_t i = 1;; i++) {
		bool ends = i == (stop->tries != 0 ? stop->tries : ATTEMPTS);
		bool last = ends && stop->tries == 0;
		int result = try_once(stop, check, context, last);

		if (stop->held > 0)
			return -ETIMEDOUT;
		timeouts += result == -ETIMEDOUT;
		if (ends || timeouts == TIMEOUTS ||
		    (result != -EBUSY && result != -EDEADLK && result != -ETIMEDOUT))
			return result;
		pause_for(pause_ns);
		pause_ns = pause_ns * 2 < LONGEST_PAUSE_NS ? pause_ns * 2 : LONGEST_PAUSE_NS;
	}
}

void
vmt_attach_stop_close(struct vmt_attach_stop *stop)
{
	vmt_return_frame_close(&stop->frame);
	vmt_stopped_threads_close(&stop->threads);
}
