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

static size_t
ranges_of(const struct vmt_program_cuts *cuts)
{
	return cuts->sites_count + cuts->heap.count;
}

static void
put_ranges(struct vmt_program_cuts *cuts, const struct vmt_target *target,
	   struct vmt_standing_range *ranges)
{
	for (size_t i = 0; i < cuts->sites_count; i++) {
		settle(target, &sites_of(cuts)[i]);
		ranges[i] = range_of(&sites_of(cuts)[i]);
	}
	settle_heap(&cuts->heap, target);
	put_heap_ranges(&cuts->heap, ranges + cuts->sites_count);
}

/* memory: of a group for each file, then of all ranges; all zero. */
static int
check(struct vmt_program_cuts *cuts, uint32_t files, const struct vmt_target *target,
      const struct vmt_stopped_threads *threads, bool leave, void *memory)
{
	struct vmt_standing_group *groups = memory;
	struct vmt_standing_range *ranges = (void *)(groups + files);
	bool fine = true;
	int result;

	for (uint32_t i = 0; i < files; i++) {
		groups[i] =
		    (struct vmt_standing_group){.ranges = ranges, .count = ranges_of(&cuts[i])};
		put_ranges(&cuts[i], target, ranges);
		ranges += groups[i].count;
	}
	result = vmt_standing_find(target, threads, groups, files);
	for (uint32_t i = 0; result == 0 && i < files; i++) {
		const struct vmt_standing_range *found = groups[i].ranges;

		fine &= leave_occupied(&cuts[i], found, leave);
		fine &= leave_occupied_heap(&cuts[i].heap, found + cuts[i].sites_count, leave);
	}
	return result < 0 || fine ? result : -EBUSY;
}

int
vmt_cuts_in_use_check(struct vmt_program_cuts *cuts, uint32_t files,
		      const struct vmt_target *target, const struct vmt_stopped_threads *threads,
		      bool leave)
{
	struct vmt_buffer memory = {NULL, 0};
	size_t count = 0;
	size_t bytes;
	int result;

	for (uint32_t i = 0; i < files; i++)
		count += ranges_of(&cuts[i]);
	if (count == 0)
		return 0;
	bytes =
	    files * sizeof(struct vmt_standing_group) + count * sizeof(struct vmt_standing_range);
	if (!vmt_buffer_reserve(&memory, bytes) || !memory.bytes)
		return -ENOMEM;
	memset(memory.bytes, 0, bytes);
	result = check(cuts, files, target, threads, leave, memory.bytes);
	vmt_buffer_free(&memory);
	return result;
}
