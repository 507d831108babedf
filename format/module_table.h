/*
 * module_table.h: the files that were loaded into the process, and how they are known again
 *
 * Descriptors of modules, append-only bytes in the head's mapping; events MODULE_LOAD and
 * MODULE_UNLOAD say when one was where. A descriptor's id is its byte offset in the region; the
 * region's first 8 bytes are unused, so 0 means "none". Written by one thread at a time (the caller
 * sees to it), published by a release store of the region's used counter. A descriptor also tells
 * where the module was when it was added, for a reader whose MODULE_LOAD events were lost.
 */
#ifndef VMT_MODULE_TABLE_H
#define VMT_MODULE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_BUILD_ID_MAX_BYTES 32u
#define VMT_MODULE_PATH_MAX_BYTES 4096u

/* Stored form: this header, then path_bytes of path, padded to 8. */
struct vmt_module_record {
	uint32_t record_bytes; /* with path and padding */
	uint16_t path_bytes;
	uint16_t build_id_bytes;
	unsigned char build_id[VMT_BUILD_ID_MAX_BYTES];
	uint64_t low; /* [low, high): where it was first mapped; 0: not known */
	uint64_t high;
	uint64_t bias;
};

struct vmt_module {
	const char *path; /* not NUL-terminated */
	uint32_t path_bytes;
	const unsigned char *build_id;
	uint32_t build_id_bytes;
	uint64_t low; /* [low, high): where it is, or first was; 0: not known */
	uint64_t high;
	uint64_t bias;
};

#define VMT_MODULE_FIRST_ID 8u

/* Id of the module, adding it when new; 0 when the region is full. */
uint32_t vmt_module_table_intern(unsigned char *region, uint64_t region_bytes,
				 uint64_t *shared_used, const struct vmt_module *module);

/* The module of an id in an untrusted region; false where there is none. */
bool vmt_module_table_get(const unsigned char *region, uint64_t used, uint32_t id,
			  struct vmt_module *module);

/* The id of what follows this module, if anything does; the first is VMT_MODULE_FIRST_ID. */
uint32_t vmt_module_table_next(uint32_t id, const struct vmt_module *module);

#endif
