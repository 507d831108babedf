#include "tools/model/report/frames.h"

#include "tools/hash_table.h"
#include "tools/read/symbols/debug_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which address, in which module (0 = none): without padding, since it is compared as bytes. */
struct place {
	uint64_t address;
	uint64_t span;
};

/* A looked-up address: its frames lie together in the pool. */
struct lookup {
	UT_hash_handle hh;
	struct place place;
	size_t first;
	size_t count;
};

struct vmt_frames {
	struct vmt_frames_input input;
	struct vmt_lookup *symbols;
	uint64_t tracer_address;
	struct lookup *lookups;
	struct vmt_frame *pool;
	size_t pool_count;
	size_t pool_room;
	struct vmt_frame *stack; /* of the site in hand */
	size_t stack_count;
	size_t stack_room;
	uint32_t troubles;
	char trouble[512];
	uint32_t changed; /* modules whose files may be other ones now */
	char changed_path[512];
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
	frames->symbols = input->symbols;
	return frames;
}

void
vmt_frames_free(struct vmt_frames *frames)
{
	if (!frames)
		return;
	VMT_HASH_TABLE_FREE(struct lookup, frames->lookups, free);
	free(frames->pool);
	free(frames->stack);
	free(frames->troubled);
	free(frames);
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
	if (strcmp(why, VMT_DEBUG_FILES_MAY_HAVE_CHANGED) == 0) {
		if (!frames->changed++)
			snprintf(frames->changed_path, sizeof(frames->changed_path), "%.*s",
				 (int)module->path_bytes, module->path);
		return;
	}
	if (!frames->troubles++)
		snprintf(frames->trouble, sizeof(frames->trouble), "%.*s: %s",
			 (int)module->path_bytes, module->path, why);
}

/* Earlier, or later: the map may have been copied last before the event. */
#define OTHER " (or other code)"

/* Of code that the process compiled by itself. version 0: the same at all times. */
static size_t
name_compiled(struct vmt_frames *frames, uint64_t address, uint32_t version,
	      struct vmt_symbol *symbol)
{
	char marked[4096];
	bool unsure;

	if (!frames->input.compiled)
		return 0;
	if (version)
		vmt_jit_names_of_version(frames->input.compiled, version, symbol, &unsure);
	else if (!vmt_jit_names_find(frames->input.compiled, address - 1, symbol, &unsure))
		return 0;
	if (unsure) {
		snprintf(marked, sizeof(marked), "%s" OTHER, symbol->function);
		symbol->function = keep(frames, marked);
		if (frames->input.reused)
			++*frames->input.reused;
	}
	return 1;
}

/* The frames of one address: as many as were inlined there, at least one. */
static int
look_up(struct vmt_frames *frames, struct lookup *lookup)
{
	const struct place *place = &lookup->place;
	struct vmt_frame plain = {.address = place->address};
	struct vmt_symbol symbols[VMT_SYMBOLS_MAX_INLINED] = {{0}};
	struct vmt_module module;
	size_t found = 0;

	if (!place->span)
		found = name_compiled(frames, place->address, 0, symbols);
	if (place->span) {
		const struct vmt_span *span =
		    vmt_module_history_span(frames->input.history, (uint32_t)place->span);

		if (vmt_span_is_compiled(span))
			found =
			    name_compiled(frames, place->address, (uint32_t)span->bias, symbols);
		else
			plain.module_offset = place->address - span->bias;
		if (vmt_trace_module(frames->input.trace, span->module, &module)) {
			plain.module = vmt_string_set_intern(frames->input.strings, module.path,
							     module.path_bytes);
			if (frames->symbols)
				found = vmt_lookup_resolve(frames->symbols, &module,
							   plain.module_offset - 1, symbols);
			if (frames->symbols)
				note_trouble(frames, (uint32_t)place->span, &module);
		}
	}
	lookup->first = frames->pool_count;
	lookup->count = found ? found : 1;
	for (size_t i = 0; i < lookup->count; i++) {
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

/* NULL: no memory. */
static const struct lookup *
find(struct vmt_frames *frames, const struct place *place)
{
	struct lookup *found;

	HASH_FIND(hh, frames->lookups, place, sizeof(*place), found);
	if (found)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->place = *place;
	if (look_up(frames, found) == 0)
		HASH_ADD(hh, frames->lookups, place, sizeof(*place), found);
	if (found->hh.tbl)
		return found;
	free(found);
	return NULL;
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

/* The innermost frames of a page fault's stack are those of the instruction itself. */
static void
make_exact(struct vmt_frames *frames)
{
	for (size_t i = 0; i < frames->stack_count; i++) {
		frames->stack[i].address--;
		frames->stack[i].module_offset -= frames->stack[i].module != NULL;
	}
}

static const uint64_t *
addresses_of(const struct vmt_frames *frames, uint32_t stack, uint32_t *count)
{
	const struct vmt_stack_source *source = &frames->input.stacks;

	if (source->stack)
		return source->stack(source->context, stack, count);
	return vmt_trace_stack(frames->input.trace, stack, count);
}

int
vmt_frames_of_site(struct vmt_frames *frames, const struct vmt_site_entry *entry,
		   struct vmt_stack_frames *stack)
{
	const uint32_t *spans = vmt_sites_spans(frames->input.sites, entry);
	uint32_t count = 0;
	const uint64_t *addresses = addresses_of(frames, entry->key.stack, &count);

	*stack = (struct vmt_stack_frames){0};
	frames->stack_count = 0;
	for (uint32_t i = 0; addresses && i < count && i < entry->frames; i++) {
		struct place place = {addresses[i], spans[i]};
		const struct lookup *found;

		if (is_tracer(frames, spans[i]))
			continue;
		found = find(frames, &place);
		if (!found || append(frames, found))
			return -ENOMEM;
		if (i == 0 && frames->input.first_is_exact)
			make_exact(frames);
	}
	return copy_stack(frames, stack);
}

int
vmt_frames_of_address(struct vmt_frames *frames, uint64_t address, struct vmt_stack_frames *stack)
{
	struct place place = {address, vmt_module_history_find(frames->input.history, address - 1)};
	const struct lookup *found = find(frames, &place);

	*stack = (struct vmt_stack_frames){0};
	frames->stack_count = 0;
	if (!found || append(frames, found))
		return -ENOMEM;
	return copy_stack(frames, stack);
}

uint32_t
vmt_frames_changed(const struct vmt_frames *frames, const char **example)
{
	*example = frames->changed ? frames->changed_path : NULL;
	return frames->changed;
}

uint32_t
vmt_frames_troubles(const struct vmt_frames *frames, const char **example)
{
	*example = frames->troubles ? frames->trouble : NULL;
	return frames->troubles;
}
