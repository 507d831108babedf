/*
 * touch_ring.h: takes records out of one of perf's ring buffers
 *
 * The kernel writes records of one processor into pages that it shares with the reader, and counts
 * in data_head the bytes it has written; the reader counts in data_tail those it has read
 * (perf_event_open(2)). A record begins with a header, has a multiple of 8 bytes, and may go over
 * the buffer's end to its start. Where the buffer is full the kernel drops records, and says how
 * many in the next one.
 *
 * A look first says how far one may read; then records are taken one by one. What is taken stays
 * where it is until it is given back. A header that can't be true ends the reading: the rest of
 * what is there is passed over and counted. Single-threaded.
 */
#ifndef VMT_TOUCH_RING_H
#define VMT_TOUCH_RING_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_TOUCH_RECORD_MAX_BYTES 65536u

struct vmt_touch_ring {
	struct perf_event_mmap_page *page;
	const unsigned char *data;
	uint64_t bytes;	  /* of data: a power of two */
	uint64_t head;	  /* at the last look */
	uint64_t tail;	  /* taken up to here */
	uint64_t damaged; /* headers that could not be true, until counted as losses */
	int fd;
	uint32_t cpu;
};

struct vmt_touch_record {
	uint32_t type; /* enum perf_event_type */
	uint16_t misc;
	const unsigned char *body; /* behind the header */
	size_t body_bytes;
};

/* Takes up pages that are mapped: the first, and data_bytes of data behind it. */
void vmt_touch_ring_begin(struct vmt_touch_ring *ring, void *pages, uint64_t page_bytes,
			  uint64_t data_bytes);

void vmt_touch_ring_look(struct vmt_touch_ring *ring);

/* Whether there is a record that was there at the last look; its time, in the clock of the events:
 * of a sample behind ip and ids, of others at the end, before the event's id. */
bool vmt_touch_ring_next(struct vmt_touch_ring *ring, uint64_t *time);

/* Takes it. The body lies in the buffer, or in the scratch of VMT_TOUCH_RECORD_MAX_BYTES. */
void vmt_touch_ring_take(struct vmt_touch_ring *ring, unsigned char *scratch,
			 struct vmt_touch_record *record);

/* All that was taken may be overwritten. */
void vmt_touch_ring_give_back(const struct vmt_touch_ring *ring);

#endif
