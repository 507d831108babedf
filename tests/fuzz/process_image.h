/*
 * process_image.h: the memory of a process, out of bytes.
 *
 * An input is one struct image_head, then its regions, each with the bytes behind it, then its
 * changes. A region lies in memory several times, one behind the other, and one word of it grows
 * each time: so a few bytes are a long list. A change happens after so many pieces have been read:
 * memory goes, comes back, or has another word. Of regions that lie over one another one is
 * read. Input that is cut short has what is there.
 */
#ifndef PROCESS_IMAGE_H
#define PROCESS_IMAGE_H

#include <stdint.h>

#define IMAGE_OBJECTS 8u
#define IMAGE_REGIONS 512u
#define IMAGE_CHANGES 32u
#define IMAGE_MOST_BYTES (UINT64_C(2) << 20) /* of memory */

#define IMAGE_NO_ALLOWANCE 1u /* flags: a dear heap is not read */

struct image_head {
	uint8_t version; /* which row of image_versions */
	uint8_t flags;
	uint16_t regions;
	uint16_t changes;
	uint16_t objects; /* a bit for each that is known */
	uint64_t addresses[IMAGE_OBJECTS];
	uint32_t object_bytes[2]; /* of those that are copied as they are */
};

struct image_region {
	uint64_t address;
	uint32_t bytes; /* that follow, padded to a multiple of 8 */
	uint32_t times; /* that they lie there */
	uint32_t grows; /* offset of the word that is `step` more each time; else beyond */
	uint32_t padding;
	uint64_t step;
};

enum image_change_kind { IMAGE_UNMAP, IMAGE_MAP, IMAGE_SET, IMAGE_ADD, IMAGE_CHANGE_KINDS };

struct image_change {
	uint32_t after; /* so many pieces */
	uint32_t kind;	/* enum image_change_kind, modulo their number */
	uint64_t address;
	uint64_t value; /* of a word */
};

#endif
