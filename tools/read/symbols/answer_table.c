#include "tools/read/symbols/answer_table.h"

#include <stdlib.h>
#include <string.h>

const struct vmt_answer *
vmt_answer_table_find(const struct vmt_answer_table *answers, const void *question, size_t length)
{
	struct vmt_answer *found;

	HASH_FIND(hh, answers->table, question, length, found);
	return found;
}

const struct vmt_answer *
vmt_answer_table_add(struct vmt_answer_table *answers, const void *question, size_t question_bytes,
		     const void *answer, size_t answer_bytes)
{
	const struct vmt_answer *found = vmt_answer_table_find(answers, question, question_bytes);
	struct vmt_answer *added;

	if (found)
		return found;
	added = malloc(sizeof(*added) + question_bytes + answer_bytes);
	if (!added)
		return NULL;
	added->question_bytes = question_bytes;
	added->answer_bytes = answer_bytes;
	memcpy(added->bytes, question, question_bytes);
	memcpy(added->bytes + question_bytes, answer, answer_bytes);
	HASH_ADD_KEYPTR(hh, answers->table, added->bytes, question_bytes, added);
	if (added->hh.tbl)
		return added;
	free(added);
	return NULL;
}

void
vmt_answer_table_clear(struct vmt_answer_table *answers)
{
	VMT_HASH_TABLE_FREE(struct vmt_answer, answers->table, free);
}
