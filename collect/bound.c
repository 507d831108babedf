#include "collect/bound.h"

#include "base/assert.h"
#include "base/sys.h"
#include "format/head.h"

#include <errno.h>
#include <sys/vfs.h>

#define SIXTEENTHS 16u
#define HEAP_SIXTEENTHS 8u
#define SAMPLED_HEAP_SIXTEENTHS 2u
#define OTHERS_SIXTEENTHS 3u

/* Of the map family's share, for what the rings hold when it is used up: a quarter, or this. */
#define SLACK_BYTES (UINT64_C(2) << 20)
#define END_BYTES (sizeof(struct vmt_chunk) + sizeof(struct vmt_chunk_end))

/* e times the time costs this part of a half of the others' share. */
#define OTHERS_PART 16u

#define USAGE_PART 16u
#define TOUCH_PART 4u

#define SPACE_NS UINT64_C(100000000)
#define SPACE_PART 64u
#define SPACE_MOST_BYTES (UINT64_C(256) << 20)

void
vmt_bound_begin(struct vmt_bound *bound, uint64_t max_bytes, const struct vmt_head *layout,
		uint64_t now_ns)
{
	bool is_whole = layout->malloc_mode == VMT_MALLOC_ALL;
	uint64_t fixed_bytes = layout->chunks_offset;
	uint64_t room = max_bytes > fixed_bytes ? max_bytes - fixed_bytes : 0;

	*bound = (struct vmt_bound){.begun_ns = now_ns};
	if (max_bytes == 0)
		return;
	if (room < VMT_BOUND_LEAST_BYTES)
		room = VMT_BOUND_LEAST_BYTES;
	bound->end_bytes = fixed_bytes + room;
	vmt_assert(bound->end_bytes >= fixed_bytes + VMT_BOUND_LEAST_BYTES);
	bound->most[VMT_BOUND_HEAP] =
	    room / SIXTEENTHS * (is_whole ? HEAP_SIXTEENTHS : SAMPLED_HEAP_SIXTEENTHS);
	bound->most[VMT_BOUND_OTHERS] = room / SIXTEENTHS * OTHERS_SIXTEENTHS;
	bound->most[VMT_BOUND_MAP] =
	    room - bound->most[VMT_BOUND_HEAP] - bound->most[VMT_BOUND_OTHERS];
	vmt_assert(bound->most[VMT_BOUND_MAP] != 0 && bound->most[VMT_BOUND_MAP] < room);
}

static enum vmt_bound_share
share_of(const struct vmt_chunk *chunk)
{
	if (chunk->kind != VMT_CHUNK_EVENTS)
		return VMT_BOUND_OTHERS;
	return chunk->ring % VMT_RING_CLASSES == VMT_RING_HEAP ? VMT_BOUND_HEAP : VMT_BOUND_MAP;
}

/* The last part is for readings alone: small ones, which come ever more seldom. */
static uint64_t
most_of_others(const struct vmt_bound *bound, const struct vmt_chunk *chunk)
{
	uint64_t most = bound->most[VMT_BOUND_OTHERS];

	return chunk->kind == VMT_CHUNK_USAGE ? most : most - most / USAGE_PART;
}

/* One without samples, which says how many were lost, is small. */
static bool
is_touch_spent(const struct vmt_bound *bound, const struct vmt_chunk *chunk, uint64_t bytes)
{
	return chunk->kind == VMT_CHUNK_TOUCH && chunk->events != 0 &&
	       bound->touch_bytes + bytes > bound->most[VMT_BOUND_OTHERS] / TOUCH_PART;
}

int
vmt_bound_check(const struct vmt_bound *bound, const struct vmt_chunk *chunk, uint64_t bytes,
		uint64_t end_bytes)
{
	enum vmt_bound_share share = share_of(chunk);

	if (bound->end_bytes == 0 || chunk->kind == VMT_CHUNK_END)
		return 0;
	if (bound->lacks_space)
		return -ENOSPC;
	if (end_bytes + bytes > bound->end_bytes - END_BYTES)
		return -EFBIG;
	if (share == VMT_BOUND_OTHERS && bound->used[share] + bytes > most_of_others(bound, chunk))
		return -EFBIG;
	return is_touch_spent(bound, chunk, bytes) ? -EFBIG : 0;
}

static void
note_others(struct vmt_bound *bound, const struct vmt_chunk *chunk)
{
	if (chunk->kind == VMT_CHUNK_SNAPSHOT)
		bound->snapshots++;
	if (chunk->kind == VMT_CHUNK_USAGE)
		bound->usages += chunk->raw_bytes / sizeof(struct vmt_usage);
	if (bound->usage_part != 0 ||
	    bound->used[VMT_BOUND_OTHERS] < bound->most[VMT_BOUND_OTHERS] / 2)
		return;
	bound->usage_part = bound->usages / OTHERS_PART + 1;
	bound->snapshot_part = bound->snapshots / OTHERS_PART + 1;
}

void
vmt_bound_note(struct vmt_bound *bound, const struct vmt_chunk *chunk, uint64_t bytes)
{
	enum vmt_bound_share share = share_of(chunk);

	if (bound->end_bytes == 0)
		return;
	vmt_assert(!__builtin_add_overflow(bound->used[share], bytes, &(uint64_t){0}));
	bound->used[share] += bytes;
	if (chunk->kind == VMT_CHUNK_TOUCH)
		bound->touch_bytes += bytes;
	if (share == VMT_BOUND_OTHERS)
		note_others(bound, chunk);
}

void
vmt_bound_move(struct vmt_bound *bound, uint64_t bytes)
{
	uint64_t from = bound->used[VMT_BOUND_MAP];

	bytes = bytes < from ? bytes : from;
	vmt_assert(bound->end_bytes != 0 || bytes == 0);
	bound->used[VMT_BOUND_MAP] -= bytes;
	bound->used[VMT_BOUND_HEAP] += bytes;
}

uint32_t
vmt_bound_level(const struct vmt_bound *bound)
{
	uint64_t unit = bound->most[VMT_BOUND_HEAP] / VMT_BOUND_UNITS;
	uint64_t units = unit ? bound->used[VMT_BOUND_HEAP] / unit : 0;

	if (units < 2)
		return 0;
	return units < VMT_BOUND_UNITS ? (uint32_t)units - 1 : VMT_THIN_LEVELS - 1;
}

bool
vmt_bound_is_spent(const struct vmt_bound *bound)
{
	uint64_t most = bound->most[VMT_BOUND_MAP];
	uint64_t slack = most / 4 < SLACK_BYTES ? most / 4 : SLACK_BYTES;

	return bound->end_bytes != 0 && bound->used[VMT_BOUND_MAP] >= most - slack;
}

bool
vmt_bound_is_scarce(const struct vmt_bound *bound)
{
	uint64_t most = bound->most[VMT_BOUND_OTHERS];

	return bound->end_bytes != 0 && bound->used[VMT_BOUND_OTHERS] >= most - most / 8;
}

uint64_t
vmt_bound_distance_ns(const struct vmt_bound *bound, uint64_t part, uint64_t now_ns)
{
	return part != 0 && now_ns > bound->begun_ns ? (now_ns - bound->begun_ns) / part : 0;
}

void
vmt_bound_finish(struct vmt_bound *bound)
{
	bound->lacks_space = false;
	bound->space_due_ns = UINT64_MAX;
}

/* What a file system does not say of its size (a tmpfs without limit) has room. */
void
vmt_bound_look(struct vmt_bound *bound, int fd, uint64_t now_ns)
{
	struct statfs space;
	uint64_t block, kept, total, left;

	if (bound->end_bytes == 0 || now_ns < bound->space_due_ns)
		return;
	bound->space_due_ns = now_ns + SPACE_NS;
	bound->lacks_space = false;
	if (vmt_sys_call2(SYS_fstatfs, fd, &space) < 0 || space.f_blocks == 0)
		return;
	block = (uint64_t)space.f_bsize;
	total = (uint64_t)space.f_blocks * block;
	left = (uint64_t)space.f_bavail * block;
	kept = total / SPACE_PART < SPACE_MOST_BYTES ? total / SPACE_PART : SPACE_MOST_BYTES;
	bound->lacks_space = left < kept;
}
