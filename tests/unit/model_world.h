/*
 * model_world.h: how does a test of the model make events and snapshots without a trace?
 *
 * Stack id n has two frames, 0x400000 + n * 16 and 0x401000 + n * 16. Sites are asked for by kind
 * and stack, and their figures by name. A snapshot is a list of mappings and runs in the test's own
 * arrays. A mistake of the test fails it (cmocka asserts).
 */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "tools/model/attribute/attribution.h"
#include "tools/model/replay/replay_touch.h"

#define PAGE UINT64_C(4096)
#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define BASE UINT64_C(0x7f0000000000)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#define FRAME(n, level) (UINT64_C(0x400000) + (level)*0x1000 + (n)*16)

__attribute__((unused)) static const uint64_t *
world_stack(void *context, uint32_t id, uint32_t *frames)
{
	static uint64_t addresses[2];

	(void)context;
	addresses[0] = FRAME(id, 0);
	addresses[1] = FRAME(id, 1);
	*frames = 2;
	return addresses;
}

__attribute__((unused)) static struct vmt_replay *
world_new(uint64_t sample_bytes, bool forked)
{
	struct vmt_replay_options options = {.stacks = {world_stack, NULL},
					     .touch_stacks = {world_stack, NULL},
					     .page_bytes = 4096,
					     .sample_bytes = sample_bytes,
					     .forked = forked};
	struct vmt_replay *replay = vmt_replay_new(&options);

	assert_non_null(replay);
	return replay;
}

__attribute__((unused)) static void
happen(struct vmt_replay *replay, struct vmt_event event)
{
	if (!event.thread)
		event.thread = 100;
	assert_int_equal(vmt_replay_apply(replay, &event), 0);
	assert_true(vmt_space_check(replay->space));
}

/* happen(replay, EVENT(MUNMAP, .address = ..., ...)) */
#define EVENT(name, ...)                                                                           \
	(struct vmt_event)                                                                         \
	{                                                                                          \
		.kind = VMT_EVENT_##name, .marks = VMT_MARK_LOOKED, __VA_ARGS__                    \
	}

__attribute__((unused)) static void
map_anonymous(struct vmt_replay *replay, uint64_t address, uint64_t length, uint32_t stack)
{
	happen(replay, EVENT(MMAP, .address = address, .length = length, .stack = stack,
			     .flags = ANON, .protection = RW, .argument_b = UINT64_MAX));
}

/* Stack `stack` touches every page of a range, each sample for `period` faults. */
__attribute__((unused)) static void
touch_pages(struct vmt_replay *replay, uint64_t start, uint64_t bytes, uint32_t stack,
	    uint64_t period)
{
	for (uint64_t at = start; at < start + bytes; at += PAGE * period) {
		const struct vmt_touch_sample sample = {
		    .address = at, .stack = stack, .thread = 100, .page_shift = 12};

		assert_int_equal(vmt_replay_touch_apply(replay, &sample, period), 0);
	}
}

__attribute__((unused)) static const struct vmt_site_entry *
site_of(struct vmt_replay *replay, uint8_t kind, uint32_t stack)
{
	for (uint32_t i = 0; i < vmt_sites_count(replay->sites); i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(replay->sites, i);

		if (entry->key.kind == kind && entry->key.stack == stack)
			return entry;
	}
	fail_msg("no site of kind %u with stack %u", kind, stack);
	return NULL;
}

__attribute__((unused)) static uint64_t
figure_of_site(struct vmt_replay *replay, uint8_t kind, uint32_t stack, enum vmt_figure figure)
{
	return vmt_sites_figure(site_of(replay, kind, stack), figure);
}

/* FIGURE(replay, MMAP, stack, RELEASED) */
#define FIGURE(replay, kind, stack, figure)                                                        \
	figure_of_site((replay), VMT_EVENT_##kind, (stack), VMT_FIGURE_##figure)

/* The site's kind and stack that own a page; kind 0 = nobody. */
__attribute__((unused)) static void
assert_owner(struct vmt_replay *replay, uint64_t address, uint8_t kind, uint32_t stack)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);
	const struct vmt_site_entry *entry;

	if (!kind) {
		assert_true(!extent || extent->start > address);
		return;
	}
	assert_non_null(extent);
	assert_true(extent->start <= address);
	entry = vmt_sites_get(replay->sites, extent->site);
	assert_int_equal(entry->key.kind, kind);
	assert_int_equal(entry->key.stack, stack);
}

/* A snapshot in the making. */
#define WORLD_MAPPINGS 64u
#define WORLD_RUNS 4096u

struct world_snapshot {
	struct vmt_snapshot snapshot;
	struct vmt_snapshot_mapping mappings[WORLD_MAPPINGS];
	struct vmt_run runs[WORLD_RUNS];
};

__attribute__((unused)) static void
add_run(struct world_snapshot *world, uint64_t start, uint64_t bytes, uint32_t kind)
{
	uint32_t count = world->snapshot.head.runs++;

	assert_true(count < WORLD_RUNS);
	assert_true(count == 0 ||
		    world->runs[count - 1].start + world->runs[count - 1].bytes <= start);
	world->snapshot.runs = world->runs;
	world->runs[count] = (struct vmt_run){start, bytes, kind};
	world->mappings[world->snapshot.head.mappings - 1].runs++;
}

/* A mapping whose first resident_bytes are resident. */
__attribute__((unused)) static struct vmt_mapping *
add_mapping(struct world_snapshot *world, uint64_t start, uint64_t bytes, const char *path,
	    uint64_t resident_bytes)
{
	uint32_t count = world->snapshot.head.mappings++;
	struct vmt_snapshot_mapping *mapping = &world->mappings[count];

	assert_true(count < WORLD_MAPPINGS);
	assert_true(count == 0 || world->mappings[count - 1].mapping.end <= start);
	world->snapshot.mappings = world->mappings;
	mapping->first_run = world->snapshot.head.runs;
	mapping->mapping = (struct vmt_mapping){
	    .start = start,
	    .end = start + bytes,
	    .protection = RW,
	    .path = path,
	    .path_bytes = (uint16_t)strlen(path),
	    .inode = path[0] == '/' ? 1 : 0,
	};
	if (resident_bytes)
		add_run(world, start, resident_bytes, VMT_RUN_PRESENT);
	return &mapping->mapping;
}

/* Joins, and checks the identity once more from outside: sums of classes against the runs and the
 * mappings themselves. */
__attribute__((unused)) static struct vmt_attribution
join_world(struct world_snapshot *world, struct vmt_replay *replay,
	   const struct vmt_attribution_options *wanted)
{
	struct vmt_attribution_options none = {0};
	struct vmt_attribution attribution;
	uint64_t expected[VMT_AMOUNTS] = {0};
	uint64_t found[VMT_AMOUNTS] = {0};

	assert_int_equal(
	    vmt_attribution_join(&attribution, &world->snapshot, replay, wanted ? wanted : &none),
	    0);
	for (uint32_t i = 0; i < world->snapshot.head.mappings; i++) {
		const struct vmt_mapping *mapping = &world->mappings[i].mapping;

		if (strcmp(mapping->path, "[vsyscall]") == 0)
			continue;
		expected[VMT_AMOUNT_RESERVED] += mapping->end - mapping->start;
		if (mapping->protection != PROT_NONE)
			expected[VMT_AMOUNT_ACCESSIBLE] += mapping->end - mapping->start;
	}
	for (uint32_t i = 0; i < world->snapshot.head.runs; i++) {
		uint32_t kind = world->runs[i].kind;

		if ((kind & VMT_RUN_PRESENT) && !(kind & VMT_RUN_ZERO))
			expected[VMT_AMOUNT_COMMITTED] += world->runs[i].bytes;
		else if (kind & VMT_RUN_SWAPPED)
			expected[VMT_AMOUNT_SWAPPED] += world->runs[i].bytes;
		else if (kind & VMT_RUN_HUGETLB)
			expected[VMT_AMOUNT_HUGETLB] += world->runs[i].bytes;
		if ((kind & VMT_RUN_SHARED) && !(kind & VMT_RUN_ZERO))
			expected[VMT_AMOUNT_SHARED] += world->runs[i].bytes;
	}
	for (int i = 0; i < VMT_CLASSES; i++)
		for (int j = 0; j < VMT_AMOUNTS; j++)
			found[j] += attribution.classes[i].bytes[j];
	for (int j = 0; j < VMT_AMOUNTS; j++) {
		/* What was never touched is for the tests that know it. */
		if (j == VMT_AMOUNT_UNTOUCHED)
			expected[j] = found[j];
		assert_int_equal(found[j], expected[j]);
		assert_int_equal(attribution.total.bytes[j], expected[j]);
	}
	return attribution;
}

/* CLASS_OF(attribution, PROGRAM, COMMITTED) */
#define CLASS_OF(attribution, class, amount)                                                       \
	((attribution).classes[VMT_CLASS_##class].bytes[VMT_AMOUNT_##amount])

#endif
