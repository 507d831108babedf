#include "collect/tasks.h"

#include "base/assert.h"
#include "base/listing.h"
#include "base/procfs.h"
#include "collect/trace_clock.h"

#include <errno.h>
#include <string.h>

#define LISTING_BYTES 32768u
#define MOST_TASKS (VMT_CHUNK_MAX_BYTES / sizeof(uint32_t))
#define TRIES 4

/* The scratch holds the ids, then room for one listing. */
struct list {
	struct vmt_buffer *scratch;
	uint32_t count;
};

static uint32_t *
ids_of(const struct list *list)
{
	return (uint32_t *)(void *)list->scratch->bytes;
}

static bool
reserve(const struct list *list)
{
	return vmt_buffer_reserve(list->scratch,
				  (list->count + LISTING_BYTES / sizeof(struct vmt_listing_entry)) *
					  sizeof(uint32_t) +
				      LISTING_BYTES);
}

static int
add_listing(struct list *list, const unsigned char *bytes, size_t length)
{
	struct vmt_listing listing = {.bytes = bytes, .length = length};
	uint64_t id;

	while (vmt_listing_next(&listing, &id))
		if (id <= UINT32_MAX)
			ids_of(list)[list->count++] = (uint32_t)id;
	return vmt_listing_is_done(&listing) ? 0 : -EIO;
}

static int
read_list(struct list *list, uint32_t pid)
{
	int fd = vmt_procfs_open(pid, "task");
	int result = fd < 0 ? fd : 0;
	long got = 1;

	list->count = 0;
	while (result == 0 && got > 0) {
		unsigned char *listing;

		if (list->count >= MOST_TASKS || !reserve(list)) {
			result = -ENOMEM;
			break;
		}
		listing = list->scratch->bytes + list->scratch->capacity / 8 * 8 - LISTING_BYTES;
		vmt_assert(listing >= list->scratch->bytes + list->count * sizeof(uint32_t));
		got = vmt_sys_call3(SYS_getdents64, fd, listing, LISTING_BYTES);
		result = got < 0 ? (int)got : add_listing(list, listing, (size_t)got);
	}
	if (fd >= 0)
		vmt_sys_close(fd);
	return result;
}

int
vmt_tasks_read(uint32_t pid, struct vmt_buffer *scratch, uint32_t *count)
{
	struct list list = {.scratch = scratch};
	int result = read_list(&list, pid);

	*count = list.count;
	return result;
}

static bool
has(const uint32_t *ids, uint32_t count, uint32_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

int
vmt_tasks_take(const struct vmt_tasks_job *job, struct vmt_writer *writer)
{
	struct vmt_chunk chunk = {.kind = VMT_CHUNK_TASKS};
	struct list list = {.scratch = job->scratch};
	bool whole = false;

	for (int i = 0; i < TRIES && !whole; i++) {
		struct vmt_procfs_stat stat;
		int result;

		chunk.time_min = chunk.time_max = vmt_trace_clock_now(job->clock);
		result = read_list(&list, job->pid);
		if (result < 0)
			return result;
		whole = vmt_procfs_read_stat(job->stat_fd, &stat) && stat.threads == list.count;
	}
	if (!whole || !has(ids_of(&list), list.count, job->own_pid))
		return -EAGAIN;
	return vmt_writer_append(writer, &chunk, list.scratch->bytes,
				 list.count * sizeof(uint32_t));
}
