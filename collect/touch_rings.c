#include "collect/touch_rings.h"

#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "collect/touch_record.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define ACCOUNT_PART 8u
/* A limit that is none is taken for this. */
#define LIMIT_MOST_BYTES (UINT64_C(64) << 20)
#define DEFAULT_MLOCK_KB 516u
/* A fault takes about a microsecond, and its sample 8 KiB and two of them. */
#define FAULT_NS UINT64_C(1000)
#define SAMPLE_NS UINT64_C(2000)
#define STORM_BYTES (UINT64_C(320) << 20)
#define SHORTEST_NS UINT64_C(1000000)
#define LONGEST_NS UINT64_C(20000000)
#define WISH_LEAST_BYTES (UINT64_C(128) << 10)
#define ALL_MOST_BYTES (UINT64_C(32) << 20)
#define CAPABILITY_IPC_LOCK 14
#define CAPABILITY_VERSION 0x20080522u
#define COPY_MOST_BYTES 8192u
#define COPIES_A_RING 8u
#define SAMPLE_LEAST_BYTES 256u /* without the copy */

uint64_t
vmt_touch_rings_wish(uint64_t period, uint32_t cpus)
{
	uint64_t bytes = STORM_BYTES / period;
	uint64_t most_bytes = ALL_MOST_BYTES / cpus;

	if (bytes < WISH_LEAST_BYTES)
		bytes = WISH_LEAST_BYTES;
	return bytes < most_bytes ? bytes : most_bytes;
}

uint64_t
vmt_touch_rings_size(uint64_t account_bytes, uint32_t cpus, uint64_t page_bytes,
		     uint64_t most_bytes)
{
	uint64_t pages = account_bytes / ACCOUNT_PART / cpus / page_bytes;
	uint64_t size = page_bytes;

	if (pages < 2)
		return 0;
	while (2 * size <= (pages - 1) * page_bytes && 2 * size <= most_bytes)
		size *= 2;
	return size;
}

bool
vmt_touch_rings_next_cpu(const char *list, size_t length, uint32_t *next)
{
	struct vmt_text text = vmt_text_of(list, length);
	uint64_t first, last;

	do {
		if (!vmt_text_take_decimal(&text, &first))
			return false;
		last = first;
		if (vmt_text_skip(&text, '-') && !vmt_text_take_decimal(&text, &last))
			return false;
		if (first > last || last >= INT32_MAX)
			return false;
		if (last >= *next) {
			*next = first > *next ? (uint32_t)first : *next;
			return true;
		}
	} while (vmt_text_skip(&text, ','));
	return false;
}

/* The length, or negative errno. */
static long
read_text(const char *path, char *text, size_t room)
{
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	long length = fd < 0 ? fd : vmt_procfs_read(fd, text, room);

	if (fd >= 0)
		vmt_sys_close(fd);
	return length;
}

static uint64_t
mlock_kb(void)
{
	char text[32];
	long length = read_text("/proc/sys/kernel/perf_event_mlock_kb", text, sizeof(text));
	struct vmt_text line = vmt_text_of(text, length > 0 ? (size_t)length : 0);
	uint64_t kb;

	return vmt_text_take_decimal(&line, &kb) ? kb : DEFAULT_MLOCK_KB;
}

/* Whether this is the first user namespace, or one where all ids are what they are there. */
static bool
has_all_ids(void)
{
	char text[128];
	long length = read_text("/proc/self/uid_map", text, sizeof(text));
	struct vmt_text line = vmt_text_of(text, length > 0 ? (size_t)length : 0);
	uint64_t number = 0;

	for (unsigned field = 0; field < 3; field++) {
		vmt_text_skip_blanks(&line);
		if (!vmt_text_take_decimal(&line, &number))
			return false;
	}
	return number >= UINT32_MAX;
}

/* The kernel does not limit the locked memory of who has CAP_IPC_LOCK outside of namespaces. */
static bool
is_unlimited(void)
{
	struct {
		uint32_t version;
		int pid;
	} header = {CAPABILITY_VERSION, 0};
	uint32_t sets[2][3] = {{0}}; /* effective, permitted, inheritable; twice 32 bits */

	return vmt_sys_call2(SYS_capget, &header, sets) == 0 &&
	       (sets[0][0] >> CAPABILITY_IPC_LOCK & 1) && has_all_ids();
}

static uint64_t
account_bytes(uint32_t cpus)
{
	struct rlimit limit = {0, 0};
	uint64_t bytes = mlock_kb() * 1024 * cpus;

	if (is_unlimited())
		return ACCOUNT_PART * ALL_MOST_BYTES * 2;
	(void)vmt_sys_call4(SYS_prlimit64, 0, RLIMIT_MEMLOCK, NULL, &limit);
	return bytes + (limit.rlim_cur < LIMIT_MOST_BYTES ? limit.rlim_cur : LIMIT_MOST_BYTES);
}

uint64_t
vmt_touch_rings_filled_ns(uint64_t ring_bytes, uint32_t copy_bytes, uint64_t period)
{
	uint64_t samples = ring_bytes / (copy_bytes + SAMPLE_LEAST_BYTES);
	uint64_t filled_ns = samples * (period * FAULT_NS + SAMPLE_NS);

	if (filled_ns < SHORTEST_NS)
		return SHORTEST_NS;
	return filled_ns < LONGEST_NS ? filled_ns : LONGEST_NS;
}

static struct vmt_touch_ring *
rings_of(const struct vmt_touch *touch)
{
	return (struct vmt_touch_ring *)(void *)touch->rings.bytes;
}

static int
open_ring(struct vmt_touch *touch, uint32_t cpu)
{
	uint64_t page_bytes = touch->page_bytes;
	struct vmt_touch_ring *ring = &rings_of(touch)[touch->ring_count];
	int fd = vmt_touch_events_open_ring(cpu);
	void *pages;

	if (fd < 0)
		return fd;
	pages = vmt_sys_mmap(NULL, page_bytes + touch->ring_bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED, fd, 0);
	if (vmt_sys_failed(pages)) {
		vmt_sys_close(fd);
		return (int)(intptr_t)pages;
	}
	ring->fd = fd;
	ring->cpu = cpu;
	vmt_touch_ring_begin(ring, pages, page_bytes, touch->ring_bytes);
	touch->ring_count++;
	return 0;
}

/* A processor that has gone meanwhile has no ring. */
static int
open_all(struct vmt_touch *touch, const char *list, size_t length)
{
	for (uint32_t cpu = 0; vmt_touch_rings_next_cpu(list, length, &cpu); cpu++) {
		int result = vmt_buffer_reserve(&touch->rings, (touch->ring_count + 1) *
								   sizeof(struct vmt_touch_ring))
				 ? open_ring(touch, cpu)
				 : -ENOMEM;

		if (result < 0 && result != -ENODEV)
			return result;
	}
	return touch->ring_count ? 0 : -ENODEV;
}

static void
choose_copy(struct vmt_touch *touch)
{
	uint64_t bytes = touch->ring_bytes / COPIES_A_RING;

	touch->events.copy_bytes = 0;
	if (touch->events.has & VMT_TOUCH_HAS_STACK)
		touch->events.copy_bytes =
		    bytes < COPY_MOST_BYTES ? (uint32_t)bytes : COPY_MOST_BYTES;
}

/* The account may be in use: then with less. */
static int
open_smaller(struct vmt_touch *touch, const char *list, size_t length)
{
	int result = touch->ring_bytes ? -EPERM : -ENOMEM;

	while (touch->ring_bytes >= touch->page_bytes) {
		result = open_all(touch, list, length);
		if (result != -EPERM && result != -ENOMEM)
			break;
		vmt_touch_rings_close(touch);
		touch->ring_bytes /= 2;
		choose_copy(touch);
	}
	if (result < 0)
		vmt_touch_rings_close(touch);
	return result;
}

int
vmt_touch_rings_open(struct vmt_touch *touch)
{
	char list[4096];
	long length = read_text("/sys/devices/system/cpu/online", list, sizeof(list));
	uint32_t cpus = 0;

	if (length <= 0)
		return length < 0 ? (int)length : -ENODEV;
	for (uint32_t cpu = 0; vmt_touch_rings_next_cpu(list, (size_t)length, &cpu); cpu++)
		cpus++;
	if (cpus == 0)
		return -ENODEV;
	touch->page_bytes = vmt_page_bytes;
	touch->ring_bytes = vmt_touch_rings_size(account_bytes(cpus), cpus, touch->page_bytes,
						 vmt_touch_rings_wish(touch->period, cpus));
	choose_copy(touch);
	return open_smaller(touch, list, (size_t)length);
}

void
vmt_touch_rings_close(struct vmt_touch *touch)
{
	for (uint32_t i = 0; i < touch->ring_count; i++) {
		const struct vmt_touch_ring *ring = &rings_of(touch)[i];

		vmt_sys_munmap(ring->page, touch->page_bytes + ring->bytes);
		vmt_sys_close(ring->fd);
	}
	touch->ring_count = 0;
	vmt_buffer_free(&touch->rings);
}
