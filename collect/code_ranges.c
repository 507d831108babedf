#include "collect/code_ranges.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/ticks.h"

#include <string.h>

#define CODE_END (UINT64_C(1) << 47) /* what lies above is the kernel's */
#define TIME_PART 32u
#define MIN_PAUSE_NS UINT64_C(1000000)

/* A walk through maps: the last mapping of a file's first byte goes with what follows of it. */
struct reading {
	struct vmt_code_ranges *code;
	uint64_t first;
	uint64_t inode;
	uint32_t device;
};

static struct vmt_code_range *
ranges_of(const struct vmt_code_ranges *code)
{
	return (struct vmt_code_range *)(void *)code->ranges.bytes;
}

/* The first range that ends behind an address. */
static uint32_t
first_behind(const struct vmt_code_ranges *code, uint64_t address)
{
	const struct vmt_code_range *ranges = ranges_of(code);
	uint32_t low = 0;
	uint32_t high = code->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (ranges[middle].high <= address)
			low = middle + 1;
		else
			high = middle;
	}
	vmt_assert(low == 0 || ranges[low - 1].high <= address);
	return low;
}

/* Makes `added` places at `at` in the place of `removed`. False: no room. */
static bool
replace(struct vmt_code_ranges *code, uint32_t at, uint32_t removed, uint32_t added)
{
	struct vmt_code_range *ranges = ranges_of(code);
	uint32_t count = code->count - removed + added;

	vmt_assert(at + removed <= code->count);
	if (count > VMT_CODE_RANGES)
		return false;
	memmove(&ranges[at + added], &ranges[at + removed],
		(code->count - at - removed) * sizeof(*ranges));
	code->count = count;
	return true;
}

static void
raise_low(struct vmt_code_range *range, uint64_t low)
{
	vmt_assert(low > range->low && low < range->high);
	range->file_offset += low - range->low;
	range->low = low;
}

/* Takes [low, high) out of all ranges; returns the place between those that are left. */
static uint32_t
cut(struct vmt_code_ranges *code, uint64_t low, uint64_t high)
{
	struct vmt_code_range *ranges = ranges_of(code);
	uint32_t at = first_behind(code, low);
	uint32_t end;

	if (at < code->count && ranges[at].low < low) {
		struct vmt_code_range right = ranges[at];

		ranges[at].high = low;
		at++;
		if (right.high > high) {
			raise_low(&right, high);
			if (replace(code, at, 0, 1))
				ranges[at] = right;
			else
				code->full = true;
			return at;
		}
	}
	for (end = at; end < code->count && ranges[end].high <= high; end++)
		;
	if (end < code->count && ranges[end].low < high)
		raise_low(&ranges[end], high);
	(void)replace(code, at, end - at, 0);
	return at;
}

static bool
is_same_path(const struct vmt_code_ranges *code, const struct vmt_code_range *range,
	     const struct vmt_mapping *mapping)
{
	return range->path_bytes == mapping->path_bytes &&
	       memcmp(vmt_code_ranges_path(code, range), mapping->path, mapping->path_bytes) == 0;
}

static bool
is_same(const struct vmt_code_range *range, const struct vmt_mapping *mapping)
{
	return range->low == mapping->start && range->high == mapping->end &&
	       range->file_offset == mapping->file_offset && range->inode == mapping->inode &&
	       range->device == mapping->device;
}

/* Byte 0 of the names is nobody's. False: no room. */
static bool
put_path(struct vmt_code_ranges *code, struct vmt_code_range *range,
	 const struct vmt_mapping *mapping)
{
	uint32_t at = code->name_bytes ? code->name_bytes : 1;

	if (mapping->path_bytes == 0)
		return true;
	if (mapping->path_bytes > VMT_CODE_NAME_BYTES - at ||
	    !vmt_buffer_reserve(&code->names, at + mapping->path_bytes))
		return false;
	memcpy(code->names.bytes + at, mapping->path, mapping->path_bytes);
	code->name_bytes = at + mapping->path_bytes;
	vmt_assert(code->name_bytes <= VMT_CODE_NAME_BYTES);
	range->path = at;
	range->path_bytes = mapping->path_bytes;
	return true;
}

/* The neighbour below is a part of the same file for the most part. */
static bool
name_range(struct vmt_code_ranges *code, uint32_t at, struct vmt_code_range *range,
	   const struct vmt_mapping *mapping)
{
	const struct vmt_code_range *below = at > 0 ? &ranges_of(code)[at - 1] : NULL;

	if (!below || below->path == 0 || !is_same_path(code, below, mapping))
		return put_path(code, range, mapping);
	range->path = below->path;
	range->path_bytes = below->path_bytes;
	return true;
}

static void
put(struct vmt_code_ranges *code, const struct vmt_mapping *mapping, uint64_t first)
{
	struct vmt_code_range range = {.low = mapping->start,
				       .high = mapping->end,
				       .file_offset = mapping->file_offset,
				       .inode = mapping->inode,
				       .device = mapping->device,
				       .first = first};
	uint32_t at;

	if (range.low >= range.high || range.high > CODE_END)
		return;
	at = cut(code, range.low, range.high);
	if (!name_range(code, at, &range, mapping) || !replace(code, at, 0, 1)) {
		code->full = true;
		return;
	}
	ranges_of(code)[at] = range;
	vmt_assert(at == 0 || ranges_of(code)[at - 1].high <= range.low);
	vmt_assert(at + 1 == code->count || ranges_of(code)[at + 1].low >= range.high);
	code->last = at;
}

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct reading *reading = context;
	struct vmt_code_ranges *code = reading->code;
	uint32_t at;

	if (mapping->file_offset == 0 && mapping->inode != 0) {
		reading->first = mapping->start;
		reading->inode = mapping->inode;
		reading->device = mapping->device;
	}
	if ((mapping->protection & PROT_EXEC) == 0)
		return true;
	at = first_behind(code, mapping->start);
	if (at < code->count && is_same(&ranges_of(code)[at], mapping))
		return true;
	put(code, mapping,
	    mapping->inode == reading->inode && mapping->device == reading->device ? reading->first
										   : 0);
	return !code->full;
}

static void
forget(struct vmt_code_ranges *code)
{
	code->count = code->name_bytes = code->last = 0;
	code->full = false;
}

static void
read_maps(struct vmt_code_ranges *code)
{
	char buffer[VMT_PROCFS_LINE_BYTES];
	struct reading reading = {.code = code};
	uint64_t begin_ns = vmt_ticks_monotonic_ns();
	uint64_t end_ns;

	if (code->maps_fd >= 0 && vmt_procfs_is_mapped(code->maps_fd)) {
		if (code->full)
			forget(code);
		vmt_sys_call3(SYS_lseek, code->maps_fd, 0, SEEK_SET);
		(void)vmt_procfs_walk_maps(code->maps_fd, buffer, sizeof(buffer), visit, &reading);
	}
	end_ns = vmt_ticks_monotonic_ns();
	code->read_again_ns = end_ns + MIN_PAUSE_NS + TIME_PART * (end_ns - begin_ns);
}

bool
vmt_code_ranges_open(struct vmt_code_ranges *code, uint32_t pid, int maps_fd)
{
	*code = (struct vmt_code_ranges){.pid = pid, .maps_fd = maps_fd};
	if (!vmt_buffer_reserve(&code->ranges, VMT_CODE_RANGES * sizeof(struct vmt_code_range)))
		return false;
	read_maps(code);
	return true;
}

void
vmt_code_ranges_put(struct vmt_code_ranges *code, const struct vmt_mapping *mapping)
{
	put(code, mapping, 0);
}

static struct vmt_code_range *
search(struct vmt_code_ranges *code, uint64_t address)
{
	uint32_t at = first_behind(code, address);

	if (at == code->count || ranges_of(code)[at].low > address)
		return NULL;
	code->last = at;
	return &ranges_of(code)[at];
}

struct vmt_code_range *
vmt_code_ranges_find_slow(struct vmt_code_ranges *code, uint64_t address)
{
	struct vmt_code_range *range = search(code, address);

	if (range || address >= CODE_END || vmt_ticks_monotonic_ns() < code->read_again_ns)
		return range;
	read_maps(code);
	return search(code, address);
}

void
vmt_code_ranges_close(struct vmt_code_ranges *code)
{
	vmt_buffer_free(&code->ranges);
	vmt_buffer_free(&code->names);
	code->count = 0;
}
