/*
 * emit_fixture.h: two small rings for a thread to write events into, with the collector that the
 * test wants: none, one that is alive, one that is elsewhere, one that is dead.
 */
#ifndef EMIT_FIXTURE_H
#define EMIT_FIXTURE_H

#include "base/sys.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define CAPACITY 8u

static struct vmt_owner owner;
static struct vmt_session session;
static unsigned char *base;

static inline struct vmt_ring_view *
ring(enum vmt_ring_class ring_class)
{
	return &vmt_recording.rings[0][ring_class];
}

/* A trace in memory, with one shard; nobody collects. */
static inline int
set_up(void **state)
{
	struct vmt_recording *process = &vmt_recording;
	struct vmt_head plan = {.shards = 1,
				.heap_capacity = CAPACITY,
				.map_capacity = CAPACITY,
				.stack_index_entries = 64,
				.stack_words = 64,
				.modules_bytes = 64};

	(void)state;
	vmt_head_lay_out(&plan);
	plan.clock_start.monotonic_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	base = mmap(NULL, plan.chunks_offset, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	memcpy(base, &plan, sizeof(plan));
	memset(process, 0, sizeof(*process));
	vmt_emit_begin_trace();
	vmt_guard = (struct vmt_guard){.no_syscalls = false};
	vmt_own_memory = (struct vmt_own_memory){.count = 0};
	memset(&session, 0, sizeof(session));
	process->head = (struct vmt_head *)(void *)base;
	process->malloc_mode = VMT_MALLOC_SAMPLED;
	for (int i = 0; i < VMT_RING_CLASSES; i++)
		process->rings[0][i] =
		    vmt_head_ring(process->head, base, 0, (enum vmt_ring_class)i);
	owner = (struct vmt_owner){.state = VMT_OWNER_RECORDING, .generation = 1};
	vmt_guard_owner = &owner;
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	return munmap(base, vmt_recording.head->chunks_offset);
}

static inline void
collect(void)
{
	vmt_recording.session = &session;
	vmt_recording.head->collector_pid = 1;
	vmt_recording.head->heartbeat_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + 60000000000u;
}

/* The collector of the tree lives, as the session says. */
static inline void
collector_missed_us(void)
{
	vmt_recording.session = &session;
	session.collector_pid = 1;
	session.heartbeat_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC) + 60000000000u;
}

static inline void
collector_died(void)
{
	collector_missed_us();
	vmt_recording.head->collector_pid = 1;
	vmt_recording.head->heartbeat_ns = 1;
}

static inline bool
emit_block(uint8_t kind, uint64_t number)
{
	return vmt_emit_heap(kind, (void *)(uintptr_t)(number * 16), number, (uint32_t)number,
			     number);
}

static inline bool
emit_mapping(uint8_t kind, uint64_t number)
{
	struct vmt_map_event event = {.kind = kind, .address = number, .time = number};

	return vmt_emit_map(&event);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
