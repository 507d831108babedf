#include "tools/model/replay/heap_change.h"

#include "tools/model/replay/held_events.h"
#include "tools/model/replay/temporary_blocks.h"

#include <errno.h>

#define THREADS 65536u /* by the bits of a thread's id that events of the heap have */

/* What events of the heap add to a site. */
static const enum vmt_figure figures[] = {VMT_FIGURE_COUNT, VMT_FIGURE_TOTAL_RESERVED,
					  VMT_FIGURE_RELEASED, VMT_FIGURE_RELEASED_COMMITTED,
					  VMT_FIGURE_TEMPORARY};

#define FIGURES (sizeof(figures) / sizeof(*figures))

struct site_copy {
	uint64_t exact[FIGURES];
	bool sampled;
};

struct vmt_heap_copy {
	struct site_copy *sites;
	uint32_t site_count;
	uint32_t site_room;
	struct vmt_blocks *blocks;
	struct vmt_temporary_block last[THREADS];
	struct vmt_block undo[THREADS];
};

void
vmt_heap_change_put_event(struct vmt_byte_buffer *buffer, const struct vmt_event *event)
{
	const uint64_t words[] = {event->time,	     event->address,	event->length,
				  event->argument_a, event->argument_b, event->stack,
				  event->thread,     event->flags,	(uint16_t)event->error,
				  event->advice,     event->kind,	event->protection,
				  event->marks};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		vmt_byte_buffer_put(buffer, words[i]);
}

bool
vmt_heap_change_get_event(const unsigned char **at, const unsigned char *end,
			  struct vmt_event *event)
{
	static const uint64_t most[] = {UINT64_MAX, VMT_ADDRESS_MASK, VMT_ADDRESS_MASK, UINT64_MAX,
					UINT64_MAX, UINT32_MAX,	      UINT32_MAX,	UINT32_MAX,
					UINT16_MAX, UINT16_MAX,	      UINT8_MAX,	UINT8_MAX,
					UINT8_MAX};
	uint64_t words[sizeof(most) / sizeof(*most)];

	for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++)
		if (!vmt_varint_get_bounded(at, end, most[i], &words[i]))
			return false;
	*event = (struct vmt_event){.time = words[0],
				    .address = words[1],
				    .length = words[2],
				    .argument_a = words[3],
				    .argument_b = words[4],
				    .stack = (uint32_t)words[5],
				    .thread = (uint32_t)words[6],
				    .flags = (uint32_t)words[7],
				    .error = (int16_t)words[8],
				    .advice = (uint16_t)words[9],
				    .kind = (uint8_t)words[10],
				    .protection = (uint8_t)words[11],
				    .marks = (uint8_t)words[12]};
	return event->kind < VMT_EVENT_FIRST_OF_MAP && vmt_event_is_known(event->kind) &&
	       event->address != 0;
}

struct vmt_heap_copy *
vmt_heap_copy_new(void)
{
	return calloc(1, sizeof(struct vmt_heap_copy));
}

void
vmt_heap_copy_free(struct vmt_heap_copy *copy)
{
	if (!copy)
		return;
	free(copy->sites);
	vmt_blocks_free(copy->blocks);
	free(copy);
}

static struct site_copy
copy_of(const struct vmt_site_entry *entry)
{
	struct site_copy copy = {.sampled = entry->sampled};

	for (size_t i = 0; i < FIGURES; i++)
		copy.exact[i] = entry->exact[figures[i]];
	return copy;
}

static int
take_sites(struct vmt_heap_copy *copy, const struct vmt_replay *replay)
{
	uint32_t count = vmt_sites_count(replay->sites);

	if (count > copy->site_room) {
		struct site_copy *sites =
		    reallocarray(copy->sites, (size_t)count * 2, sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		copy->sites = sites;
		copy->site_room = count * 2;
	}
	copy->site_count = count;
	for (uint32_t i = 0; i < count; i++)
		copy->sites[i] = copy_of(vmt_sites_get(replay->sites, i));
	return 0;
}

int
vmt_heap_copy_take(struct vmt_heap_copy *copy, const struct vmt_replay *replay)
{
	int status = take_sites(copy, replay);

	if (status)
		return status;
	vmt_blocks_free(copy->blocks);
	copy->blocks = vmt_blocks_copy(replay->blocks);
	if (!copy->blocks)
		return -ENOMEM;
	for (uint32_t i = 0; i < THREADS; i++)
		copy->last[i] = vmt_temporary_blocks_get(replay->temporary, i);
	memcpy(copy->undo, replay->realloc_undo, sizeof(copy->undo));
	return 0;
}

static bool
is_same_site(const struct site_copy *a, const struct site_copy *b)
{
	return memcmp(a->exact, b->exact, sizeof(a->exact)) == 0 && a->sampled == b->sampled;
}

/* Each with its number and 1; 0 behind the last. */
static void
tell_sites(const struct vmt_heap_copy *copy, const struct vmt_replay *replay,
	   struct vmt_byte_buffer *buffer)
{
	static const struct site_copy none;

	for (uint32_t i = 0; i < vmt_sites_count(replay->sites); i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(replay->sites, i);
		const struct site_copy *before = i < copy->site_count ? &copy->sites[i] : &none;
		struct site_copy now = copy_of(entry);

		if (entry->key.kind >= VMT_EVENT_FIRST_OF_MAP || is_same_site(before, &now))
			continue;
		vmt_byte_buffer_put(buffer, (uint64_t)i + 1);
		vmt_byte_buffer_put(buffer, now.sampled);
		for (size_t j = 0; j < FIGURES; j++)
			vmt_byte_buffer_put(buffer,
					    vmt_varint_fold(now.exact[j] - before->exact[j]));
	}
	vmt_byte_buffer_put(buffer, 0);
}

static bool
is_same_block(const struct vmt_block *a, const struct vmt_block *b)
{
	return a->address == b->address && a->size == b->size && a->site == b->site;
}

/* The blocks of one table that the other has not, as they are; address 0 behind the last. */
static void
tell_blocks(const struct vmt_blocks *of, const struct vmt_blocks *other, bool whole,
	    struct vmt_byte_buffer *buffer)
{
	struct vmt_block block;
	struct vmt_block there;
	uint64_t before = 0;
	size_t cursor = 0;

	while (vmt_blocks_walk(of, &cursor, &block)) {
		if (vmt_blocks_find(other, block.address, &there) && is_same_block(&block, &there))
			continue;
		vmt_byte_buffer_put(buffer, vmt_varint_fold(block.address - before));
		before = block.address;
		if (!whole)
			continue;
		vmt_byte_buffer_put(buffer, block.size);
		vmt_byte_buffer_put(buffer, block.site);
	}
	vmt_byte_buffer_put(buffer, vmt_varint_fold(0 - before));
}

static void
tell_threads(const struct vmt_heap_copy *copy, const struct vmt_replay *replay,
	     struct vmt_byte_buffer *buffer)
{
	for (uint32_t i = 0; i < THREADS; i++) {
		struct vmt_temporary_block last = vmt_temporary_blocks_get(replay->temporary, i);
		const struct vmt_block *undo = &replay->realloc_undo[i];

		if (last.address == copy->last[i].address &&
		    last.is_released == copy->last[i].is_released &&
		    is_same_block(undo, &copy->undo[i]))
			continue;
		vmt_byte_buffer_put(buffer, (uint64_t)i + 1);
		vmt_byte_buffer_put(buffer, last.address << 1 | last.is_released);
		vmt_byte_buffer_put(buffer, undo->address);
		vmt_byte_buffer_put(buffer, undo->size);
		vmt_byte_buffer_put(buffer, undo->site);
	}
	vmt_byte_buffer_put(buffer, 0);
}

static void
tell_held(const struct vmt_replay *replay, struct vmt_byte_buffer *buffer)
{
	const struct vmt_held_events *held = replay->held;

	for (uint64_t i = held->oldest; i != held->next; i++) {
		const struct vmt_held_event *event = &held->slots[i % VMT_HELD_EVENTS_MOST];

		if (!event->event.address)
			continue;
		vmt_byte_buffer_put(buffer, 1u + event->temporary);
		vmt_heap_change_put_event(buffer, &event->event);
	}
	vmt_byte_buffer_put(buffer, 0);
}

void
vmt_heap_copy_tell(const struct vmt_heap_copy *copy, const struct vmt_replay *replay,
		   struct vmt_byte_buffer *buffer)
{
	tell_sites(copy, replay, buffer);
	tell_blocks(copy->blocks, replay->blocks, false, buffer);
	tell_blocks(replay->blocks, copy->blocks, true, buffer);
	tell_threads(copy, replay, buffer);
	tell_held(replay, buffer);
}

struct reader {
	struct vmt_replay *replay;
	const unsigned char *at;
	const unsigned char *end;
};

static bool
get(struct reader *reader, uint64_t most, uint64_t *value)
{
	return vmt_varint_get_bounded(&reader->at, reader->end, most, value);
}

/* What comes to the figures of a site. A release counts for the site of its block, which may be of
 * modules that are gone. */
static int
apply_site(struct reader *reader, uint32_t site)
{
	struct vmt_sites *sites = reader->replay->sites;
	struct vmt_site_entry *entry;
	uint64_t value;

	if (site >= vmt_sites_count(sites))
		return -EBADMSG;
	entry = vmt_sites_get(sites, site);
	if (entry->key.kind >= VMT_EVENT_FIRST_OF_MAP || !get(reader, 1, &value))
		return -EBADMSG;
	entry->sampled |= value != 0;
	for (size_t i = 0; i < FIGURES; i++) {
		if (!get(reader, UINT64_MAX, &value))
			return -EBADMSG;
		entry->exact[figures[i]] += vmt_varint_unfold(value);
	}
	return 0;
}

static int
apply_sites(struct reader *reader)
{
	uint64_t site;
	int status = 0;

	while (!status) {
		if (!get(reader, UINT32_MAX, &site))
			return -EBADMSG;
		if (site == 0)
			return 0;
		status = apply_site(reader, (uint32_t)(site - 1));
	}
	return status;
}

/* *address: of the one before. */
static bool
get_address(struct reader *reader, uint64_t *address)
{
	uint64_t change;

	if (!get(reader, UINT64_MAX, &change))
		return false;
	*address += vmt_varint_unfold(change);
	return *address <= VMT_ADDRESS_MASK;
}

static int
apply_deaths(struct reader *reader)
{
	uint64_t address = 0;
	struct vmt_block block;

	for (;;) {
		if (!get_address(reader, &address))
			return -EBADMSG;
		if (address == 0)
			return 0;
		if (!vmt_blocks_take(reader->replay->blocks, address, &block))
			return -EBADMSG;
	}
}

static bool
get_block(struct reader *reader, struct vmt_block *block)
{
	uint64_t site;

	if (!get(reader, VMT_ADDRESS_MASK, &block->size) ||
	    !get(reader, vmt_sites_count(reader->replay->sites), &site))
		return false;
	block->site = (uint32_t)site;
	return block->address == 0 || site < vmt_sites_count(reader->replay->sites);
}

static int
apply_births(struct reader *reader)
{
	struct vmt_block block = {.address = 0};
	bool is_live = false;
	int status = 0;

	while (!status) {
		if (!get_address(reader, &block.address))
			return -EBADMSG;
		if (block.address == 0)
			return 0;
		if (!get_block(reader, &block))
			return -EBADMSG;
		status = vmt_blocks_add(reader->replay->blocks, &block, &is_live);
		if (!status && is_live)
			return -EBADMSG;
	}
	return status;
}

static int
apply_threads(struct reader *reader)
{
	struct vmt_replay *replay = reader->replay;
	struct vmt_block undo;
	uint64_t thread;
	uint64_t last;

	for (;;) {
		if (!get(reader, THREADS, &thread))
			return -EBADMSG;
		if (thread == 0)
			return 0;
		if (!get(reader, VMT_ADDRESS_MASK << 1 | 1, &last) ||
		    !get(reader, VMT_ADDRESS_MASK, &undo.address) || !get_block(reader, &undo))
			return -EBADMSG;
		vmt_temporary_blocks_set(
		    replay->temporary, (uint32_t)thread - 1,
		    (struct vmt_temporary_block){.address = last >> 1, .is_released = last & 1});
		replay->realloc_undo[thread - 1] = undo;
	}
}

static int
apply_held(struct reader *reader)
{
	struct vmt_held_events *held = reader->replay->held;
	struct vmt_held_event event;
	uint64_t kind;

	while (!vmt_held_events_are_none(held))
		vmt_held_events_remove(held, vmt_held_events_oldest(held));
	for (;;) {
		if (!get(reader, 2, &kind))
			return -EBADMSG;
		if (kind == 0)
			return 0;
		if (!vmt_heap_change_get_event(&reader->at, reader->end, &event.event) ||
		    vmt_held_events_are_full(held))
			return -EBADMSG;
		event.temporary = kind == 2;
		vmt_held_events_add(held, &event);
	}
}

int
vmt_heap_change_apply(struct vmt_replay *replay, const unsigned char **at, const unsigned char *end)
{
	struct reader reader = {replay, *at, end};
	int status = apply_sites(&reader);

	if (!status)
		status = apply_deaths(&reader);
	if (!status)
		status = apply_births(&reader);
	if (!status)
		status = apply_threads(&reader);
	if (!status)
		status = apply_held(&reader);
	*at = reader.at;
	return status;
}
