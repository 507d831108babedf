/*
 * fuzz_bytes.c: the small parsers of bytes that others wrote.
 *
 * The first byte says which: coded events and snapshots (what is decoded is coded again, and must
 * decode to the same), Go counters, tables of modules and stacks, the text of /proc, settings,
 * instructions.
 */
#include "format/stack_table.c"

#include "base/procfs.h"
#include "collect/cgroup.h"
#include "format/codec.h"
#include "format/columns.h"
#include "format/module_table.h"
#include "inject/instruction_length.h"
#include "tools/read/trace/go_chunk.h"
#include "tools/read/trace/go_heap_chunk.h"
#include "tools/read/trace/go_large_chunk.h"
#include "tools/read/trace/go_profile_chunk.h"
#include "tools/render/units.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Reads every byte. */
static void
touch(const void *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++)
		(void)*((const volatile unsigned char *)bytes + at);
}

static void
fuzz_events(const uint8_t *data, size_t size)
{
	static unsigned char coded[VMT_COLUMNS_ROOM(1)];
	struct vmt_columns_decoder decoder;
	struct vmt_event event;

	if (!vmt_columns_begin_decode(&decoder, data, size))
		return;
	while (!vmt_columns_is_done(&decoder) && vmt_columns_get(&decoder, &event)) {
		struct vmt_columns_encoder encoder;
		struct vmt_columns_decoder again;
		struct vmt_event copy;

		vmt_columns_begin_encode(&encoder, coded, sizeof(coded), 1);
		if (!vmt_columns_put(&encoder, &event))
			continue; /* a kind that nobody writes */
		MUST(vmt_columns_begin_decode(&again, coded, vmt_columns_end_encode(&encoder)));
		MUST(vmt_columns_get(&again, &copy) && vmt_columns_is_done(&again));
		MUST(memcmp(&copy, &event, sizeof(event)) == 0);
	}
}

static void
fuzz_snapshot(const uint8_t *data, size_t size)
{
	struct vmt_mapping mapping;
	struct vmt_decoder decoder;
	struct vmt_run run;
	uint32_t runs;

	vmt_codec_begin_decode(&decoder, data, size);
	while (decoder.at < decoder.end && vmt_codec_get_mapping(&decoder, &mapping, &runs)) {
		MUST(mapping.end >= mapping.start);
		MUST((const uint8_t *)mapping.path + mapping.path_bytes <= data + size);
		for (uint32_t i = 0; i < runs; i++)
			if (!vmt_codec_get_run(&decoder, &run))
				return;
	}
}

static void
fuzz_go_counters(const uint8_t *data, size_t size)
{
	struct vmt_go_chunk_read counters;
	struct vmt_err err = {""};

	if (vmt_go_chunk_read(&counters, data, size, &err) != 0)
		return;
	for (size_t i = 0; i < counters.count; i++)
		touch(counters.objects[i].data, counters.objects[i].described.bytes);
}

/* The lists are in order, whatever the bytes say. */
static void
fuzz_go_heap(const uint8_t *data, size_t size)
{
	const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_heap_head)};
	struct vmt_go_heap heap;
	struct vmt_err err = {""};
	uint64_t end = 0;

	if (vmt_go_heap_chunk_read(&heap, &header, data, size, &err) != 0)
		return;
	for (uint64_t i = 0; i < heap.head.spans; i++) {
		MUST(heap.spans[i].start >= end && vmt_go_heap_is_span(&heap.spans[i]));
		end = heap.spans[i].start + heap.spans[i].bytes;
	}
	end = 0;
	for (uint64_t i = 0; i < heap.head.goroutines; i++) {
		MUST(heap.goroutines[i].low >= end && heap.goroutines[i].high > end);
		end = heap.goroutines[i].high;
	}
	vmt_go_heap_chunk_free(&heap);
}

static void
fuzz_go_profile(const uint8_t *data, size_t size)
{
	const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_profile_head)};
	struct vmt_go_profile_read profile;
	struct vmt_err err = {""};
	uint64_t frames = 0;

	if (vmt_go_profile_chunk_read(&profile, &header, data, size, &err) != 0)
		return;
	for (uint64_t i = 0; i < profile.head.rows; i++) {
		MUST(vmt_go_profile_is_row(&profile.rows[i]));
		frames += profile.rows[i].frames;
	}
	MUST(frames == profile.address_count);
	vmt_go_profile_chunk_free(&profile);
}

/* Objects do not lie over one another, and each has a site. */
static void
fuzz_go_large(const uint8_t *data, size_t size)
{
	const struct vmt_chunk header = {.record_bytes = sizeof(struct vmt_go_large_head)};
	struct vmt_go_large_read large;
	struct vmt_err err = {""};
	uint64_t end = 0;

	if (vmt_go_large_chunk_read(&large, &header, data, size, &err) != 0)
		return;
	for (uint64_t i = 0; i < large.head.objects; i++) {
		const struct vmt_go_large_object *object = &large.objects[i];

		MUST(object->start >= end && object->site < large.head.sites);
		end = object->start + vmt_go_large_pages(large.sites[object->site].object_bytes) *
					  VMT_GO_PAGE_BYTES;
	}
	vmt_go_large_chunk_free(&large);
}

static void
fuzz_modules(const uint8_t *data, size_t size)
{
	struct vmt_module module;

	for (uint32_t id = 0; id < size + 8; id++) {
		if (!vmt_module_table_get(data, size, id, &module))
			continue;
		touch(module.path, module.path_bytes);
		touch(module.build_id, module.build_id_bytes);
	}
}

/* What a hostile writer would have written: the checksum of each record is right. */
static void
seal_stacks(uint64_t *words, uint64_t count)
{
	for (uint64_t end = 1; end < count; end++) {
		uint32_t frames =
		    (uint32_t)(words[end] >> COUNT_SHIFT & (VMT_STACK_MAX_FRAMES - 1)) + 1;

		if (words[end] & END && frames < end)
			words[end] = end_word(words + end - frames, frames, (uint32_t)words[end]);
	}
}

/* Nobody reads outside, and who asks for many ids gets what each gives alone. What was read stands
 * in the table, for who looks it up there, with ids of outer frames and without. */
static void
read_stacks(uint64_t *words, uint64_t count, uint64_t *whole)
{
	const struct vmt_stack_table table = {.words = words, .words_count = count};

	for (uint32_t id = 0; id < count + 2; id++) {
		uint64_t shared[VMT_STACK_MAX_FRAMES], again[VMT_STACK_MAX_FRAMES];
		uint32_t known[VMT_STACK_MAX_FRAMES] = {0};
		uint32_t frames = vmt_stack_table_read(words, count, id, shared);
		const uint64_t *found;

		touch(shared, frames * sizeof(*shared));
		MUST(vmt_stack_table_read_many(words, count, id, whole, again) == frames);
		MUST(memcmp(shared, again, frames * sizeof(*shared)) == 0);
		MUST(frames == 0 || (holds(&table, id, shared, frames, NULL) &&
				     holds(&table, id, shared, frames, known) && known[0] == id));
		(void)holds(&table, id, words, count < 64 ? (uint32_t)count : 64, known);
		found = vmt_stack_table_get_unshared(words, count, id, &frames);
		if (found)
			touch(found, frames * sizeof(*found));
	}
}

static void
fuzz_stacks(const uint8_t *data, size_t size)
{
	uint64_t count = size / sizeof(uint64_t);
	uint64_t *words = malloc(size + 1);
	uint64_t *whole = calloc(count / 64 + 1, sizeof(*whole));

	MUST(words && whole);
	memcpy(words, data, count * sizeof(*words));
	read_stacks(words, count, whole);
	seal_stacks(words, count);
	memset(whole, 0, (count / 64 + 1) * sizeof(*whole));
	read_stacks(words, count, whole);
	free(whole);
	free(words);
}

static bool
take_mapping(void *context, const struct vmt_mapping *mapping)
{
	(void)context;
	touch(mapping->path, mapping->path_bytes);
	return true;
}

static void
fuzz_proc(const uint8_t *data, size_t size)
{
	struct vmt_procfs_rollup rollup;
	struct vmt_procfs_statm statm;
	struct vmt_procfs_stat stat;
	struct vmt_cgroup cgroup;
	const char *text = (const char *)data;

	MUST(vmt_procfs_each_mapping(text, size, take_mapping, NULL) <= size);
	(void)vmt_procfs_parse_statm(text, size, &statm);
	(void)vmt_procfs_parse_stat(text, size, &stat);
	(void)vmt_procfs_parse_rollup(text, size, &rollup);
	if (vmt_cgroup_locate(&cgroup, vmt_text_of(text, size / 2),
			      vmt_text_of(text + size / 2, size - size / 2), "memory"))
		MUST(strlen(cgroup.path) < VMT_CGROUP_PATH_BYTES);
	MUST(vmt_cgroup_parse_quota(vmt_text_of(text, size / 2),
				    vmt_text_of(text + size / 2, size - size / 2)) -
		 1 <
	     VMT_CPU_WHOLE);
}

static void
fuzz_units(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	uint64_t value;

	MUST(text);
	(void)vmt_units_parse_bytes(text, &value);
	(void)vmt_units_parse_duration(text, &value);
	free(text);
}

static void
fuzz_instructions(const uint8_t *data, size_t size)
{
	struct vmt_instruction instruction;
	struct vmt_instruction again;
	size_t length;

	for (size_t at = 0; at < size; at++) {
		length = vmt_instruction_length_read(data + at, size - at, &instruction);
		MUST(length <= VMT_INSTRUCTION_MAX_BYTES && length <= size - at);
		if (length == 0)
			continue;
		MUST(instruction.length == length && instruction.immediate_at <= length);
		MUST(instruction.rip_displacement_at == 0 ||
		     instruction.rip_displacement_at + 4u <= length);
		MUST(vmt_instruction_length_read(data + at, length, &again) == length);
		MUST(vmt_instruction_length_read(data + at, length - 1, &again) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const uint8_t *data, size_t size) = {
	    fuzz_events,  fuzz_snapshot,   fuzz_go_counters, fuzz_modules,
	    fuzz_stacks,  fuzz_proc,	   fuzz_units,	     fuzz_instructions,
	    fuzz_go_heap, fuzz_go_profile, fuzz_go_large,
	};
	uint8_t *exact;

	if (size < 1)
		return 0;
	/* Memory of exactly this size: what is read past it is seen. */
	exact = malloc(size);
	MUST(exact);
	memcpy(exact, data + 1, size - 1);
	parsers[data[0] % (sizeof(parsers) / sizeof(*parsers))](exact, size - 1);
	free(exact);
	return 0;
}
