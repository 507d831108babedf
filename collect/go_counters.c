#include "collect/go_counters.h"

#include "base/procfs.h"
#include "base/text.h"
#include "base/ticks.h"
#include "collect/remote_read.h"
#include "collect/trace_clock.h"
#include "format/chunk.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define PAYLOAD_MAX_BYTES                                                                          \
	(sizeof(struct vmt_go_counters) +                                                          \
	 VMT_GO_OBJECTS * (sizeof(struct vmt_go_object) + VMT_GO_OBJECT_MAX_BYTES))

static uint64_t
round_up(uint64_t bytes)
{
	return (bytes + 7) & ~UINT64_C(7);
}

/* go_heap_reader.h or go_profile_reader.h follows it: its own bytes are of no use in a trace. */
static bool
is_followed(const struct vmt_go_object *object)
{
	static const char *const symbols[] = {
	    VMT_GO_HEAP_SYMBOL,	   VMT_GO_GOROUTINES_SYMBOL,	VMT_GO_PROCESSORS_SYMBOL,
	    VMT_GO_PROFILE_SYMBOL, VMT_GO_PROFILE_CYCLE_SYMBOL, VMT_GO_PROFILE_RATE_SYMBOL};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (memcmp(object->symbol, symbols[i], vmt_text_string_bytes(symbols[i]) + 1) == 0)
			return true;
	return false;
}

/* Reads one object behind its description; the bytes that it takes up, 0 = none. */
static uint64_t
put_object(unsigned char *at, uint32_t pid, const struct vmt_go_object *known)
{
	struct vmt_go_object object = *known;
	unsigned char *bytes = at + sizeof(object);

	object.symbol[sizeof(object.symbol) - 1] = '\0';
	if (object.bytes > VMT_GO_OBJECT_MAX_BYTES)
		object.bytes = VMT_GO_OBJECT_MAX_BYTES;
	if (object.bytes == 0 || is_followed(known) ||
	    vmt_remote_read(pid, object.address, bytes, object.bytes) < 0)
		return 0;
	memset(bytes + object.bytes, 0, round_up(object.bytes) - object.bytes);
	memcpy(at, &object, sizeof(object));
	return sizeof(object) + round_up(object.bytes);
}

int
vmt_go_counters_take(const struct vmt_head *head, uint32_t pid, int maps_fd, uint32_t snapshot,
		     struct vmt_buffer *scratch, struct vmt_writer *writer)
{
	struct vmt_go_counters counters = {.snapshot = snapshot};
	uint32_t known = vmt_atomic_load_relaxed(&head->go.objects_count);
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_GO};
	uint64_t used = sizeof(counters);

	if (known == 0 || known > VMT_GO_OBJECTS)
		return -ENODATA;
	if (!vmt_buffer_reserve(scratch, PAYLOAD_MAX_BYTES))
		return -ENOMEM;
	for (uint32_t i = 0; i < known; i++) {
		uint64_t bytes = put_object(scratch->bytes + used, pid, &head->go.objects[i]);

		counters.objects += bytes != 0;
		used += bytes;
	}
	if (counters.objects == 0)
		return -ENODATA;
	/* What was read may be a successor's. */
	if (maps_fd < 0 || !vmt_procfs_is_mapped(maps_fd))
		return -ESRCH;
	counters.time = vmt_trace_clock_now(head->clock);
	counters.monotonic_ns = vmt_ticks_monotonic_ns();
	memcpy(scratch->bytes, &counters, sizeof(counters));
	chunk.time_min = chunk.time_max = counters.time;
	return vmt_writer_append(writer, &chunk, scratch->bytes, used);
}
