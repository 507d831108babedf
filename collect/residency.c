#include "collect/residency.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "collect/pagemap_scan.h"

#include <errno.h>
#include <sys/mman.h>

/* The target's mmap lock is held for the length of a call. One finds this many pages at most; how
 * much address space it walks follows what the last one took, since page tables without pages cost
 * time as well, and address space without page tables costs none. */
#define SCAN_SLICE_PAGES 16384u
#define SCAN_SLICE_MIN_BYTES (UINT64_C(16) << 20)
#define SCAN_SLICE_FIRST_BYTES (UINT64_C(64) << 20)
#define SCAN_SLICE_MAX_BYTES (UINT64_C(1) << 30)
#define SCAN_LONG_NS UINT64_C(250000)
#define SCAN_SHORT_NS UINT64_C(60000)

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_EXCLUSIVE (UINT64_C(1) << 56)
#define ENTRY_GUARD (UINT64_C(1) << 58)
#define ENTRY_FRAME_MASK ((UINT64_C(1) << 55) - 1)
#define ENTRIES_AT_ONCE 512u
/* Entries that nobody wants are read along up to this many: so much of them costs a call. */
#define ENTRIES_BETWEEN 64u

/* Joins touching runs of one kind before they go on. */
struct gather {
	struct vmt_run run;
	const struct vmt_residency_sink *sink;
	bool stopped;
};

static void
gather_flush(struct gather *gather)
{
	if (gather->run.bytes && !gather->stopped &&
	    !gather->sink->put(gather->sink->context, &gather->run))
		gather->stopped = true;
	gather->run.bytes = 0;
}

static void
gather_put(struct gather *gather, uint64_t start, uint64_t bytes, uint32_t kind)
{
	struct vmt_run *run = &gather->run;

	vmt_assert(bytes != 0 && kind != 0);
	if (run->bytes && run->kind == kind && run->start + run->bytes == start) {
		run->bytes += bytes;
		return;
	}
	gather_flush(gather);
	*run = (struct vmt_run){.start = start, .bytes = bytes, .kind = kind};
}

static void
pause_between(const struct vmt_residency_reader *residency)
{
	if (residency->pause)
		residency->pause(residency->pause_context);
}

static uint32_t
kind_of_categories(uint64_t categories)
{
	if (categories & VMT_PAGE_IS_GUARD)
		return 0;
	return (categories & VMT_PAGE_IS_PRESENT ? VMT_RUN_PRESENT : 0) |
	       (categories & VMT_PAGE_IS_SWAPPED ? VMT_RUN_SWAPPED : 0) |
	       (categories & VMT_PAGE_IS_HUGE ? VMT_RUN_HUGE : 0) |
	       (categories & VMT_PAGE_IS_FILE ? VMT_RUN_FILE : 0) |
	       (categories & VMT_PAGE_IS_PFNZERO ? VMT_RUN_ZERO : 0);
}

static long
scan_slice(const struct vmt_residency_reader *residency, struct vmt_scan_argument *argument)
{
	long found;

	argument->size = sizeof(*argument);
	argument->regions = (uint64_t)(uintptr_t)residency->scratch;
	argument->region_count = VMT_RESIDENCY_SCRATCH_BYTES / sizeof(struct vmt_scan_region);
	argument->max_pages = SCAN_SLICE_PAGES;
	argument->category_any_of =
	    VMT_PAGE_IS_PRESENT | (residency->nothing_swapped ? 0 : VMT_PAGE_IS_SWAPPED);
	argument->return_mask =
	    argument->category_any_of | VMT_PAGE_IS_PFNZERO | VMT_PAGE_IS_HUGE |
	    (residency->knows_guards ? VMT_PAGE_IS_GUARD : 0) |
	    (residency->files == VMT_RESIDENCY_FILES_ASK ? VMT_PAGE_IS_FILE : 0);
	do {
		found = vmt_sys_call3(SYS_ioctl, residency->pagemap_fd, VMT_SCAN_REQUEST, argument);
	} while (found == -EINTR);
	return found;
}

/*
 * Where the next slice begins. Kernels leave a walk_end behind that lies before the last region
 * they gave, when their own buffer was full in between and the walk then went on to its end: what
 * was reported must not be walked again. A walk that got nowhere must not be begun again either.
 */
static uint64_t
scan_next(const struct vmt_scan_argument *argument, const struct vmt_scan_region *regions,
	  long found)
{
	uint64_t next = argument->walk_end;

	if (found > 0 && regions[found - 1].end > next)
		next = regions[found - 1].end;
	vmt_assert(argument->start < argument->end);
	return next > argument->start && next <= argument->end ? next : argument->end;
}

static uint64_t
next_slice_bytes(uint64_t slice_bytes, uint64_t took_ns)
{
	if (took_ns > SCAN_LONG_NS && slice_bytes > SCAN_SLICE_MIN_BYTES)
		return slice_bytes / 2;
	if (took_ns < SCAN_SHORT_NS && slice_bytes < SCAN_SLICE_MAX_BYTES)
		return slice_bytes * 2;
	return slice_bytes;
}

/* Entries of pagemap that were read along with earlier ones. */
struct entries {
	uint64_t start; /* address of the first one's page */
	uint64_t end;
	uint64_t words[ENTRIES_AT_ONCE];
};

/* How far entries are read at once that begin at `start`, in regions[0] or before it: over as many
 * regions as lie near each other. */
static uint64_t
reach(const struct vmt_scan_region *regions, long count, uint64_t start, uint64_t page_bytes)
{
	uint64_t most = start + ENTRIES_AT_ONCE * page_bytes;
	uint64_t end = regions[0].end;

	vmt_assert(count > 0 && start < end);
	for (long i = 1; i < count && end < most; i++) {
		if (regions[i].start - end > ENTRIES_BETWEEN * page_bytes)
			break;
		end = regions[i].end;
	}
	return end < most ? end : most;
}

/* 0, or negative errno: of what has gone meanwhile nothing is known. */
static int
read_entries(int pagemap_fd, uint64_t page_bytes, struct entries *entries)
{
	uint64_t wanted = (entries->end - entries->start) / page_bytes * sizeof(entries->words[0]);
	long got = -EINTR;

	vmt_assert(wanted > 0 && wanted <= sizeof(entries->words));
	while (got == -EINTR)
		got = vmt_sys_pread(pagemap_fd, entries->words, wanted,
				    entries->start / page_bytes * sizeof(entries->words[0]));
	if (got < (long)sizeof(entries->words[0])) {
		entries->end = entries->start;
		return got < 0 ? (int)got : -ESRCH;
	}
	entries->end = entries->start + (uint64_t)got / sizeof(entries->words[0]) * page_bytes;
	return 0;
}

/* The first region once more, by its entries; `count` regions follow each other. */
static int
put_with_shares(const struct vmt_residency_reader *residency, struct gather *gather,
		const struct vmt_scan_region *regions, long count, uint32_t kind,
		struct entries *entries)
{
	uint64_t page_bytes = residency->page_bytes;

	vmt_assert((regions[0].start | regions[0].end) % page_bytes == 0);
	for (uint64_t at = regions[0].start; at < regions[0].end; at += page_bytes) {
		uint64_t entry;
		bool shared;

		if (at < entries->start || at >= entries->end) {
			int result;

			entries->start = at;
			entries->end = reach(regions, count, at, page_bytes);
			result = read_entries(residency->pagemap_fd, page_bytes, entries);
			if (result < 0)
				return result;
		}
		vmt_assert(at >= entries->start && at < entries->end);
		entry = entries->words[(at - entries->start) / page_bytes];
		shared = (entry & ENTRY_PRESENT) && !(entry & ENTRY_EXCLUSIVE);
		gather_put(gather, at, page_bytes, kind | (shared ? VMT_RUN_SHARED : 0));
	}
	return 0;
}

static int
put_regions(const struct vmt_residency_reader *residency, struct gather *gather, long count)
{
	const struct vmt_scan_region *regions = (const void *)residency->scratch;
	uint32_t known = residency->files == VMT_RESIDENCY_FILES_ALL ? VMT_RUN_FILE : 0;
	struct entries entries;
	int result = 0;

	entries.start = entries.end = 0;
	for (long i = 0; i < count && result == 0; i++) {
		const struct vmt_scan_region *region = &regions[i];
		uint32_t kind = kind_of_categories(region->categories);

		if (!kind)
			continue;
		kind |= known;
		if (residency->shares && (kind & VMT_RUN_PRESENT) && !(kind & VMT_RUN_ZERO))
			result =
			    put_with_shares(residency, gather, region, count - i, kind, &entries);
		else
			gather_put(gather, region->start, region->end - region->start, kind);
	}
	return result;
}

static int
scan_by_ioctl(const struct vmt_residency_reader *residency, uint64_t start, uint64_t end,
	      struct gather *gather)
{
	const struct vmt_scan_region *regions = (const void *)residency->scratch;
	uint64_t slice_bytes = SCAN_SLICE_FIRST_BYTES;

	while (start < end && !gather->stopped) {
		uint64_t stop = end - start > slice_bytes ? start + slice_bytes : end;
		struct vmt_scan_argument argument = {.start = start, .end = stop};
		uint64_t before_ns = stop < end ? vmt_sys_clock_ns(CLOCK_MONOTONIC) : 0;
		long found = scan_slice(residency, &argument);
		int result;

		if (found < 0)
			return (int)found;
		if (stop < end)
			slice_bytes = next_slice_bytes(
			    slice_bytes, vmt_sys_clock_ns(CLOCK_MONOTONIC) - before_ns);
		result = put_regions(residency, gather, found);
		if (result < 0)
			return result;
		start = scan_next(&argument, regions, found);
		vmt_assert(start > argument.start && start <= end);
		pause_between(residency);
	}
	return 0;
}

static uint32_t
kind_of_entry(const struct vmt_residency_reader *residency, uint64_t entry)
{
	bool swapped =
	    (entry & ENTRY_SWAPPED) && !(entry & ENTRY_GUARD) && !residency->nothing_swapped;
	uint32_t kind =
	    (entry & ENTRY_PRESENT ? VMT_RUN_PRESENT : 0) | (swapped ? VMT_RUN_SWAPPED : 0);

	if (kind && (entry & ENTRY_FILE))
		kind |= VMT_RUN_FILE;
	if (residency->zero_frame && (entry & ENTRY_PRESENT) &&
	    (entry & ENTRY_FRAME_MASK) == residency->zero_frame)
		kind |= VMT_RUN_ZERO;
	else if ((entry & ENTRY_PRESENT) && !(entry & ENTRY_EXCLUSIVE))
		kind |= VMT_RUN_SHARED;
	return kind;
}

static int
scan_by_read(const struct vmt_residency_reader *residency, uint64_t start, uint64_t end,
	     struct gather *gather)
{
	uint64_t page_bytes = residency->page_bytes;
	const uint64_t *entries = (const void *)residency->scratch;

	while (start < end && !gather->stopped) {
		uint64_t wanted = (end - start) / page_bytes * sizeof(*entries);
		long got;

		if (wanted > VMT_RESIDENCY_SCRATCH_BYTES)
			wanted = VMT_RESIDENCY_SCRATCH_BYTES;
		got = vmt_sys_pread(residency->pagemap_fd, residency->scratch, wanted,
				    start / page_bytes * sizeof(*entries));
		if (got == -EINTR)
			continue;
		if (got < (long)sizeof(*entries))
			return got < 0 ? (int)got : -ESRCH;
		for (size_t i = 0; i < (size_t)got / sizeof(*entries); i++) {
			uint32_t kind = kind_of_entry(residency, entries[i]);

			if (kind)
				gather_put(gather, start + i * page_bytes, page_bytes, kind);
		}
		vmt_assert((uint64_t)got <= wanted);
		start += (uint64_t)got / sizeof(*entries) * page_bytes;
		pause_between(residency);
	}
	return 0;
}

static int
scan_by_mincore(const struct vmt_residency_reader *residency, uint64_t start, uint64_t end,
		struct gather *gather)
{
	uint64_t page_bytes = residency->page_bytes;

	while (start < end && !gather->stopped) {
		uint64_t pages = (end - start) / page_bytes;
		long result;

		if (pages > VMT_RESIDENCY_SCRATCH_BYTES)
			pages = VMT_RESIDENCY_SCRATCH_BYTES;
		result = vmt_sys_call3(SYS_mincore, start, pages * page_bytes, residency->scratch);
		if (result == -EAGAIN)
			continue;
		if (result < 0)
			return (int)result;
		for (uint64_t i = 0; i < pages; i++) {
			if (residency->scratch[i] & 1)
				gather_put(gather, start + i * page_bytes, page_bytes,
					   VMT_RUN_PRESENT);
		}
		start += pages * page_bytes;
		pause_between(residency);
	}
	return 0;
}

int
vmt_residency_scan(const struct vmt_residency_reader *residency, uint64_t start, uint64_t end,
		   const struct vmt_residency_sink *sink)
{
	struct gather gather = {.sink = sink};
	int result = -EOPNOTSUPP;

	vmt_assert(start <= end && (residency->page_bytes & (residency->page_bytes - 1)) == 0);
	if (residency->source == VMT_RESIDENCY_PAGEMAP_SCAN)
		result = scan_by_ioctl(residency, start, end, &gather);
	else if (residency->source == VMT_RESIDENCY_PAGEMAP)
		result = scan_by_read(residency, start, end, &gather);
	else if (residency->source == VMT_RESIDENCY_MINCORE)
		result = scan_by_mincore(residency, start, end, &gather);
	gather_flush(&gather);
	return result;
}

/* One page of our own that is read and so shows the zero page; failure is a value as of mmap. */
static volatile const unsigned char *
map_zero_page(void)
{
	volatile unsigned char *page = vmt_sys_mmap(NULL, vmt_page_bytes, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!vmt_sys_failed((const void *)(uintptr_t)page))
		(void)*page;
	return page;
}

/* The pagemap entry of an own page that was only read; 0 when it can't be had. */
static uint64_t
own_zero_entry(void)
{
	volatile const unsigned char *page = map_zero_page();
	int fd = vmt_procfs_open(0, "pagemap");
	uint64_t entry = 0;

	if (fd >= 0 && !vmt_sys_failed((const void *)(uintptr_t)page) &&
	    vmt_sys_pread(fd, &entry, sizeof(entry),
			  (uintptr_t)page / vmt_page_bytes * sizeof(entry)) != sizeof(entry))
		entry = 0;
	if (fd >= 0)
		vmt_sys_close(fd);
	if (!vmt_sys_failed((const void *)(uintptr_t)page))
		vmt_sys_call2(SYS_munmap, (uintptr_t)page, vmt_page_bytes);
	return entry;
}

bool
vmt_residency_knows_shares(const struct vmt_residency_reader *residency)
{
	return residency->source == VMT_RESIDENCY_PAGEMAP ||
	       (residency->source == VMT_RESIDENCY_PAGEMAP_SCAN && residency->shares);
}

uint64_t
vmt_residency_zero_frame(void)
{
	return own_zero_entry() & ENTRY_FRAME_MASK;
}

/* What PAGEMAP_SCAN can do here. */
enum scan_ability { SCAN_UNKNOWN_HERE, SCAN_PLAIN, SCAN_KNOWS_GUARDS };

/* Asks for a page of the stack, which is there. */
static bool
finds_own_page(int pagemap_fd, uint64_t mask)
{
	struct vmt_scan_region region = {0};
	uintptr_t page = (uintptr_t)&region & ~(uintptr_t)(vmt_page_bytes - 1);
	struct vmt_scan_argument argument = {
	    .size = sizeof(argument),
	    .start = page,
	    .end = page + vmt_page_bytes,
	    .regions = (uintptr_t)&region,
	    .region_count = 1,
	    .category_any_of = VMT_PAGE_IS_PRESENT,
	    .return_mask = mask,
	};

	return vmt_sys_call3(SYS_ioctl, pagemap_fd, VMT_SCAN_REQUEST, &argument) == 1 &&
	       region.start == page;
}

static enum scan_ability
ask_scan(void)
{
	int fd = vmt_procfs_open(0, "pagemap");
	enum scan_ability ability = SCAN_UNKNOWN_HERE;

	if (fd < 0)
		return SCAN_UNKNOWN_HERE;
	if (finds_own_page(fd, VMT_PAGE_IS_PRESENT | VMT_PAGE_IS_GUARD))
		ability = SCAN_KNOWS_GUARDS;
	else if (finds_own_page(fd, VMT_PAGE_IS_PRESENT))
		ability = SCAN_PLAIN;
	vmt_sys_close(fd);
	return ability;
}

bool
vmt_residency_works(enum vmt_residency_source source)
{
	unsigned char resident;
	uintptr_t page = (uintptr_t)&resident & ~(uintptr_t)(vmt_page_bytes - 1);

	switch (source) {
	case VMT_RESIDENCY_PAGEMAP_SCAN:
		return ask_scan() != SCAN_UNKNOWN_HERE;
	case VMT_RESIDENCY_PAGEMAP:
		return (own_zero_entry() & ENTRY_PRESENT) != 0;
	case VMT_RESIDENCY_MINCORE:
		return vmt_sys_call3(SYS_mincore, page, vmt_page_bytes, &resident) == 0;
	default:
		return false;
	}
}

static bool
offers(enum scan_ability scan, enum vmt_residency_source source)
{
	return source == VMT_RESIDENCY_PAGEMAP_SCAN ? scan != SCAN_UNKNOWN_HERE
						    : vmt_residency_works(source);
}

struct vmt_residency_choice
vmt_residency_choose(uint32_t wanted, bool own_process)
{
	static const uint8_t best_first[] = {VMT_RESIDENCY_PAGEMAP_SCAN, VMT_RESIDENCY_PAGEMAP,
					     VMT_RESIDENCY_MINCORE};
	enum scan_ability scan = ask_scan();
	struct vmt_residency_choice choice = {VMT_RESIDENCY_NONE, scan == SCAN_KNOWS_GUARDS};
	unsigned usable = own_process ? 3 : 2;

	for (unsigned i = 0; i < usable && choice.source == VMT_RESIDENCY_NONE; i++) {
		if (best_first[i] == wanted && offers(scan, best_first[i]))
			choice.source = best_first[i];
	}
	for (unsigned i = 0; i < usable && choice.source == VMT_RESIDENCY_NONE; i++) {
		if (offers(scan, best_first[i]))
			choice.source = best_first[i];
	}
	return choice;
}
