/*
 * stack_table.h: makes a 32-bit id of a call stack
 *
 * Interned, append-only, in the head's mapping, so that it survives the process. Stacks share their
 * outer frames. A record is a run of 64-bit words: return addresses, innermost first, then an end
 * word (bit 63 set; bits 56..62 number of the record's frames less one, 32..55 a checksum, 0..31
 * the id at which the stack goes on outwards, 0: nowhere). An id is the index of a frame's word:
 * of a record's first one, or of another, which is the stack without its inner frames. Word 0 is
 * never used, so id 0 means "none". A record goes on only at an earlier one.
 *
 * The index is open addressing of 64-bit entries: 0 empty, else bits 0..31 id, 32..63 bits of the
 * stack's key. Stacks that were asked for stand in it, and what is left of each stack where the
 * number of its outer frames is a multiple of VMT_STACK_STEP: there a new stack finds what it
 * shares with earlier ones, and in the record that it finds there what further frames it shares.
 * An entry is set by CAS after its record is complete (release), so a reader that finds an id may
 * read the record, and those where it goes on.
 *
 * Keys are the index's own hash: a polynomial over the frames, outermost first, so that the key of
 * a stack whose outer frames have been seen costs one step for each new inner frame.
 *
 * Insertion is lock-free and async-signal-safe; a lost race wastes one record.
 */
#ifndef VMT_STACK_TABLE_H
#define VMT_STACK_TABLE_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_STACK_MAX_FRAMES 128u
#define VMT_STACK_STEP 4u

/* The index has three parts, of 1/32, 7/32 and 3/4 of its entries: a stack stands in the first one
 * where the cache line that its key chooses has room, or else in the next. So a program's first
 * few thousand stacks are found in memory that stays cached, and pages of the index are touched as
 * there are stacks for them. In the last part the lines behind the chosen one may be taken, too. */
#define VMT_STACK_LINE 8u
#define VMT_STACK_LINES 8u	/* looked at before the table counts as full */
#define VMT_STACK_PART_LINES 3u /* looked at for what is left of a stack without inner frames */
#define VMT_STACK_MIN_ENTRIES 64u

struct vmt_stack_table {
	uint64_t *index;
	uint64_t index_mask; /* entries - 1; a power of two, at least VMT_STACK_MIN_ENTRIES */
	uint64_t *words;
	uint64_t words_count;
	uint64_t *words_used; /* shared counter, in words; may run past words_count when full */
	uint64_t *dropped;    /* shared counter */
	/* So many words have memory; NULL: all. To write to others may be fatal (SIGBUS). */
	const uint64_t *backed_words;
	/* Gives memory to all words below this number. False: there is none. */
	bool (*back)(uint64_t words);
};

#define VMT_STACK_KEY_FACTOR UINT64_C(0xd1342543de82ef95)

/* The key of a frame and all frames further out, given that of those further out (none: 0). */
static inline uint64_t
vmt_stack_table_add_frame(uint64_t outer, uint64_t frame)
{
	return outer * VMT_STACK_KEY_FACTOR + frame * UINT64_C(0x9e3779b97f4a7c15);
}

/* The key of `count` frames, given that of these and all further out, and of those further out. */
uint64_t vmt_stack_table_cut(uint64_t all, uint64_t outer, uint32_t count);

/* Id of the stack, interning it when new. 0 when the table is full (counted) or count is 0. A stack
 * ends before an address with bit 63 set: no code of a program has one. */
uint32_t vmt_stack_table_intern(const struct vmt_stack_table *table, const uint64_t *frames,
				uint32_t count);

/* The same for a stack whose key is known. count <= VMT_STACK_MAX_FRAMES. known: NULL, or for each
 * frame the id of the stack that begins with it, which the caller has from this function for these
 * very frames; 0: not known. More of them are known afterwards. */
uint32_t vmt_stack_table_intern_keyed(const struct vmt_stack_table *table, const uint64_t *frames,
				      uint32_t count, uint64_t key, uint32_t *known);

/* Reader: copies the frames of an id. 0 where the id is not one (untrusted). */
uint32_t vmt_stack_table_read(const uint64_t *words, uint64_t words_count, uint32_t id,
			      uint64_t frames[VMT_STACK_MAX_FRAMES]);

/* The same for who asks for many ids of words that do not change meanwhile: a record's checksum is
 * computed once, not for each id that goes through it. whole: a bit for each word, zero before the
 * first call; a set one says that a sound record ends there. NULL: none. */
uint32_t vmt_stack_table_read_many(const uint64_t *words, uint64_t words_count, uint32_t id,
				   uint64_t *whole, uint64_t frames[VMT_STACK_MAX_FRAMES]);

/* The same of a trace without VMT_FEATURE_STACKS_SHARED, in which each stack has its own words: a
 * header word (bits 0..15 number of frames, 16..63 high bits of the hash), then the frames. NULL
 * where the id is not one. */
const uint64_t *vmt_stack_table_get_unshared(const uint64_t *words, uint64_t words_count,
					     uint32_t id, uint32_t *count);

#endif
