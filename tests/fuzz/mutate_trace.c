/*
 * mutate_trace.c: libFuzzer's mutations, for one who knows what a trace is made of.
 *
 * Bytes changed blindly rarely get past lengths, counts and positions. Here a mutation is of a
 * part: a chunk's payload grows or shrinks with its header told so, an event is taken out, changed
 * and put back, chunks are doubled, dropped and swapped, a field of a header claims something odd,
 * a region of the head is changed in place. Sequence numbers and checksums are made right after it,
 * but for one time in sixteen. Linked with fuzz_trace.c alone.
 */
#include "format/columns.h"
#include "tests/fuzz/seal_trace.h"
#include "tests/unit/build_trace.h"

#include <stdbool.h>

#define MAX_CHUNKS 256u
#define MAX_EVENTS 4096u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
				 size_t other_size, uint8_t *out, size_t max_size, unsigned seed);

/* A trace under change; chunks by offset. */
struct work {
	uint8_t *bytes;
	size_t size;
	size_t room;
	uint64_t random;
	size_t count;
	size_t at[MAX_CHUNKS + 1]; /* at[count] = end of the last whole chunk */
};

static uint64_t
roll(struct work *work, uint64_t sides)
{
	work->random ^= work->random << 13;
	work->random ^= work->random >> 7;
	work->random ^= work->random << 17;
	return sides == 0 ? 0 : (work->random >> 11) % sides;
}

/* What counts, lengths, times and addresses go wrong at. */
static uint64_t
odd_number(struct work *work)
{
	static const uint64_t numbers[] = {
	    0,
	    1,
	    2,
	    7,
	    8,
	    255,
	    4095,
	    4096,
	    65535,
	    65536,
	    INT32_MAX,
	    UINT32_MAX,
	    UINT64_C(1) << 32,
	    BUILD_START,
	    UINT64_C(0x400000),
	    UINT64_C(0x7f0000000000),
	    UINT64_C(1) << 47,
	    UINT64_C(1) << 48,
	    UINT64_C(1) << 60,
	    INT64_MAX,
	    UINT64_C(1) << 63,
	    UINT64_MAX - 4095,
	    UINT64_MAX - 1,
	    UINT64_MAX,
	};
	uint64_t number = numbers[roll(work, sizeof(numbers) / sizeof(*numbers))];

	return number + roll(work, 3) - 1;
}

static struct vmt_chunk
header_of(const struct work *work, size_t i)
{
	struct vmt_chunk chunk;

	memcpy(&chunk, work->bytes + work->at[i], sizeof(chunk));
	return chunk;
}

static bool
find_chunks(struct work *work)
{
	struct vmt_head head;

	work->count = 0;
	if (work->size < sizeof(head))
		return false;
	memcpy(&head, work->bytes, sizeof(head));
	if (vmt_head_check(&head) != NULL || head.chunks_offset > work->size)
		return false;
	work->at[0] = head.chunks_offset;
	while (work->count < MAX_CHUNKS &&
	       work->size - work->at[work->count] >= sizeof(struct vmt_chunk)) {
		uint64_t payload = header_of(work, work->count).payload_bytes;
		uint64_t end = work->at[work->count] + sizeof(struct vmt_chunk) + payload;

		end = (end + 7) & ~UINT64_C(7);
		if (end > work->size)
			break;
		work->at[++work->count] = end;
	}
	return true;
}

/* Puts length bytes in the place of [from, to); false where there is no room. */
static bool
splice(struct work *work, size_t from, size_t to, const void *bytes, size_t length)
{
	if (work->size - (to - from) + length > work->room)
		return false;
	memmove(work->bytes + from + length, work->bytes + to, work->size - to);
	memcpy(work->bytes + from, bytes, length);
	work->size += length - (to - from);
	return true;
}

/* A chunk with another payload, its header changed to fit. */
static void
put_payload(struct work *work, size_t i, struct vmt_chunk *chunk, const void *payload,
	    size_t length)
{
	size_t padded = (length + 7) & ~(size_t)7;
	uint8_t *whole = calloc(1, sizeof(*chunk) + padded);

	if (whole == NULL)
		abort();
	chunk->payload_bytes = (uint32_t)length;
	if (!(chunk->flags & VMT_CHUNK_ZSTD))
		chunk->raw_bytes = chunk->payload_bytes;
	memcpy(whole, chunk, sizeof(*chunk));
	memcpy(whole + sizeof(*chunk), payload, length);
	splice(work, work->at[i], work->at[i + 1], whole, sizeof(*chunk) + padded);
	free(whole);
}

static void
change_payload(struct work *work, size_t i)
{
	struct vmt_chunk chunk = header_of(work, i);
	size_t room = (size_t)chunk.payload_bytes * 2 + 64;
	uint8_t *payload = malloc(room);
	size_t length;

	if (payload == NULL)
		abort();
	memcpy(payload, work->bytes + work->at[i] + sizeof(chunk), chunk.payload_bytes);
	length = LLVMFuzzerMutate(payload, chunk.payload_bytes, room);
	put_payload(work, i, &chunk, payload, length);
	free(payload);
}

/* A 64-bit field of a fixed structure claims something odd. */
static void
change_word(struct work *work, size_t from, size_t bytes)
{
	size_t width = roll(work, 2) ? 8 : 4;
	uint64_t number = odd_number(work);

	if (bytes >= width)
		memcpy(work->bytes + from + roll(work, bytes / width) * width, &number, width);
}

static void
change_event(struct work *work, struct vmt_event *event)
{
	uint64_t number = odd_number(work);

	switch (roll(work, 12)) {
	case 0:
		event->time = number;
		break;
	case 1:
		event->address = number;
		break;
	case 2:
		event->length = number;
		break;
	case 3:
		event->argument_a = number;
		break;
	case 4:
		event->argument_b = number;
		break;
	case 5:
		event->stack = (uint32_t)roll(work, 64);
		break;
	case 6:
		event->thread = (uint32_t)number;
		break;
	case 7:
		event->flags = (uint32_t)number;
		break;
	case 8:
		event->error = (int16_t)number;
		break;
	case 9:
		event->advice = (uint16_t)roll(work, 26);
		break;
	case 10:
		event->marks = (uint8_t)roll(work, 8);
		event->protection = (uint8_t)roll(work, 8);
		break;
	default:
		event->kind = (uint8_t)roll(work, VMT_EVENT_KINDS);
		break;
	}
	if (roll(work, 2))
		event->address &= ~(uint64_t)4095;
}

/* Another copy of the event, a little later and at another place of the same neighbourhood. */
static void
repeat_event(struct work *work, struct vmt_event *event)
{
	event->time += roll(work, 16);
	event->address += (roll(work, 33) - 16) * (roll(work, 2) ? 4096 : 16);
	if (roll(work, 4) == 0)
		event->kind = (uint8_t)(1 + roll(work, 57));
}

static uint32_t
take_events(const struct work *work, size_t i, struct vmt_event *events)
{
	struct vmt_chunk chunk = header_of(work, i);
	struct vmt_columns_decoder decoder;
	uint32_t count = 0;

	if (!vmt_columns_begin_decode(&decoder, work->bytes + work->at[i] + sizeof(chunk),
				      chunk.payload_bytes))
		return 0;
	while (count < MAX_EVENTS && !vmt_columns_is_done(&decoder) &&
	       vmt_columns_get(&decoder, &events[count]))
		count++;
	return count;
}

static void
put_events(struct work *work, size_t i, const struct vmt_event *events, uint32_t count)
{
	struct vmt_chunk chunk = header_of(work, i);
	size_t room = VMT_COLUMNS_ROOM(count);
	uint8_t *payload = malloc(room);
	struct vmt_columns_encoder encoder;

	if (payload == NULL)
		abort();
	chunk.events = 0;
	chunk.time_min = UINT64_MAX;
	chunk.time_max = 0;
	vmt_columns_begin_encode(&encoder, payload, room, 1);
	for (uint32_t k = 0; k < count && vmt_columns_put(&encoder, &events[k]); k++) {
		chunk.events++;
		if (events[k].time < chunk.time_min)
			chunk.time_min = events[k].time;
		if (events[k].time > chunk.time_max)
			chunk.time_max = events[k].time;
	}
	put_payload(work, i, &chunk, payload, vmt_columns_end_encode(&encoder));
	free(payload);
}

static void
change_events(struct work *work, size_t i)
{
	struct vmt_event *events = calloc(MAX_EVENTS + 1, sizeof(*events));
	struct vmt_chunk chunk = header_of(work, i);
	uint32_t count;
	uint64_t picked;

	if (events == NULL)
		abort();
	if (chunk.kind != VMT_CHUNK_EVENTS || (chunk.flags & VMT_CHUNK_ZSTD))
		goto out;
	count = take_events(work, i, events);
	if (count == 0 || count >= MAX_EVENTS)
		goto out;
	picked = roll(work, count);
	switch (roll(work, 4)) {
	case 0:
		memmove(events + picked, events + picked + 1,
			(count - picked - 1) * sizeof(*events));
		count--;
		break;
	case 1:
		events[count] = events[picked];
		repeat_event(work, &events[count++]);
		break;
	default:
		change_event(work, &events[picked]);
		break;
	}
	put_events(work, i, events, count);
out:
	free(events);
}

static void
double_chunk(struct work *work, size_t i)
{
	size_t length = work->at[i + 1] - work->at[i];
	uint8_t *copy = malloc(length);
	size_t to = work->at[roll(work, work->count + 1)];

	if (copy == NULL)
		abort();
	memcpy(copy, work->bytes + work->at[i], length);
	splice(work, to, to, copy, length);
	free(copy);
}

static void
swap_chunks(struct work *work, size_t i)
{
	size_t first = i > 0 ? i - 1 : i;
	size_t from = work->at[first];
	size_t middle = work->at[i];
	size_t length = work->at[i + 1] - middle;
	uint8_t *copy = malloc(length);

	if (copy == NULL)
		abort();
	memcpy(copy, work->bytes + middle, length);
	memmove(work->bytes + from + length, work->bytes + from, middle - from);
	memcpy(work->bytes + from, copy, length);
	free(copy);
}

/* A stack of a few odd frames, to which events can refer. */
static void
add_stack(struct work *work)
{
	struct vmt_head head;
	uint64_t frames[4];

	memcpy(&head, work->bytes, sizeof(head));
	for (size_t i = 0; i < 4; i++)
		frames[i] = roll(work, 2) ? odd_number(work) : 0x400000 + roll(work, 0x3000);
	uint64_t words_bytes = head.stack_words * sizeof(uint64_t);
	uint64_t *words = malloc(words_bytes);
	uint64_t index[VMT_STACK_MIN_ENTRIES] = {0};
	struct vmt_stack_table table = {
	    .index = index,
	    .index_mask = VMT_STACK_MIN_ENTRIES - 1,
	    .words = words,
	    .words_count = head.stack_words,
	    .words_used = &head.stack_words_used,
	    .dropped = &head.stacks_dropped,
	};

	if (words == NULL)
		abort();
	memcpy(words, work->bytes + head.stack_words_offset, words_bytes);
	vmt_stack_table_intern(&table, frames, 1 + (uint32_t)roll(work, 4));
	memcpy(work->bytes + head.stack_words_offset, words, words_bytes);
	memcpy(work->bytes, &head, sizeof(head));
	free(words);
}

/* Bytes of one region in place, or of the head itself. */
static void
change_head(struct work *work)
{
	static const size_t regions[] = {
	    offsetof(struct vmt_head, controls_offset),
	    offsetof(struct vmt_head, slots_offset),
	    offsetof(struct vmt_head, stack_words_offset),
	    offsetof(struct vmt_head, modules_offset),
	};
	uint64_t from;
	size_t length;

	if (roll(work, 3) == 0) {
		change_word(work, 0, sizeof(struct vmt_head) & ~(size_t)7);
		return;
	}
	memcpy(&from, work->bytes + regions[roll(work, sizeof(regions) / sizeof(*regions))],
	       sizeof(from));
	length = 1 + roll(work, 512);
	if (from < work->at[0] && length <= work->at[0] - from)
		LLVMFuzzerMutate(work->bytes + from, length, length);
}

static void
change_chunk(struct work *work)
{
	size_t i = roll(work, work->count);

	switch (roll(work, 12)) {
	case 0:
		double_chunk(work, i);
		break;
	case 1:
		splice(work, work->at[i], work->at[i + 1], "", 0);
		break;
	case 2:
		swap_chunks(work, i);
		break;
	case 3:
		change_word(work, work->at[i], sizeof(struct vmt_chunk));
		break;
	case 4:
		change_word(work, work->at[i] + sizeof(struct vmt_chunk),
			    work->at[i + 1] - work->at[i] - sizeof(struct vmt_chunk));
		break;
	case 5:
	case 6:
		change_payload(work, i);
		break;
	default:
		change_events(work, i);
		break;
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct work work = {.bytes = data, .size = size, .room = max_size};

	work.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 88172645463325252;
	if (!find_chunks(&work) || roll(&work, 24) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	for (uint64_t left = 1 + roll(&work, 4); left > 0; left--) {
		uint64_t choice = roll(&work, 10);

		if (!find_chunks(&work))
			break;
		if (choice == 0)
			change_head(&work);
		else if (choice == 1)
			add_stack(&work);
		else if (work.count > 0)
			change_chunk(&work);
	}
	if (roll(&work, 16) != 0)
		seal_trace_order(work.bytes, work.size);
	return work.size;
}

/* A chunk of the other trace among those of the first. */
size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other, size_t other_size,
			  uint8_t *out, size_t max_size, unsigned seed)
{
	struct work into = {.bytes = out, .size = size, .room = max_size, .random = seed | 1};
	struct work from = {.size = other_size};

	if (size > max_size)
		return 0;
	memcpy(out, data, size);
	from.bytes = malloc(other_size + 1);
	if (from.bytes == NULL)
		abort();
	memcpy(from.bytes, other, other_size);
	if (find_chunks(&into) && find_chunks(&from) && from.count > 0) {
		size_t i = roll(&into, from.count);
		size_t to = into.at[roll(&into, into.count + 1)];

		splice(&into, to, to, from.bytes + from.at[i], from.at[i + 1] - from.at[i]);
		seal_trace_order(into.bytes, into.size);
	}
	free(from.bytes);
	return into.size;
}
