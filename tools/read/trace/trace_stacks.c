#include "tools/read/trace/trace_stacks.h"

#include <errno.h>
#include <stdlib.h>

int
vmt_trace_stacks_load(struct vmt_trace_stacks *stacks, const struct vmt_file_reader *file,
		      const struct vmt_head *head, struct vmt_err *err)
{
	stacks->count =
	    head->stack_words_used < head->stack_words ? head->stack_words_used : head->stack_words;
	stacks->words = vmt_file_reader_copy(file, head->stack_words_offset,
					     stacks->count * sizeof(*stacks->words), err);
	if (stacks->words == NULL)
		return -EIO;
	stacks->whole = calloc(stacks->count / 64 + 1, sizeof(*stacks->whole));
	return stacks->whole != NULL ? 0
				     : vmt_err_set(err, ENOMEM, "%s: out of memory", file->path);
}

void
vmt_trace_stacks_free(struct vmt_trace_stacks *stacks)
{
	free(stacks->words);
	free(stacks->whole);
	stacks->words = NULL;
	stacks->whole = NULL;
	stacks->count = 0;
}

const uint64_t *
vmt_trace_stacks_get(struct vmt_trace_stacks *stacks, const struct vmt_head *head, uint32_t id,
		     uint32_t *count)
{
	if (!(head->features & VMT_FEATURE_STACKS_SHARED))
		return vmt_stack_table_get_unshared(stacks->words, stacks->count, id, count);
	*count = vmt_stack_table_read_many(stacks->words, stacks->count, id, stacks->whole,
					   stacks->frames);
	return *count != 0 ? stacks->frames : NULL;
}
