/*
 * frame_rules.h: what does a file's table of frames say about an address of its code?
 *
 * The tables (.eh_frame_hdr, .eh_frame) are read from the file that is mapped, a few hundred bytes
 * an address: so the process gets no page that it did not use, and its tables can be asked for when
 * it has ended. A file is opened by its path as the process sees it (/proc/PID/root), else as the
 * collector does, and only if it is the mapped one (device, inode) and a regular file. Where it is
 * not to be had (deleted, another mount namespace's, the vDSO), the process's memory is read.
 *
 * Rules are remembered for all processes by file and address in the file. A file is known again by
 * device, inode, size and times of change. Descriptors are open from the first look until
 * vmt_frame_rules_rest. Single-threaded. Files and memory are untrusted: a look reads at most 40
 * KiB, and what can't be understood has the rule FRAME_POINTER.
 */
#ifndef VMT_FRAME_RULES_H
#define VMT_FRAME_RULES_H

#include "collect/code_ranges.h"
#include "unwind/cfi_rule.h"

#include <stdint.h>

#define VMT_FRAME_RULE_BITS 13
#define VMT_FRAME_OPEN_FILES 4u
#define VMT_FRAME_NO_FILE UINT16_MAX /* a range without tables: code made at run time */

struct vmt_frame_rule {
	uint64_t key; /* bits 0..47 address in the file, 48..63 the file's number; 0: empty */
	uint64_t rule;
};

struct vmt_frame_open_file {
	int fd; /* valid where file is not 0 */
	uint16_t file;
};

/* All zero at first. */
struct vmt_frame_rules {
	struct vmt_frame_rule *rules; /* 1 << VMT_FRAME_RULE_BITS, in `memory` */
	struct vmt_buffer memory;     /* rules, files, and room for what is read */
	uint32_t files_count;
	uint32_t epoch; /* of the files' numbers; 0: nothing is set up */
	uint32_t next_open;
	struct vmt_frame_open_file open[VMT_FRAME_OPEN_FILES];
};

uint32_t vmt_frame_rules_find_slow(struct vmt_frame_rules *rules,
				   const struct vmt_code_ranges *code, struct vmt_code_range *range,
				   uint64_t address);

/* The place of a key: a product's high bits are well mixed. */
static inline struct vmt_frame_rule *
vmt_frame_rules_place(const struct vmt_frame_rules *rules, uint64_t key)
{
	return &rules->rules[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - VMT_FRAME_RULE_BITS)];
}

static inline uint64_t
vmt_frame_rules_key(const struct vmt_code_range *range, uint64_t address)
{
	return (uint64_t)range->file << 48 | ((address - range->bias) & ((UINT64_C(1) << 48) - 1));
}

/* The rule (cfi_rule.h) for an address in a range of the process, never NONE. */
static inline uint32_t
vmt_frame_rules_find(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
		     struct vmt_code_range *range, uint64_t address)
{
	if (range->epoch == rules->epoch && rules->epoch != 0) {
		uint64_t key = vmt_frame_rules_key(range, address);
		const struct vmt_frame_rule *place = vmt_frame_rules_place(rules, key);

		if (place->key == key)
			return (uint32_t)place->rule;
	}
	return vmt_frame_rules_find_slow(rules, code, range, address);
}

/* Closes what was opened: no file is kept from its file system. */
void vmt_frame_rules_rest(struct vmt_frame_rules *rules);

void vmt_frame_rules_free(struct vmt_frame_rules *rules);

#endif
