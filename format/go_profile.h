/*
 * go_profile.h: what a trace says of the memory profile that a Go runtime keeps
 *
 * The runtime samples allocations, one in MemProfileRate bytes on average, and counts for each size
 * and stack how many of the sampled objects were allocated and freed (runtime/mprof.go). Those that
 * its last finished collections did not free are live.
 *
 * A GO_PROFILE chunk holds struct vmt_go_profile_head, then its rows, one for each size and stack
 * that has live objects. With VMT_GO_PROFILE_SAME there are none: they are those of the last chunk
 * before without this flag. Rows are varints; docs/trace-format.md gives them one by one.
 * Freestanding: no allocation, no I/O. Thread and signal safe on separate coders. What is decoded
 * is untrusted: decoders never read past the end.
 */
#ifndef VMT_GO_PROFILE_H
#define VMT_GO_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_GO_PROFILE_FRAMES 128u	     /* of one row; outer ones beyond are left out */
#define VMT_GO_PROFILE_MOST UINT64_C(131072) /* buckets */
#define VMT_GO_PROFILE_ROW_MAX_BYTES(frames) (((frames) + 3u) * 10u)
/* Of an object, and of all objects of a row: more has no machine. */
#define VMT_GO_PROFILE_MOST_BYTES (UINT64_C(1) << 56)

/* flags */
#define VMT_GO_PROFILE_TOO_DEAR 1u    /* reading it would have cost too much: there are no rows */
#define VMT_GO_PROFILE_UNSTEADY 2u    /* it moved while it was read, each time: there are no rows */
#define VMT_GO_PROFILE_UNCOLLECTED 4u /* no collection has finished: nothing was freed yet */
#define VMT_GO_PROFILE_SAME 8u

struct vmt_go_profile_head {
	uint64_t time; /* ticks when all had been read */
	uint64_t monotonic_ns;
	uint32_t snapshot; /* index of the snapshot that follows in the file */
	uint32_t flags;
	uint64_t rate_bytes; /* runtime.MemProfileRate; 0: nothing is sampled now */
	uint64_t known;	     /* buckets of the runtime's list, those without live objects too */
	uint64_t rows;
	uint64_t unread; /* buckets that moved while they were read, or make no sense */
};

struct vmt_go_profile_row {
	uint64_t objects;      /* sampled, and live; not 0 */
	uint64_t object_bytes; /* of each; not 0 */
	uint32_t frames;
};

struct vmt_go_profile_coder {
	uint64_t address; /* of the last frame that was coded */
};

void vmt_go_profile_begin(struct vmt_go_profile_coder *coder);

/* Whether it can be. */
bool vmt_go_profile_is_row(const struct vmt_go_profile_row *row);

/* Returns the byte behind; the caller has made sure of VMT_GO_PROFILE_ROW_MAX_BYTES(row->frames) of
 * room. addresses: return addresses, innermost first, as many as row->frames. */
unsigned char *vmt_go_profile_put(struct vmt_go_profile_coder *coder, unsigned char *at,
				  const struct vmt_go_profile_row *row, const uint64_t *addresses);

/* addresses has room for VMT_GO_PROFILE_FRAMES. False: malformed. */
bool vmt_go_profile_get(struct vmt_go_profile_coder *coder, const unsigned char **at,
			const unsigned char *end, struct vmt_go_profile_row *row,
			uint64_t *addresses);

#endif
