#include "tools/model/report/frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A looked-up address: its frames lie together in the pool. */
struct lookup {
	uint64_t address; /* 0 = empty: no return address is */
	uint32_t span;
	uint32_t count;
	uint64_t first;
};

struct vmt_frames {
	struct vmt_frames_input input;
	struct vmt_lookup *symbols;
	uint64_t tracer_address;
	struct lookup *lookups; /* open addressing */
	size_t lookup_mask;
	size_t lookup_count;
	struct vmt_frame *pool;
	size_t pool_count;
	size_t pool_room;
	struct vmt_frame *stack; /* of the site in hand */
	size_t stack_count;
	size_t stack_room;
	uint32_t troubles;
	char trouble[512];
	unsigned char *troubled; /* by span: already counted */
	uint32_t troubled_room;
};

struct vmt_frames *
vmt_frames_new(const struct vmt_frames_input *input)
{
	struct vmt_frames *frames = calloc(1, sizeof(*frames));

	if (!frames)
		return NULL;
	frames->input = *input;
	frames->tracer_address = vmt_trace_head(input->trace)->tracer_address;
	frames->lookup_mask = 4095;
	frames->lookups = calloc(frames->lookup_mask + 1, sizeof(*frames->lookups));
	frames->symbols = input->symbols;
	if (frames->lookups)
		return frames;
	vmt_frames_free(frames);
	return NULL;
}

void
vmt_frames_free(struct vmt_frames *frames)
{
	if (!frames)
		return;
	free(frames->lookups);
	free(frames->pool);
	free(frames->stack);
	free(frames->troubled);
	free(frames);
}

static struct lookup *
entry_of(const struct vmt_frames *frames, uint64_t address, uint32_t span)
{
	uint64_t hash = (address ^ (uint64_t)span << 48) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slot = (hash >> 32) & frames->lookup_mask;

	for (;; slot = (slot + 1) & frames->lookup_mask) {
		struct lookup *found = &frames->lookups[slot];

		if (!found->address || (found->address == address && found->span == span))
			return found;
	}
}

static int
grow_lookups(struct vmt_frames *frames)
{
	struct lookup *old = frames->lookups;
	size_t old_room = frames->lookup_mask + 1;
	struct lookup *larger;

	if (frames->lookup_count <= frames->lookup_mask / 2)
		return 0;
	larger = calloc(old_room * 2, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	frames->lookups = larger;
	frames->lookup_mask = old_room * 2 - 1;
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].address)
			*entry_of(frames, old[i].address, old[i].span) = old[i];
	}
	free(old);
	return 0;
}

static struct vmt_frame *
pool_add(struct vmt_frames *frames)
{
	if (frames->pool_count == frames->pool_room) {
		size_t room = frames->pool_room ? frames->pool_room * 2 : 1024;
		struct vmt_frame *pool = reallocarray(frames->pool, room, sizeof(*pool));

		if (!pool)
			return NULL;
		frames->pool = pool;
		frames->pool_room = room;
	}
	return &frames->pool[frames->pool_count++];
}

static char *
keep(struct vmt_frames *frames, const char *string)
{
	return string ? vmt_string_set_intern(frames->input.strings, string, strlen(string)) : NULL;
}

/* Counts a module without lines once. */
static void
note_trouble(struct vmt_frames *frames, uint32_t span, const struct vmt_module *module)
{
	const char *why = vmt_lookup_trouble(frames->symbols, module);
	uint32_t room = frames->troubled_room ? frames->troubled_room : 64;
	unsigned char *troubled;

	while (room <= span)
		room *= 2;
	troubled = room > frames->troubled_room ? realloc(frames->troubled, room) : NULL;
	if (troubled) {
		memset(troubled + frames->troubled_room, 0, room - frames->troubled_room);
		frames->troubled = troubled;
		frames->troubled_room = room;
	}
	if (!why || span >= frames->troubled_room || frames->troubled[span])
		return;
	frames->troubled[span] = 1;
	if (!frames->troubles++)
		snprintf(frames->trouble, sizeof(frames->trouble), "%.*s: %s",
			 (int)module->path_bytes, module->path, why);
}

/* The frames of one address: as many as were inlined there, at least one. */
static int
look_up(struct vmt_frames *frames, struct lookup *lookup)
{
	struct vmt_frame plain = {.address = lookup->address};
	struct vmt_symbol symbols[VMT_SYMBOLS_MAX_INLINED] = {{0}};
	struct vmt_module module;
	size_t found = 0;

	if (lookup->span) {
		const struct vmt_span *span =
		    vmt_module_history_span(frames->input.history, lookup->span);

		plain.module_offset = lookup->address - span->bias;
		if (vmt_trace_module(frames->input.trace, span->module, &module)) {
			plain.module = vmt_string_set_intern(frames->input.strings, module.path,
							     module.path_bytes);
			if (frames->symbols)
				found = vmt_lookup_resolve(frames->symbols, &module,
							   plain.module_offset - 1, symbols);
			if (frames->symbols)
				note_trouble(frames, lookup->span, &module);
		}
	}
	lookup->first = frames->pool_count;
	lookup->count = found ? (uint32_t)found : 1;
	for (uint32_t i = 0; i < lookup->count; i++) {
		struct vmt_frame *frame = pool_add(frames);

		if (!frame)
			return -ENOMEM;
		*frame = plain;
		frame->function = keep(frames, symbols[i].function);
		frame->file = keep(frames, symbols[i].file);
		frame->line = symbols[i].line;
		frame->inlined = symbols[i].inlined;
	}
	return 0;
}

static int
find(struct vmt_frames *frames, uint64_t address, uint32_t span, struct lookup *found)
{
	struct lookup *entry;
	int status = grow_lookups(frames);

	if (status)
		return status;
	*found = (struct lookup){.address = address, .span = span};
	entry = entry_of(frames, address, span);
	if (address && entry->address) {
		*found = *entry;
		return 0;
	}
	status = look_up(frames, found);
	if (!status && address) {
		*entry = *found;
		frames->lookup_count++;
	}
	return status;
}

static bool
is_tracer(const struct vmt_frames *frames, uint32_t span)
{
	const struct vmt_span *module =
	    span ? vmt_module_history_span(frames->input.history, span) : NULL;

	return module && frames->tracer_address >= module->low &&
	       frames->tracer_address < module->high;
}

static int
append(struct vmt_frames *frames, const struct lookup *found)
{
	size_t needed = frames->stack_count + found->count;

	if (needed > frames->stack_room) {
		size_t room = 2 * needed;
		struct vmt_frame *items = reallocarray(frames->stack, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		frames->stack = items;
		frames->stack_room = room;
	}
	memcpy(frames->stack + frames->stack_count, frames->pool + found->first,
	       found->count * sizeof(*frames->stack));
	frames->stack_count = needed;
	return 0;
}

/* The stack that was put together, as the caller keeps it. */
static int
copy_stack(const struct vmt_frames *frames, struct vmt_stack_frames *stack)
{
	size_t bytes = frames->stack_count * sizeof(*stack->frames);

	if (!bytes)
		return 0;
	stack->frames = malloc(bytes);
	if (!stack->frames)
		return -ENOMEM;
	memcpy(stack->frames, frames->stack, bytes);
	stack->count = frames->stack_count;
	return 0;
}

int
vmt_frames_of_site(struct vmt_frames *frames, const struct vmt_site_entry *entry,
		   struct vmt_stack_frames *stack)
{
	const uint32_t *spans = vmt_sites_spans(frames->input.sites, entry);
	uint32_t count = 0;
	const uint64_t *addresses = vmt_trace_stack(frames->input.trace, entry->key.stack, &count);

	*stack = (struct vmt_stack_frames){0};
	frames->stack_count = 0;
	for (uint32_t i = 0; addresses && i < count && i < entry->frames; i++) {
		struct lookup found;
		int status;

		if (is_tracer(frames, spans[i]))
			continue;
		status = find(frames, addresses[i], spans[i], &found);
		if (!status)
			status = append(frames, &found);
		if (status)
			return status;
	}
	return copy_stack(frames, stack);
}

uint32_t
vmt_frames_troubles(const struct vmt_frames *frames, const char **example)
{
	*example = frames->troubles ? frames->trouble : NULL;
	return frames->troubles;
}
