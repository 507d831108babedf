#include "inject/cut_cache.h"

#include "base/sys.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)
/* Times of files are as coarse as this, at most (FAT). */
#define COARSE_NS (2 * SECOND_NS)

static int64_t
nanoseconds(const struct timespec *time)
{
	return time->tv_sec * SECOND_NS + time->tv_nsec;
}

/* False: it can't be known again. */
static bool
read_key(struct vmt_cut_cache_key *key, int file)
{
	struct stat status;
	int64_t now_ns = (int64_t)vmt_sys_clock_ns(CLOCK_REALTIME);

	if (file < 0 || vmt_sys_call2(SYS_fstat, file, &status) < 0)
		return false;
	memset(key, 0, sizeof(*key));
	key->device = status.st_dev;
	key->inode = status.st_ino;
	key->bytes = (uint64_t)status.st_size;
	key->changed_ns = nanoseconds(&status.st_mtim);
	key->noted_ns = nanoseconds(&status.st_ctim);
	return key->noted_ns + COARSE_NS < now_ns && key->changed_ns + COARSE_NS < now_ns;
}

static bool
is_same(const struct vmt_cut_cache_key *a, const struct vmt_cut_cache_key *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       a->changed_ns == b->changed_ns && a->noted_ns == b->noted_ns;
}

/* -- what is kept of a search -------------------------------------------------------------------
 */

static uint64_t
sites_bytes(const struct vmt_program_cuts *cuts)
{
	return cuts->sites_count * sizeof(struct vmt_syscall_site);
}

static uint64_t
memory_bytes(const struct vmt_program_cuts *cuts)
{
	return sites_bytes(cuts) + vmt_frame_index_memory_bytes(&cuts->frames);
}

static void
move_map(struct vmt_code_map *map, uint64_t up)
{
	for (uint32_t i = 0; i < map->segments_count; i++)
		map->segments[i].address += up;
	map->bias += up;
	map->low += up;
	map->high += up;
}

static bool
copy_sites(struct vmt_program_cuts *to, const struct vmt_program_cuts *from, uint64_t up)
{
	const struct vmt_syscall_site *source = (const void *)from->sites.bytes;
	struct vmt_syscall_site *sites;

	to->sites = (struct vmt_buffer){NULL, 0};
	if (from->sites_count == 0)
		return true;
	sites = vmt_buffer_reserve(&to->sites, sites_bytes(from)) ? (void *)to->sites.bytes : NULL;
	if (!sites)
		return false;
	for (size_t i = 0; i < from->sites_count; i++) {
		sites[i] = source[i];
		sites[i].address += up;
		sites[i].syscall += up;
		sites[i].exit += up;
	}
	return true;
}

/* Of what a search found, for a program that lies so many bytes above. False: no memory, and `to`
 * is empty. */
static bool
copy(struct vmt_program_cuts *to, const struct vmt_program_cuts *from, uint64_t up)
{
	*to = (struct vmt_program_cuts){.wanted = from->wanted,
					.map = from->map,
					.sites_count = from->sites_count,
					.heap = from->heap};
	if (copy_sites(to, from, up) && vmt_frame_index_copy(&to->frames, &from->frames, up) == 0) {
		move_map(&to->map, up);
		vmt_heap_hooks_move(&to->heap, up);
		return true;
	}
	vmt_program_cuts_close(to);
	return false;
}

static bool
has_bytes(const struct vmt_target *target, uint64_t address, const uint8_t *bytes, size_t count)
{
	uint8_t found[VMT_SITE_CUT_BYTES];

	return vmt_target_read(target, address, found, count) == 0 &&
	       memcmp(found, bytes, count) == 0;
}

/* Whether the program has the code that is to be replaced. */
static bool
is_true_of(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	const struct vmt_syscall_site *sites = (const void *)cuts->sites.bytes;

	for (size_t i = 0; i < cuts->sites_count; i++)
		if (sites[i].verdict == VMT_SITE_CUT &&
		    !has_bytes(target, sites[i].address, sites[i].original, sites[i].cut_bytes))
			return false;
	for (uint32_t i = 0; i < cuts->heap.count; i++) {
		const struct vmt_entry_site *site = &cuts->heap.functions[i].site;

		if (cuts->heap.functions[i].is_led &&
		    !has_bytes(target, site->address, site->original, site->cut_bytes))
			return false;
	}
	return true;
}

/* -- entries -------------------------------------------------------------------------------------
 */

static void
drop(struct vmt_cut_cache_entry *entry)
{
	vmt_program_cuts_close(&entry->cuts);
	*entry = (struct vmt_cut_cache_entry){.used = 0};
}

static struct vmt_cut_cache_entry *
find(struct vmt_cut_cache *cache, const struct vmt_cut_cache_key *key)
{
	for (uint32_t i = 0; i < VMT_CUT_CACHE_FILES; i++)
		if (cache->entries[i].used != 0 && is_same(&cache->entries[i].key, key))
			return &cache->entries[i];
	return NULL;
}

struct room {
	uint64_t bytes; /* that all entries take */
	struct vmt_cut_cache_entry *empty;
	struct vmt_cut_cache_entry *oldest;
};

static void
look_for_room(struct vmt_cut_cache *cache, struct room *room)
{
	*room = (struct room){.bytes = 0};
	for (uint32_t i = 0; i < VMT_CUT_CACHE_FILES; i++) {
		struct vmt_cut_cache_entry *entry = &cache->entries[i];

		room->bytes += memory_bytes(&entry->cuts);
		if (entry->used == 0)
			room->empty = entry;
		else if (!room->oldest || entry->used < room->oldest->used)
			room->oldest = entry;
	}
}

/* Drops what has to go for so many bytes more. NULL: they are too many. */
static struct vmt_cut_cache_entry *
make_room(struct vmt_cut_cache *cache, uint64_t needed)
{
	struct room room;

	if (needed > VMT_CUT_CACHE_BYTES)
		return NULL;
	for (look_for_room(cache, &room);
	     room.oldest && (!room.empty || room.bytes + needed > VMT_CUT_CACHE_BYTES);
	     look_for_room(cache, &room))
		drop(room.oldest);
	return room.empty;
}

static void
keep(struct vmt_cut_cache *cache, const struct vmt_cut_cache_key *key,
     const struct vmt_program_cuts *cuts, const struct vmt_cut_search *search)
{
	struct vmt_cut_cache_entry *entry = make_room(cache, memory_bytes(cuts));

	if (!entry || !copy(&entry->cuts, cuts, 0))
		return;
	entry->key = *key;
	entry->program_headers = search->program_headers;
	entry->used = ++cache->uses;
}

static bool
take(struct vmt_cut_cache *cache, struct vmt_cut_cache_entry *entry, struct vmt_program_cuts *cuts,
     const struct vmt_cut_search *search)
{
	if (!copy(cuts, &entry->cuts, search->program_headers - entry->program_headers))
		return false;
	if (is_true_of(cuts, search->target)) {
		entry->used = ++cache->uses;
		cache->hits++;
		return true;
	}
	vmt_program_cuts_close(cuts);
	drop(entry);
	return false;
}

int
vmt_cut_cache_search(struct vmt_cut_cache *cache, struct vmt_program_cuts *cuts,
		     const struct vmt_cut_search *search)
{
	struct vmt_cut_cache_key key;
	bool is_known = read_key(&key, search->file);
	struct vmt_cut_cache_entry *entry = is_known ? find(cache, &key) : NULL;
	int result;

	if (entry && take(cache, entry, cuts, search))
		return 0;
	result = vmt_cut_search_run(cuts, search);
	if (result == 0 && is_known && !find(cache, &key))
		keep(cache, &key, cuts, search);
	return result;
}

void
vmt_cut_cache_close(struct vmt_cut_cache *cache)
{
	for (uint32_t i = 0; i < VMT_CUT_CACHE_FILES; i++)
		drop(&cache->entries[i]);
}
