/* Over 500 lines: all ways to look at a range share one struct. */
#include "capture/record/resident_probe.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pages.h"
#include "base/roomy.h"
#include "base/sys.h"
#include "base/text.h"
#include "capture/core/clock.h"
#include "capture/core/guard.h"
#include "capture/record/file_ranges.h"
#include "capture/record/kernel_range.h"
#include "format/event.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Pages asked by one mincore call, which has a byte for each: of a buffer that is shared, as many
 * as the kernel takes at a time; else what may stand on a stack. */
#define CHUNK_PAGES 4096u
#define STACK_CHUNK_PAGES 512u
#define FILE_CHUNK_PAGES 128u
#define BUFFERS 4u
#define GRANULE_BYTES VMT_FILE_RANGES_GRANULE_BYTES

/* What a chunk may take: for its calls and a hole, and for each page. Several times what it does.
 */
#define ALLOWED_NS UINT64_C(50000)
#define ALLOWED_PAGE_NS UINT64_C(40)
#define ALLOWED_FILE_PAGE_NS UINT64_C(1000)

#define CALL_PAGES 64	 /* what a call counts as */
#define FILE_PAGE_COST 4 /* what a page that may be of a file counts as */
#define GIVEN_BACK 4	 /* pages for each that was found */

/* Pages asked by one move_pages call: 12 bytes of stack each; the kernel takes 16 at a time. */
#define BATCH_PAGES 16u

/* Ranges that move_pages is asked about at once. */
#define FEW_PAGES 2u

/* Pages asked of what is sampled; of what may be a file's one in so many, from that many on. */
#define POINTS 32u
#define FILE_PAGES_A_POINT 16u

/* mincore stores 0 or 1; a page it did not reach keeps this. */
#define NOT_REACHED 2u

struct look {
	struct vmt_resident_probe_budget *budget;
	uint64_t at;	     /* what lies before has been answered */
	uint64_t end;	     /* of the range */
	uint64_t pages;	     /* found in it */
	uint64_t allowed_ns; /* for the last chunk */
	bool dense;	     /* of a file's pages that were asked last, most are this process's */
	bool page_cache;     /* some file pages were asked by mincore alone */
	bool refused;	     /* the kernel answers no question of this kind */
	bool used_up;	     /* the budget, or what else keeps the rest from an exact answer */
};

/* move_pages was refused, as containers' filters do: not asked again. */
static bool no_statuses;

/* Asks move_pages about pages. True: each of present is whether the page is in this process's own
 * page table and not the zero page. False: the kernel would not say. */
static bool
ask_statuses(void *const *addresses, uint32_t count, bool *present)
{
	int status[BATCH_PAGES];

	vmt_assert(count <= BATCH_PAGES);
	if (vmt_atomic_load_relaxed(&no_statuses))
		return false;
	for (uint32_t index = 0; index < count; index++)
		status[index] = -ENOENT;
	if (vmt_sys_call6(SYS_move_pages, 0, count, (long)addresses, 0, (long)status, 0) < 0) {
		vmt_atomic_store_relaxed(&no_statuses, true);
		return false;
	}
	for (uint32_t index = 0; index < count; index++)
		present[index] = status[index] >= 0;
	return true;
}

/* Whether one page is there, by mincore. */
static bool
is_in_core(const void *address)
{
	unsigned char mark = 0;

	return vmt_sys_call3(SYS_mincore, address, vmt_page_bytes, &mark) == 0 && (mark & 1);
}

/* How many of a few pages are there, by move_pages where it is to be had, else by mincore. */
static uint32_t
count_pages(struct look *look, void *const *addresses, uint32_t count)
{
	bool present[BATCH_PAGES];
	bool told = ask_statuses(addresses, count, present);
	uint32_t found = 0;

	for (uint32_t index = 0; index < count; index++) {
		uint64_t address = (uint64_t)(uintptr_t)addresses[index];

		found += told ? present[index] : is_in_core(addresses[index]);
		look->page_cache |= !told && vmt_file_ranges_may_have(address, vmt_page_bytes);
	}
	return found;
}

/* Pages that were found pay for others, as long as there are such. */
static void
give_back(struct look *look, uint32_t found)
{
	struct vmt_resident_probe_budget *budget = look->budget;
	uint32_t paying = found < budget->found ? found : budget->found;

	look->pages += found;
	budget->found -= paying;
	budget->pages += (int64_t)paying * GIVEN_BACK;
}

/* The same of pages that were asked singly. */
static void
give_back_own(struct look *look, uint32_t asked, uint32_t found)
{
	struct vmt_resident_probe_budget *budget = look->budget;
	uint32_t paying = found < budget->own ? found : budget->own;

	vmt_assert(found <= asked);
	budget->singly -= asked;
	budget->singly += paying;
	budget->own -= paying;
	give_back(look, found);
}

/* Eight marks at a time: each is the lowest bit of a byte, and eight of them fit into one. */
static void
count_in_core(struct look *look, const unsigned char *marks, uint32_t pages)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint32_t found = 0;
	uint32_t page = 0;

	for (; page + 8 <= pages; page += 8) {
		uint64_t word;

		memcpy(&word, marks + page, sizeof(word));
		found += (uint32_t)(((word & ones) * ones) >> 56);
	}
	for (; page < pages; page++)
		found += marks[page] & 1;
	vmt_assert(found <= pages);
	give_back(look, found);
}

/* Finds up to a batch of pages that mincore has reported; moves *page behind them. */
static uint32_t
next_batch(const struct look *look, const unsigned char *marks, uint32_t pages, uint32_t *page,
	   void **addresses)
{
	uint32_t count = 0;

	for (; *page < pages && count < BATCH_PAGES; ++*page) {
		if (marks[*page] & 1)
			addresses[count++] = (void *)(uintptr_t)(look->at + *page * vmt_page_bytes);
	}
	return count;
}

/* Of pages that mincore has reported, those that are this process's own, as far as the budget goes.
 * Returns how far that was. */
static uint32_t
count_own(struct look *look, const unsigned char *marks, uint32_t pages)
{
	uint32_t page = 0;

	while (page < pages) {
		void *addresses[BATCH_PAGES];
		bool present[BATCH_PAGES];
		uint32_t next = page;
		uint32_t found = 0;
		uint32_t count = next_batch(look, marks, pages, &next, addresses);

		if (look->budget->singly < count) {
			look->used_up = true;
			break;
		}
		if (count != 0 && !ask_statuses(addresses, count, present)) {
			look->page_cache = true;
			count_in_core(look, marks + page, pages - page);
			return pages;
		}
		for (uint32_t index = 0; index < count; index++)
			found += present[index];
		give_back_own(look, count, found);
		vmt_assert(next > page && next <= pages);
		page = next;
	}
	return page;
}

static bool
are_most(uint64_t found, uint32_t asked)
{
	return found * 4 >= (uint64_t)asked * 3;
}

/* A batch of a file's pages where most are this process's own: mincore would only say that they are
 * there. False: the kernel would not say. */
static bool
look_at_dense(struct look *look, uint32_t pages)
{
	void *addresses[BATCH_PAGES];
	bool present[BATCH_PAGES];
	uint32_t count = pages < BATCH_PAGES ? pages : BATCH_PAGES;
	uint32_t found = 0;

	for (uint32_t index = 0; index < count; index++)
		addresses[index] = (void *)(uintptr_t)(look->at + index * vmt_page_bytes);
	look->used_up = look->budget->singly < count;
	if (look->used_up)
		return true;
	if (!ask_statuses(addresses, count, present))
		return false;
	for (uint32_t index = 0; index < count; index++)
		found += present[index];
	look->budget->pages -= (int64_t)count * FILE_PAGE_COST;
	give_back_own(look, count, found);
	look->allowed_ns = ALLOWED_NS + count * ALLOWED_FILE_PAGE_NS;
	look->dense = are_most(found, count);
	look->at += count * vmt_page_bytes;
	return true;
}

/* What one call is asked about: not more than there is room for, and all of it with or without file
 * pages. */
static uint32_t
chunk_pages(const struct look *look, uint32_t room, bool *file)
{
	uint64_t at = look->at;
	uint64_t end;

	*file = vmt_file_ranges_may_have(at, vmt_page_bytes);
	end = at + (*file ? FILE_CHUNK_PAGES : room) * vmt_page_bytes;
	if (end > look->end)
		end = look->end;
	for (at = (at | (GRANULE_BYTES - 1)) + 1; at < end; at += GRANULE_BYTES) {
		if (vmt_file_ranges_may_have(at, vmt_page_bytes) != *file)
			end = at;
	}
	vmt_assert(end > look->at && end <= look->end);
	vmt_assert((end - look->at) % vmt_page_bytes == 0);
	return (uint32_t)((end - look->at) / vmt_page_bytes);
}

static void
skip_hole(struct look *look)
{
	uint64_t next = vmt_kernel_range_next(look->at, look->end, &look->budget->skipped);

	if (next == VMT_KERNEL_RANGE_UNKNOWN)
		look->used_up = true;
	else
		look->at = next;
	vmt_assert(look->at <= look->end);
}

/* Of those that mincore has reported. */
static uint32_t
count_file_pages(struct look *look, const unsigned char *marks, uint32_t pages)
{
	uint64_t before = look->pages;
	uint32_t reached = count_own(look, marks, pages);

	look->dense = are_most(look->pages - before, pages);
	return reached;
}

/* Goes on over one chunk, and over the hole that it ends at. */
static void
look_at_chunk(struct look *look, unsigned char *marks, uint32_t room)
{
	bool file;
	uint32_t pages = chunk_pages(look, room, &file);
	uint32_t reached = pages;
	long result;

	vmt_assert(pages != 0 && pages <= room);
	if (file && look->dense && look_at_dense(look, pages))
		return;
	look->budget->pages -= CALL_PAGES + (int64_t)pages * (file ? FILE_PAGE_COST : 1);
	look->allowed_ns = ALLOWED_NS + pages * (file ? ALLOWED_FILE_PAGE_NS : ALLOWED_PAGE_NS);
	memset(marks, NOT_REACHED, pages);
	result = vmt_sys_call3(SYS_mincore, look->at, pages * vmt_page_bytes, marks);
	if (result < 0 && result != -ENOMEM) {
		look->refused = true;
		return;
	}
	if (result < 0) {
		const char *first = (const char *)marks;
		const char *hole = vmt_text_find_byte(first, pages, (char)NOT_REACHED);

		reached = hole ? (uint32_t)(hole - first) : pages;
	}
	if (file)
		reached = count_file_pages(look, marks, reached);
	else
		count_in_core(look, marks, reached);
	vmt_assert(reached <= pages);
	look->at += reached * vmt_page_bytes;
	vmt_assert(look->at <= look->end);
	if (result < 0 && !look->used_up && look->at < look->end)
		skip_hole(look);
}

static uint64_t
cpu_ns(void)
{
	return vmt_sys_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* A chunk that took very long, as thousands of small mappings do, is followed by another whose CPU
 * time is asked: what other threads took of the first does not count. A tick is a nanosecond at the
 * most. */
static void
watch_chunk(struct look *look, unsigned char *marks, uint32_t room)
{
	bool suspected = look->budget->slow;
	uint64_t began_ns = suspected ? cpu_ns() : 0;
	uint64_t began = vmt_clock_before();

	look_at_chunk(look, marks, room);
	look->budget->slow = vmt_clock_before() - began > look->allowed_ns;
	if (!suspected || !look->budget->slow)
		return;
	look->budget->slow = cpu_ns() - began_ns > look->allowed_ns;
	look->used_up |= look->budget->slow;
}

/* Little at first, and while it takes long. */
static void
look_with(struct look *look, unsigned char *marks, uint32_t room)
{
	uint32_t chunk = STACK_CHUNK_PAGES;

	while (look->at < look->end && !look->refused && !look->used_up) {
		look->used_up = look->budget->pages <= 0;
		if (!look->used_up)
			watch_chunk(look, marks, chunk);
		chunk = look->budget->slow ? STACK_CHUNK_PAGES : room;
	}
}

static void
look_with_stack(struct look *look)
{
	unsigned char marks[STACK_CHUNK_PAGES];

	look_with(look, marks, STACK_CHUNK_PAGES);
}

/* For long ranges. A buffer whose thread has left by a longjmp, or was not taken along by a fork,
 * stays taken. */
static void
look_with_buffer(struct look *look)
{
	static VMT_ROOMY unsigned char buffers[BUFFERS][CHUNK_PAGES];
	static uint8_t taken[BUFFERS];
	uint32_t index = 0;

	while (index < BUFFERS && __atomic_exchange_n(&taken[index], 1, __ATOMIC_ACQUIRE) != 0)
		index++;
	if (index == BUFFERS) {
		look_with_stack(look);
		return;
	}
	look_with(look, buffers[index], CHUNK_PAGES);
	vmt_atomic_store_release(&taken[index], 0);
}

/* One or two pages. */
static bool
look_at_few(struct look *look)
{
	void *addresses[FEW_PAGES];
	uint32_t count = (uint32_t)((look->end - look->at) / vmt_page_bytes);
	bool present[BATCH_PAGES];

	vmt_assert(count >= 1 && count <= FEW_PAGES);
	for (uint32_t index = 0; index < count; index++)
		addresses[index] = (void *)(uintptr_t)(look->at + index * vmt_page_bytes);
	if (!ask_statuses(addresses, count, present))
		return false;
	for (uint32_t index = 0; index < count; index++)
		look->pages += present[index];
	look->budget->pages -= CALL_PAGES;
	look->at = look->end;
	return true;
}

/* Another for each look, so that errors of many looks at ranges alike do not add up. */
static uint64_t
next_seed(void)
{
	static uint64_t looks;

	return __atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t
scatter(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* The part'th of equal parts of an address space's pages begins here. Parts are few: no overflow.
 */
static uint64_t
part_begin(uint64_t pages, uint64_t part, uint64_t parts)
{
	vmt_assert(parts != 0 && part <= parts && pages <= UINT64_MAX / parts);
	return pages * part / parts;
}

/* In how many parts the rest is sampled. */
static uint64_t
count_points(const struct look *look, uint64_t pages)
{
	uint64_t points = POINTS;

	if (vmt_file_ranges_may_have(look->at, vmt_page_bytes) &&
	    pages / FILE_PAGES_A_POINT > points)
		points = pages / FILE_PAGES_A_POINT;
	if (points > look->budget->points)
		points = look->budget->points;
	return points < pages ? points : pages;
}

/* Asks one page in each of equal parts of the rest, and adds what they say of it. */
static void
sample_rest(struct look *look)
{
	uint64_t pages = (look->end - look->at) / vmt_page_bytes;
	uint64_t points = count_points(look, pages);
	uint64_t seed = next_seed();
	uint32_t found = 0;
	uint32_t asked = 0;

	while (asked < points) {
		void *addresses[BATCH_PAGES];
		uint32_t count = 0;

		for (; count < BATCH_PAGES && asked < points; asked++) {
			uint64_t begin = part_begin(pages, asked, points);
			uint64_t length = part_begin(pages, asked + 1, points) - begin;
			uint64_t page = begin + scatter(seed + asked) % length;

			addresses[count++] = (void *)(uintptr_t)(look->at + page * vmt_page_bytes);
		}
		found += count_pages(look, addresses, count);
	}
	vmt_assert(found <= points);
	look->budget->points -= asked;
	if (asked == 0)
		look->refused = true;
	else
		look->pages += part_begin(pages, found, asked);
}

/* True: a sample. */
static bool
look_at_range(struct look *look)
{
	if (look->end - look->at <= FEW_PAGES * vmt_page_bytes && look->budget->pages > 0 &&
	    look_at_few(look))
		return false;
	if (look->end - look->at <= STACK_CHUNK_PAGES * vmt_page_bytes)
		look_with_stack(look);
	else
		look_with_buffer(look);
	if (look->refused || look->at >= look->end)
		return false;
	sample_rest(look);
	return true;
}

uint64_t
vmt_resident_probe_within(struct vmt_resident_probe_budget *budget, uint64_t address,
			  uint64_t length, uint8_t *marks)
{
	struct look look = {.budget = budget, .at = address & ~(vmt_page_bytes - 1), .dense = true};
	bool sampled;
	uint64_t rounded;

	*marks = 0;
	if (length == 0 || __builtin_add_overflow(length, address - look.at, &length) ||
	    !vmt_kernel_range_cut(look.at, length, &rounded) || !vmt_guard_syscalls_allowed())
		return 0;
	look.end = look.at + rounded;
	vmt_assert(rounded != 0 && look.end > look.at && rounded % vmt_page_bytes == 0);
	sampled = look_at_range(&look);
	if (look.refused)
		return 0;
	vmt_assert(look.pages <= rounded / vmt_page_bytes);
	*marks = VMT_MARK_LOOKED;
	if (look.page_cache)
		*marks |= VMT_MARK_PAGE_CACHE;
	if (sampled)
		*marks |= VMT_MARK_SAMPLED;
	return look.pages * vmt_page_bytes;
}

uint64_t
vmt_resident_probe_committed(uint64_t address, uint64_t length, uint8_t *marks)
{
	struct vmt_resident_probe_budget budget = VMT_RESIDENT_PROBE_BUDGET;

	return vmt_resident_probe_within(&budget, address, length, marks);
}
