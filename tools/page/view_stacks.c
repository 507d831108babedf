#include "tools/page/view_stacks.h"

#include "tools/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOT 0u

struct text {
	const char *bytes;
	uint32_t number;
	UT_hash_handle hh;
};

struct frame_key {
	uint64_t place; /* where no function is known: in the module, or the address */
	uint32_t function;
	uint32_t file;
	uint32_t module;
	uint32_t line;
	uint32_t inlined;
	uint32_t zero; /* no padding in a key */
};

struct frame {
	struct frame_key key;
	uint32_t number;
	UT_hash_handle hh;
};

struct node_key {
	uint32_t parent;
	uint32_t frame;
};

struct node {
	struct node_key key;
	uint32_t number;
	UT_hash_handle hh;
};

/* Each table keeps the order in which its items were added, from number 1 (frames: 0) on. */
struct vmt_view_stacks {
	struct text *texts;
	struct frame *frames;
	struct node *nodes;
};

struct vmt_view_stacks *
vmt_view_stacks_new(void)
{
	return calloc(1, sizeof(struct vmt_view_stacks));
}

void
vmt_view_stacks_free(struct vmt_view_stacks *stacks)
{
	if (!stacks)
		return;
	VMT_HASH_TABLE_FREE(struct text, stacks->texts, free);
	VMT_HASH_TABLE_FREE(struct frame, stacks->frames, free);
	VMT_HASH_TABLE_FREE(struct node, stacks->nodes, free);
	free(stacks);
}

/* NULL is number 0. */
static int
add_text(struct vmt_view_stacks *stacks, const char *bytes, uint32_t *number)
{
	struct text *text;

	*number = 0;
	if (!bytes || !*bytes)
		return 0;
	HASH_FIND_STR(stacks->texts, bytes, text);
	if (!text) {
		text = calloc(1, sizeof(*text));
		if (!text)
			return -ENOMEM;
		text->bytes = bytes;
		text->number = HASH_COUNT(stacks->texts) + 1;
		HASH_ADD_KEYPTR(hh, stacks->texts, text->bytes, strlen(bytes), text);
		if (!text->hh.tbl) {
			free(text);
			return -ENOMEM;
		}
	}
	*number = text->number;
	return 0;
}

static int
add_frame(struct vmt_view_stacks *stacks, const struct vmt_frame *from, uint32_t *number)
{
	struct frame_key key = {.line = from->line, .inlined = from->inlined};
	struct frame *frame;

	if (add_text(stacks, from->function, &key.function) < 0 ||
	    add_text(stacks, from->file, &key.file) < 0 ||
	    add_text(stacks, from->module, &key.module) < 0)
		return -ENOMEM;
	if (!key.function)
		key.place = from->module ? from->module_offset : from->address;
	HASH_FIND(hh, stacks->frames, &key, sizeof(key), frame);
	if (!frame) {
		frame = calloc(1, sizeof(*frame));
		if (!frame)
			return -ENOMEM;
		frame->key = key;
		frame->number = HASH_COUNT(stacks->frames);
		HASH_ADD(hh, stacks->frames, key, sizeof(frame->key), frame);
		if (!frame->hh.tbl) {
			free(frame);
			return -ENOMEM;
		}
	}
	*number = frame->number;
	return 0;
}

static int
add_node(struct vmt_view_stacks *stacks, uint32_t parent, uint32_t frame, uint32_t *number)
{
	struct node_key key = {.parent = parent, .frame = frame};
	struct node *node;

	HASH_FIND(hh, stacks->nodes, &key, sizeof(key), node);
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node)
			return -ENOMEM;
		node->key = key;
		node->number = HASH_COUNT(stacks->nodes) + 1;
		HASH_ADD(hh, stacks->nodes, key, sizeof(node->key), node);
		if (!node->hh.tbl) {
			free(node);
			return -ENOMEM;
		}
	}
	*number = node->number;
	return 0;
}

int
vmt_view_stacks_add(struct vmt_view_stacks *stacks, const struct vmt_stack_frames *stack,
		    size_t deepest, uint32_t *node)
{
	*node = ROOT;
	for (size_t i = stack->count; i > 0 && stack->count - i < deepest; i--) {
		uint32_t frame;

		if (add_frame(stacks, &stack->frames[i - 1], &frame) < 0 ||
		    add_node(stacks, *node, frame, node) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void
write_frames(const struct vmt_view_stacks *stacks, struct vmt_emitter *emitter)
{
#define COLUMN(name, value)                                                                        \
	do {                                                                                       \
		vmt_emitter_array(emitter, name);                                                  \
		for (const struct frame *frame = stacks->frames; frame; frame = frame->hh.next)    \
			vmt_emitter_u64(emitter, NULL, value);                                     \
		vmt_emitter_array_end(emitter);                                                    \
	} while (0)

	vmt_emitter_object(emitter, "frames");
	COLUMN("function", frame->key.function);
	COLUMN("file", frame->key.file);
	COLUMN("line", frame->key.line);
	COLUMN("module", frame->key.module);
	COLUMN("inlined", frame->key.inlined);
#undef COLUMN
	vmt_emitter_array(emitter, "address");
	for (const struct frame *frame = stacks->frames; frame; frame = frame->hh.next) {
		if (frame->key.function)
			vmt_emitter_string(emitter, NULL, NULL);
		else
			vmt_emitter_address(emitter, NULL, frame->key.place);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

void
vmt_view_stacks_write(const struct vmt_view_stacks *stacks, struct vmt_emitter *emitter)
{
	vmt_emitter_array(emitter, "strings");
	vmt_emitter_string(emitter, NULL, "");
	for (const struct text *text = stacks->texts; text; text = text->hh.next)
		vmt_emitter_string(emitter, NULL, text->bytes);
	vmt_emitter_array_end(emitter);
	write_frames(stacks, emitter);
	vmt_emitter_object(emitter, "nodes");
	vmt_emitter_array(emitter, "parent");
	vmt_emitter_u64(emitter, NULL, ROOT);
	for (const struct node *node = stacks->nodes; node; node = node->hh.next)
		vmt_emitter_u64(emitter, NULL, node->key.parent);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "frame");
	vmt_emitter_i64(emitter, NULL, -1);
	for (const struct node *node = stacks->nodes; node; node = node->hh.next)
		vmt_emitter_u64(emitter, NULL, node->key.frame);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}
