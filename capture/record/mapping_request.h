/*
 * mapping_request.h: the arguments of an mmap
 */
#ifndef VMT_MAPPING_REQUEST_H
#define VMT_MAPPING_REQUEST_H

#include <stdint.h>

struct vmt_mapping_request {
	uint64_t address;
	uint64_t length;
	int protection;
	int flags;
	int fd;
	uint64_t offset;
};

#endif
