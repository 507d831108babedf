/*
 * answer_table.h: answers by question, once each.
 *
 * A table of byte strings by byte strings. Owned by whoever has the struct, which starts as zeros.
 */
#ifndef VMT_ANSWER_TABLE_H
#define VMT_ANSWER_TABLE_H

#include "tools/hash_table.h"

#include <stdbool.h>
#include <stddef.h>

struct vmt_answer {
	UT_hash_handle hh; /* in the order in which they were added */
	size_t question_bytes;
	size_t answer_bytes;
	unsigned char bytes[]; /* question, then answer */
};

struct vmt_answer_table {
	struct vmt_answer *table;
};

static inline const unsigned char *
vmt_answer_table_text(const struct vmt_answer *answer)
{
	return answer->bytes + answer->question_bytes;
}

/* NULL: never asked. */
const struct vmt_answer *vmt_answer_table_find(const struct vmt_answer_table *answers,
					       const void *question, size_t length);

/* Copies both. A question that was asked already keeps its answer. NULL when memory is short. */
const struct vmt_answer *vmt_answer_table_add(struct vmt_answer_table *answers,
					      const void *question, size_t question_bytes,
					      const void *answer, size_t answer_bytes);

void vmt_answer_table_clear(struct vmt_answer_table *answers);

#endif
