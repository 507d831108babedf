#include "inject/cuts_in_use.h"

#include "base/pages.h"
#include "inject/standing.h"

#include <errno.h>
#include <string.h>

/* Of one of Go's known functions: what is replaced lies within, right before the system call. */
#define GO_CUT_MOST_BYTES 16u

static struct vmt_syscall_site *
sites_of(const struct vmt_program_cuts *cuts)
{
	return (void *)cuts->sites.bytes;
}

/* A write may end between two pages, if this process is killed then. And the program may have
 * changed since it was looked at. */
static void
settle(const struct vmt_target *target, struct vmt_syscall_site *site)
{
	uint64_t last = site->address + VMT_CUTS_JUMP_BYTES - 1;
	uint8_t now[VMT_SITE_CUT_BYTES];

	if (site->verdict != VMT_SITE_CUT)
		return;
	if (vmt_target_read(target, site->address, now, site->cut_bytes) < 0 ||
	    memcmp(now, site->original, site->cut_bytes) != 0)
		site->verdict = VMT_SITE_UNKNOWN_CODE;
	else if (vmt_pages_down(site->address, vmt_page_bytes) !=
		 vmt_pages_down(last, vmt_page_bytes))
		site->verdict = VMT_SITE_TWO_PAGES;
}

/* What nobody may stand in: behind its first byte. Empty: nothing is replaced there. */
static struct vmt_standing_range
range_of(const struct vmt_syscall_site *site)
{
	if (site->verdict == VMT_SITE_CUT)
		return (struct vmt_standing_range){.low = site->address + 1, .high = site->syscall};
	if (site->verdict == VMT_SITE_GO_FORM)
		return (struct vmt_standing_range){.low = site->syscall - GO_CUT_MOST_BYTES,
						   .high = site->syscall};
	return (struct vmt_standing_range){.low = 0};
}

/* Of those in use that may be left as they are; false: another is in use. */
static bool
leave_occupied(struct vmt_program_cuts *cuts, const struct vmt_standing_range *ranges, bool leave)
{
	bool fine = true;

	for (size_t i = 0; i < cuts->sites_count; i++) {
		struct vmt_syscall_site *site = &sites_of(cuts)[i];

		if (!ranges[i].is_occupied)
			continue;
		if (leave && site->verdict == VMT_SITE_CUT)
			site->verdict = VMT_SITE_OCCUPIED;
		else
			fine = false;
	}
	return fine;
}

/* A function's first bytes lie in one page, for the same reason as a cut's. */
static void
settle_heap(struct vmt_heap_hooks *heap, const struct vmt_target *target)
{
	uint8_t now[VMT_SITE_CUT_BYTES];

	for (uint32_t i = 0; i < heap->count; i++) {
		const struct vmt_entry_site *site = &heap->functions[i].site;
		uint64_t last = site->address + site->cut_bytes - 1u;

		if (!heap->functions[i].is_led)
			continue;
		if (vmt_target_read(target, site->address, now, site->cut_bytes) < 0 ||
		    memcmp(now, site->original, site->cut_bytes) != 0)
			vmt_heap_hooks_refuse(heap, i, "is not as in its file");
		else if (vmt_pages_down(site->address, vmt_page_bytes) !=
			 vmt_pages_down(last, vmt_page_bytes))
			vmt_heap_hooks_refuse(heap, i, "begins at the end of a page");
	}
}

/* Behind their first byte, as of sites. */
static void
put_heap_ranges(const struct vmt_heap_hooks *heap, struct vmt_standing_range *ranges)
{
	for (uint32_t i = 0; i < heap->count; i++) {
		const struct vmt_entry_site *site = &heap->functions[i].site;

		if (heap->functions[i].is_led)
			ranges[i] = (struct vmt_standing_range){
			    .low = site->address + 1, .high = site->address + site->cut_bytes};
	}
}

static bool
leave_occupied_heap(struct vmt_heap_hooks *heap, const struct vmt_standing_range *ranges,
		    bool leave)
{
	bool fine = true;

	for (uint32_t i = 0; i < heap->count; i++) {
		if (!ranges[i].is_occupied)
			continue;
		fine &= leave;
		if (leave)
			vmt_heap_hooks_refuse(heap, i, "is run by a thread all the while");
	}
	return fine;
}

int
vmt_cuts_in_use_check(struct vmt_program_cuts *cuts, const struct vmt_target *target,
		      const struct vmt_stopped_threads *threads, bool leave)
{
	size_t count = cuts->sites_count + cuts->heap.count;
	struct vmt_buffer memory = {NULL, 0};
	struct vmt_standing_range *ranges;
	struct vmt_standing_range *heap_ranges;
	int result = 0;

	if (count == 0)
		return 0;
	if (!vmt_buffer_reserve(&memory, count * sizeof(*ranges)) || !memory.bytes)
		return -ENOMEM;
	ranges = (void *)memory.bytes;
	heap_ranges = ranges + cuts->sites_count;
	memset(ranges, 0, count * sizeof(*ranges));
	for (size_t i = 0; i < cuts->sites_count; i++) {
		settle(target, &sites_of(cuts)[i]);
		ranges[i] = range_of(&sites_of(cuts)[i]);
	}
	settle_heap(&cuts->heap, target);
	put_heap_ranges(&cuts->heap, heap_ranges);
	result = vmt_standing_find(target, threads, ranges, count);
	if (result == 0 && (!leave_occupied(cuts, ranges, leave) ||
			    !leave_occupied_heap(&cuts->heap, heap_ranges, leave)))
		result = -EBUSY;
	vmt_buffer_free(&memory);
	return result;
}
