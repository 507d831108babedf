/*
 * code_ranges.h: which file's code lies where in a process?
 *
 * The executable mappings of one process, sorted, from /proc/PID/maps and from what the kernel
 * tells of mappings made later. A range stays after it was unmapped until something else lies
 * there: samples are looked at after the fact. Maps is read again where an address is met that lies
 * in no range, for at most one part in 32 of the time.
 *
 * Bounded: at most VMT_CODE_RANGES ranges and VMT_CODE_NAME_BYTES of paths; when they are used up,
 * what finds no room is left out, until the next reading of maps, which begins afresh.
 * Single-threaded. Maps is untrusted.
 */
#ifndef VMT_CODE_RANGES_H
#define VMT_CODE_RANGES_H

#include "base/buffer.h"
#include "base/maps_line.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CODE_RANGES 4096u
#define VMT_CODE_NAME_BYTES (UINT32_C(1) << 20)

struct vmt_code_range {
	uint64_t low; /* [low, high) is executable, or was when last looked at */
	uint64_t high;
	uint64_t file_offset; /* of low */
	uint64_t inode;	      /* 0: no file */
	uint64_t first;	      /* where the file's first byte is mapped; 0: not known */
	uint64_t bias;	      /* run-time address - address in the file; belongs to `file` */
	uint32_t device;      /* major << 20 | minor */
	uint32_t path;	      /* offset into the names; 0: none */
	uint32_t epoch;	      /* of the number `file` (frame_rules.h); 0: not looked up */
	uint16_t path_bytes;
	uint16_t file;
};

struct vmt_code_ranges {
	uint32_t pid;
	int maps_fd; /* the caller's */
	uint32_t count;
	uint32_t last; /* found last */
	uint32_t name_bytes;
	bool full; /* something was left out */
	uint64_t read_again_ns;
	struct vmt_buffer ranges; /* struct vmt_code_range */
	struct vmt_buffer names;
};

/* Reads maps. False: no memory. */
bool vmt_code_ranges_open(struct vmt_code_ranges *code, uint32_t pid, int maps_fd);

/* What lies there from now on. */
void vmt_code_ranges_put(struct vmt_code_ranges *code, const struct vmt_mapping *mapping);

struct vmt_code_range *vmt_code_ranges_find_slow(struct vmt_code_ranges *code, uint64_t address);

/* The path of a range, path_bytes long, without NUL. */
static inline const char *
vmt_code_ranges_path(const struct vmt_code_ranges *code, const struct vmt_code_range *range)
{
	return (const char *)code->names.bytes + range->path;
}

/* The range that holds an address; NULL: no code is known there. Valid until the next call. */
static inline struct vmt_code_range *
vmt_code_ranges_find(struct vmt_code_ranges *code, uint64_t address)
{
	struct vmt_code_range *last = (struct vmt_code_range *)(void *)code->ranges.bytes;

	if (code->last < code->count) {
		last += code->last;
		if (address - last->low < last->high - last->low)
			return last;
	}
	return vmt_code_ranges_find_slow(code, address);
}

void vmt_code_ranges_close(struct vmt_code_ranges *code);

#endif
