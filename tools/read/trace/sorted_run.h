/*
 * sorted_run.h: a few thousand records, decoded and in time order.
 *
 * A stretch is a few thousand records, decoded and put in time order: what the merge takes from the
 * front, one stretch against the others. Records of equal time: by rank, then by place in the
 * chunk. Events of one ring are nearly in order as they are (a writer may stop between its clock
 * reading and its claim), so ordering costs little more than looking.
 *
 * Owned by who makes it. Bytes are untrusted: false where they are not what the header promised.
 */
#ifndef VMT_SORTED_RUN_H
#define VMT_SORTED_RUN_H

#include "format/chunk.h"
#include "format/columns.h"
#include "tools/read/trace/touch_stacks.h"
#include "tools/read/trace/trace_record.h"

#include <stdbool.h>

#define VMT_SORTED_RUN_MAX_RECORDS 4096u

/* Order of records of equal time. */
enum vmt_sorted_run_rank {
	VMT_SORTED_RUN_RELEASE,
	VMT_SORTED_RUN_ACQUIRE,
	VMT_SORTED_RUN_NOTE,
	VMT_SORTED_RUN_USAGE,
	VMT_SORTED_RUN_SNAPSHOT,
};

struct vmt_sorted_run {
	struct vmt_sorted_run *next_spare; /* the owner's */
	uint64_t place; /* the owner's: before which others of equal time and rank */
	uint32_t room;
	uint32_t count;
	uint32_t next;	      /* the first that was not taken */
	uint32_t unknown;     /* events of kinds that are not known */
	uint8_t refused_kind; /* one of these that must not be skipped; 0: there is none */
	struct vmt_record records[];
};

enum vmt_sorted_run_rank vmt_sorted_run_rank(const struct vmt_record *record);

/* How far a payload has been decoded. */
struct vmt_sorted_run_cursor {
	struct vmt_columns_decoder events;
	const unsigned char *at; /* USAGE: the next record */
	const unsigned char *end;
	struct vmt_touch_decoder touches;
	uint64_t period;      /* of the touches */
	uint32_t first_stack; /* the reference of the chunk's first one: touch_stacks.h */
};

/* The stacks of a TOUCH chunk are added to stacks. 0, -EBADMSG or -ENOMEM. */
int vmt_sorted_run_begin(struct vmt_sorted_run_cursor *cursor, const struct vmt_chunk *chunk,
			 const unsigned char *bytes, size_t length,
			 struct vmt_touch_stacks *stacks);

/* Nothing is left of the payload. */
bool vmt_sorted_run_is_done(const struct vmt_sorted_run_cursor *cursor);

/* The next event, usage or touch of a payload. An earlier time than the chunk's is refused: it
 * would come too late in the stream. */
bool vmt_sorted_run_decode(const struct vmt_chunk *chunk, struct vmt_sorted_run_cursor *cursor,
			   struct vmt_record *record);

/* Decodes `count` records, at most the stretch's room, and puts them in order. scratch has room for
 * VMT_SORTED_RUN_MAX_RECORDS. */
bool vmt_sorted_run_fill(struct vmt_sorted_run *stretch, const struct vmt_chunk *chunk,
			 struct vmt_sorted_run_cursor *cursor, uint32_t count,
			 struct vmt_record *scratch);

/* Puts the stretch's records in order. */
void vmt_sorted_run_sort(struct vmt_sorted_run *stretch, struct vmt_record *scratch);

#endif
