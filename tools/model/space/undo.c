#include "tools/model/space/undo.h"

#include "base/assert.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS 4096u
#define DEPTH 2u

struct slot {
	uint32_t thread;
	uint32_t newest;
	struct vmt_undo_record records[DEPTH];
};

struct vmt_undo {
	struct slot *slots[SLOTS];
};

struct vmt_undo *
vmt_undo_new(void)
{
	return calloc(1, sizeof(struct vmt_undo));
}

void
vmt_undo_free(struct vmt_undo *undo)
{
	if (!undo)
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		for (unsigned j = 0; undo->slots[i] && j < DEPTH; j++) {
			vmt_extents_clear(&undo->slots[i]->records[j].pieces);
			vmt_taken_touches_clear(&undo->slots[i]->records[j].touches);
		}
		free(undo->slots[i]);
	}
	free(undo);
}

struct vmt_undo_record *
vmt_undo_begin(struct vmt_undo *undo, const struct vmt_event *event)
{
	struct slot **slot = &undo->slots[event->thread % SLOTS];
	struct vmt_undo_record *record;

	if (!*slot)
		*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		return NULL;
	if ((*slot)->thread != event->thread)
		for (unsigned i = 0; i < DEPTH; i++)
			(*slot)->records[i].event.kind = 0;
	(*slot)->thread = event->thread;
	(*slot)->newest = ((*slot)->newest + 1) % DEPTH;
	assert((*slot)->newest < DEPTH);
	record = &(*slot)->records[(*slot)->newest];
	record->event = *event;
	record->pieces.count = 0;
	record->touches.count = 0;
	record->touches.seen.count = 0;
	return record;
}

struct vmt_undo_record *
vmt_undo_find(struct vmt_undo *undo, uint32_t thread, uint8_t kind, uint64_t address)
{
	struct slot *slot = undo->slots[thread % SLOTS];

	if (!slot || slot->thread != thread)
		return NULL;
	vmt_assert(slot->newest < DEPTH);
	for (unsigned i = 0; i < DEPTH; i++) {
		struct vmt_undo_record *record = &slot->records[(slot->newest + DEPTH - i) % DEPTH];
		uint8_t found = record->event.kind;

		if (found && (found == kind || !kind) && record->event.address == address)
			return record;
	}
	return NULL;
}
