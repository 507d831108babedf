/*
 * maps_line.h: one mapping of a process, as a line of /proc/PID/maps has it
 */
#ifndef VMT_MAPS_LINE_H
#define VMT_MAPS_LINE_H

#include <stdint.h>

struct vmt_mapping {
	uint64_t start;
	uint64_t end;
	uint64_t file_offset;
	uint64_t inode;
	uint32_t device;
	uint8_t protection; /* PROT_* bits */
	uint8_t shared;	    /* 1 = MAP_SHARED */
	uint8_t hugetlb;    /* 1 = of hugetlb pages */
	uint16_t path_bytes;
	const char *path; /* not NUL-terminated; "[heap]" and its like included */
};

/* A private anonymous mapping that the tracer made for itself: addresses [start, end). */
struct vmt_own_range {
	uint64_t start;
	uint64_t end;
};

#endif
