/*
 * code_map.h: the code of one ELF file as it lies in a process, and where its functions are
 *
 * The program headers in the process say what is code and what is data: they are there in a
 * stripped program too. Copies of both are read once. Bounds of functions come from .eh_frame, and
 * from the symbols and frames that the host has found in the file (inject/file_functions.h). Where
 * nobody knows a function, code lies in a gap between two.
 *
 * The process is untrusted: what does not fit is an error, sizes are bounded. Memory is the map's
 * own (base/buffer.h), until close. Errors: negative errno. Not thread safe.
 */
#ifndef VMT_CODE_MAP_H
#define VMT_CODE_MAP_H

#include "base/buffer.h"
#include "inject/code_functions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_CODE_MAP_SEGMENTS 16u
#define VMT_CODE_MAP_MAX_BYTES (UINT64_C(2) << 30) /* of a file's copies */
#define VMT_CODE_MAP_MAX_FUNCTIONS 4000000u	   /* each as often as it was added */

/* Copies [address, address + bytes) out of the process. 0, or a negative errno; all or nothing. */
typedef int vmt_code_map_reader(void *context, uint64_t address, void *to, size_t bytes);

/* What the file had for a segment, as the process has it now. */
struct vmt_code_segment {
	uint64_t address;
	uint64_t length;
	const uint8_t *bytes;
	bool is_code;
};

struct vmt_code_map {
	struct vmt_code_segment segments[VMT_CODE_MAP_SEGMENTS]; /* ascending, disjoint */
	uint32_t segments_count;
	uint32_t whole; /* bit i: segment i is no longer in memory than in the file */
	uint64_t bias;	/* address in the process - address in the file */
	uint64_t low;	/* [low, high): span of the file in the process */
	uint64_t high;
	uint64_t table; /* data that holds no address of code, and need not be looked through */
	uint64_t table_bytes;
	struct vmt_code_function *functions; /* sorted by start, disjoint; after settle */
	size_t functions_count;
	bool has_frames; /* tables of frames were added: a compiler of C, C++ or Rust made some of
			    it */
	struct vmt_buffer bytes;
	struct vmt_buffer functions_buffer;
};

/* header: where the ELF header lies in the process. */
int vmt_code_map_open(struct vmt_code_map *map, uint64_t header, vmt_code_map_reader *read,
		      void *context);

/* The same by the file's own bytes, which the caller has and which must stay: nothing is copied.
 * What the loader relocates is as it was before. bias: address in the process - address in the
 * file. */
int vmt_code_map_open_file(struct vmt_code_map *map, const uint8_t *bytes, size_t length,
			   uint64_t bias);

/* The same of copies that the caller has; they must stay. */
int vmt_code_map_add_segment(struct vmt_code_map *map, const struct vmt_code_segment *segment);

/* One more function, in addresses of the process; what is no code, or empty, is left out.
 * -E2BIG: the map is full. */
int vmt_code_map_add_function(struct vmt_code_map *map, uint64_t start, uint64_t end);

/* The functions that the tables of frames in [address, address + bytes) cover; the table may end
 * before. Only relative addresses of 4 bytes, which compilers write. */
int vmt_code_map_add_frames(struct vmt_code_map *map, uint64_t address, uint64_t bytes);

/* After the last function: sorts them. Of two that overlap the later start bounds the earlier. */
void vmt_code_map_settle(struct vmt_code_map *map);

/* The bytes at an address, and how many lie there in one segment; NULL: none. */
const uint8_t *vmt_code_map_bytes(const struct vmt_code_map *map, uint64_t address, size_t *bytes);

/* The function around a code address, or the gap between two. False: not in code. */
struct vmt_code_stretch {
	uint64_t start;
	uint64_t end;
	bool is_function;
};
bool vmt_code_map_stretch(const struct vmt_code_map *map, uint64_t address,
			  struct vmt_code_stretch *stretch);

void vmt_code_map_close(struct vmt_code_map *map);

#endif
