#include "capture/stacks/stack_bounds.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/core/recording.h"
#include "capture/go/go_stack.h"
#include "capture/stacks/library_stack.h"
#include "capture/stacks/stack_floors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define PAGE_OF(address) ((address) & ~(vmt_page_bytes - 1))

/* Pages probed in one go for a thread's range: deeper first looks stay page by page. */
#define LEARN_MAX_BYTES (UINT64_C(1) << 20)

/* The largest frame that is believed on an unknown stack. */
#define EXTEND_MAX_BYTES (UINT64_C(256) << 10)

/* How far below its end the main stack may reach: no other mapping is nearer. */
#define MAIN_MIN_BYTES (UINT64_C(64) << 20)
#define MAIN_MAX_BYTES (UINT64_C(1) << 30)

/* What a call takes that is recorded on the caller's stack. */
#define ROOM_BYTES (UINT64_C(6) << 10)

static uint64_t main_low;
static uint64_t main_high;
static bool probes_work;

static bool
probe(uint64_t address)
{
	return vmt_sys_call4(SYS_rt_sigprocmask, -1, address, NULL, 8) == -EINVAL;
}

static bool
may_probe(void)
{
	return probes_work && vmt_guard_syscalls_allowed();
}

bool
vmt_stack_bounds_can_be_read(uint64_t address)
{
	return may_probe() && probe(address);
}

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	static const char name[] = "[stack]";
	uint64_t *end = context;

	if (mapping->path_bytes != sizeof(name) - 1 ||
	    memcmp(mapping->path, name, sizeof(name) - 1) != 0)
		return true;
	*end = mapping->end;
	return false;
}

/* Where nothing told the address at which the program's own frames begin. 0: not to be had. */
static uint64_t
read_main_end(void)
{
	static VMT_ROOMY char buffer[VMT_PROCFS_LINE_BYTES];
	uint64_t end = 0;
	int fd = vmt_procfs_open(0, "maps");

	if (fd < 0)
		return 0;
	vmt_procfs_walk_maps(fd, buffer, sizeof(buffer), visit, &end);
	vmt_sys_close(fd);
	return end;
}

void
vmt_stack_bounds_set_up(void)
{
	struct rlimit limit = {0, 0};
	uint64_t bytes;

	probes_work =
	    probe((uint64_t)&bytes) && vmt_sys_call4(SYS_rt_sigprocmask, -1, 8, NULL, 8) == -EFAULT;
	main_high = vmt_recording.stack_start & ~UINT64_C(7);
	if (main_high <= (uint64_t)&bytes)
		main_high = read_main_end();
	if (main_high == 0)
		return;
	vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &limit);
	bytes = limit.rlim_cur < MAIN_MIN_BYTES	  ? MAIN_MIN_BYTES
		: limit.rlim_cur > MAIN_MAX_BYTES ? MAIN_MAX_BYTES
						  : PAGE_OF(limit.rlim_cur);
	main_low = main_high > bytes ? main_high - bytes : 0;
}

/* [low, high) is not the thread's own stack. */
static bool
note_foreign(struct vmt_thread *thread, uint64_t low, uint64_t high)
{
	thread->foreign_low = low;
	thread->foreign_high = high;
	return false;
}

/* Grows the thread's own range down to sp. The order of the two stores keeps the range valid at
 * every instant. */
static bool
learn(struct vmt_thread *thread, uint64_t sp)
{
	uint64_t top = vmt_thread_pointer();
	uint64_t from = PAGE_OF(sp);
	uint64_t to = thread->stack_high == top ? thread->stack_low : top;
	uint64_t floor;

	if (top == 0 || !may_probe() || sp >= to || to - from > LEARN_MAX_BYTES)
		return false;
	floor = vmt_stack_floors_of(top);
	if (floor > top) /* it may be known later */
		return false;
	if (sp < floor)
		return note_foreign(thread, from, floor < to ? floor : to);
	for (uint64_t page = from; page < to; page += vmt_page_bytes) {
		if (!probe(page))
			return note_foreign(thread, from, page);
	}
	if (thread->stack_high != top)
		vmt_atomic_store_release(&thread->stack_high, 0);
	vmt_atomic_store_release(&thread->stack_low, from);
	vmt_atomic_store_release(&thread->stack_high, top);
	return true;
}

static struct vmt_stack_bounds
up_to(uint64_t sp, uint64_t high)
{
	return (struct vmt_stack_bounds){.low = sp, .bytes = (high - sp) & ~UINT64_C(7)};
}

/* 0: it is not known. */
static uint64_t
find_floor(const struct vmt_thread *thread, uint64_t sp)
{
	uint64_t top = vmt_thread_pointer();
	uint64_t floor;

	if (!vmt_stack_floors_are_known(top))
		return vmt_library_stack_low(thread, sp);
	floor = vmt_stack_floors_of(top);
	return floor == 0 ? vmt_page_bytes : floor > top ? 0 : floor;
}

/* What was learnt before that may reach beyond the stack's beginning. */
static bool
has_floor(struct vmt_thread *thread, uint64_t sp)
{
	if (thread->floor != 0)
		return true;
	thread->floor = find_floor(thread, sp);
	if (thread->floor == 0)
		return false;
	vmt_atomic_store_release(&thread->stack_high, 0);
	vmt_atomic_store_release(&thread->stack_low, 0);
	thread->foreign_low = thread->foreign_high = 0;
	return true;
}

/* What lies below the main thread's control block is no stack. Another thread's stack may lie in a
 * frame of the main one. */
bool
vmt_stack_bounds_is_roomy(uint64_t sp, uint32_t main_thread_id)
{
	struct vmt_thread *thread = vmt_thread_mine();
	uint64_t low = sp - ROOM_BYTES;

	if (thread->thread_id == main_thread_id)
		return sp >= main_low && sp < main_high;
	if (vmt_thread_pointer() - sp >= VMT_STACK_TOP_BYTES || !has_floor(thread, sp) ||
	    low < thread->floor)
		return false;
	if (low >= thread->stack_low && sp < thread->stack_high)
		return true;
	return (low < thread->foreign_low || low >= thread->foreign_high) && learn(thread, low);
}

bool
vmt_stack_bounds_may_be_roomy(uint64_t address, uint64_t bytes)
{
	uint64_t top = vmt_thread_pointer();
	uint64_t end;

	if (top == 0 || __builtin_add_overflow(address, bytes, &end))
		return true;
	return (address < main_high && end > main_low) ||
	       (address < top && end > top - VMT_STACK_TOP_BYTES);
}

/* The end of the thread's own stack where that is known; 0 = it is not. */
static inline uint64_t
own_end(uint64_t sp)
{
	const struct vmt_thread *thread = vmt_thread_mine();

	if (sp >= main_low && sp < main_high)
		return main_high;
	return sp >= thread->stack_low && sp < thread->stack_high ? thread->stack_high : 0;
}

/* The end of a stack that is known without a look at its pages; 0 = it is not. */
static uint64_t
known_end(uint64_t sp)
{
	uint64_t end = own_end(sp);

	return end != 0 ? end : vmt_go_stack_end(sp);
}

static void __attribute__((noinline)) find_by_pages(struct vmt_stack_bounds *bounds, uint64_t sp)
{
	struct vmt_thread *thread = vmt_thread_mine();
	uint64_t end = vmt_go_stack_end(sp);

	if (end == 0 && (sp < thread->foreign_low || sp >= thread->foreign_high) &&
	    learn(thread, sp))
		end = thread->stack_high;
	bounds->low = sp;
	bounds->probing = end == 0;
	if (end == 0)
		end = PAGE_OF(sp) + vmt_page_bytes;
	bounds->bytes = (end - sp) & ~UINT64_C(7);
}

void
vmt_stack_bounds_find(struct vmt_stack_bounds *bounds, uint64_t sp)
{
	uint64_t end = own_end(sp);

	if (__builtin_expect(end != 0, 1)) {
		bounds->low = sp;
		bounds->bytes = (end - sp) & ~UINT64_C(7);
		bounds->probing = false;
	} else {
		find_by_pages(bounds, sp);
	}
}

static void
forget(struct vmt_thread *thread, uint64_t address, uint64_t length)
{
	if (address >= thread->stack_high ||
	    (address < thread->stack_low && length <= thread->stack_low - address))
		return;
	vmt_atomic_store_release(&thread->stack_high, 0);
	vmt_atomic_store_release(&thread->stack_low, 0);
}

/* A thread may have one state more, which its hooks use. */
void
vmt_stack_bounds_forget(uint64_t address, uint64_t length)
{
	struct vmt_thread *own = vmt_thread_find();

	forget(vmt_thread_mine(), address, length);
	if (own && own != vmt_thread_mine())
		forget(own, address, length);
}

struct vmt_stack_bounds
vmt_stack_bounds_of_unknown(uint64_t sp)
{
	uint64_t end = sp + EXTEND_MAX_BYTES;

	while (may_probe() && sp < end) {
		if (probe(sp))
			return vmt_stack_bounds_of(sp);
		sp = PAGE_OF(sp) + vmt_page_bytes;
	}
	return (struct vmt_stack_bounds){.low = sp, .bytes = 0};
}

/* Goroutines' stacks are known, and their neighbours are other goroutines': only what may be this
 * thread's own stack is probed. */
bool
vmt_stack_bounds_change(struct vmt_stack_bounds *bounds, uint64_t address)
{
	uint64_t end = known_end(address);

	if ((address & 7) != 0 || address < vmt_page_bytes) /* the end of a chain of frames */
		return false;
	if (end != 0) {
		*bounds = up_to(address, end);
		return true;
	}
	if (vmt_go_stack_is_known() && vmt_thread_pointer() - address > MAIN_MIN_BYTES)
		return false;
	if (!may_probe() || !probe(address))
		return false;
	*bounds = vmt_stack_bounds_of(address);
	return true;
}

bool
vmt_stack_bounds_extend(struct vmt_stack_bounds *bounds, uint64_t address)
{
	uint64_t end = bounds->low + bounds->bytes;

	if (!bounds->probing || !may_probe() || address < end || address - end > EXTEND_MAX_BYTES)
		return false;
	for (; end <= address; end = PAGE_OF(end) + vmt_page_bytes) {
		if (!probe(end))
			return false;
		bounds->bytes = PAGE_OF(end) + vmt_page_bytes - bounds->low;
	}
	return true;
}
