#include "inject/program_cuts.h"

#include "base/near_place.h"
#include "base/pages.h"
#include "base/sys.h"
#include "format/raw_calls.h"
#include "inject/free_place.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define INDEX_ALIGNMENT 8u

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static const struct vmt_syscall_site *
sites_of(const struct vmt_program_cuts *cuts)
{
	return (const void *)cuts->sites.bytes;
}

static bool
is_possible(const struct vmt_syscall_site *site)
{
	return site->verdict == VMT_SITE_CUT || site->verdict == VMT_SITE_GO_FORM;
}

static bool
is_counted(const struct vmt_syscall_site *site)
{
	return site->number != VMT_ALTERNATE_STACK_CALL;
}

size_t
vmt_program_cuts_possible(const struct vmt_program_cuts *cuts)
{
	size_t count = 0;

	for (size_t i = 0; i < cuts->sites_count; i++)
		count += is_counted(&sites_of(cuts)[i]) && is_possible(&sites_of(cuts)[i]);
	return count;
}

size_t
vmt_program_cuts_impossible(const struct vmt_program_cuts *cuts, uint64_t *first)
{
	size_t count = 0;

	*first = 0;
	for (size_t i = 0; i < cuts->sites_count; i++) {
		if (!is_counted(&sites_of(cuts)[i]) || is_possible(&sites_of(cuts)[i]))
			continue;
		if (count == 0)
			*first = sites_of(cuts)[i].syscall;
		count += 1 + sites_of(cuts)[i].others;
	}
	return count;
}

/* The C library's waiting calls are no others. */
bool
vmt_program_cuts_hide_alternates(const struct vmt_program_cuts *cuts)
{
	for (size_t i = 0; i < cuts->sites_count; i++) {
		const struct vmt_syscall_site *site = &sites_of(cuts)[i];

		if (!is_possible(site) && site->verdict != VMT_SITE_CANCEL_POINT &&
		    (!is_counted(site) || site->number == VMT_SITE_ANY_NUMBER ||
		     site->verdict == VMT_SITE_TOO_MANY))
			return true;
	}
	return false;
}

/* *address: 0, or where it has to be. */
static int
map_at(struct vmt_remote *remote, uint64_t *address, uint64_t bytes)
{
	int fixed = *address != 0 ? MAP_FIXED_NOREPLACE : 0;
	uint64_t words[6] = {*address,
			     bytes,
			     PROT_READ | PROT_EXEC,
			     (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | fixed),
			     UINT64_MAX,
			     0};
	int64_t result;
	int error = vmt_remote_call(remote, SYS_mmap, words, &result);

	if (error < 0)
		return error;
	if (vmt_sys_is_error(result))
		return (int)result;
	if (*address == 0 || (uint64_t)result == *address) {
		*address = (uint64_t)result;
		return 0;
	}
	/* A kernel that does not know the flag has taken the address for a wish. */
	words[0] = (uint64_t)result;
	(void)vmt_remote_call(remote, SYS_munmap, words, &result);
	return -EEXIST;
}

/* Another place may do. */
static bool
is_of_the_place(int error)
{
	return error == -EEXIST || error == -EPERM || error == -ENOMEM;
}

/* Places that are likely free first; where others have them, by a search. */
static int
map_near(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t bytes)
{
	int error = -EEXIST;
	uint64_t wish;

	for (uint32_t i = 0; (wish = vmt_near_place(cuts->map.low, cuts->map.high, bytes, i)) != 0;
	     i++) {
		error = map_at(remote, &wish, bytes);
		if (error == 0 || !is_of_the_place(error))
			break;
	}
	if (error < 0 && is_of_the_place(error)) {
		error = vmt_free_place_find(remote->target->pid, cuts->map.low, cuts->map.high,
					    bytes, &wish);
		if (error == 0)
			error = map_at(remote, &wish, bytes);
	}
	if (error < 0)
		return error;
	cuts->stubs = wish;
	cuts->stubs_bytes = bytes;
	return 0;
}

/* What the last page of a segment of code has left, if nothing else is in that page. */
static uint64_t
padding_of(const struct vmt_code_map *map, uint32_t number, uint64_t *bytes)
{
	const struct vmt_code_segment *segment = &map->segments[number];
	uint64_t start = vmt_pages_up(segment->address + segment->length, VMT_CUTS_VENEER_BYTES);
	uint64_t end = vmt_pages_up(segment->address + segment->length, vmt_page_bytes);

	if (!segment->is_code || !(map->whole >> number & 1) || start >= end)
		return 0;
	if (number + 1 < map->segments_count && map->segments[number + 1].address < end)
		return 0;
	*bytes = end - start;
	return start;
}

/* Whether there is padding for a jump to each stub; reads what is there. */
static bool
find_veneers(struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	uint64_t wanted_bytes = vmt_cuts_stub_bytes(sites_of(cuts), cuts->sites_count) /
				VMT_CUTS_STUB_BYTES * VMT_CUTS_VENEER_BYTES;
	uint64_t room = 0;
	uint64_t address = 0;

	if (cuts->map.high > INT32_MAX || !vmt_frame_index_is_low(&cuts->frames))
		return false;
	for (uint32_t i = 0; i < cuts->map.segments_count && room < wanted_bytes; i++)
		address = padding_of(&cuts->map, i, &room);
	if (address == 0 || room < wanted_bytes ||
	    !vmt_buffer_reserve(&cuts->veneer_bytes, 2 * wanted_bytes) ||
	    vmt_target_read(target, address, cuts->veneer_bytes.bytes + wanted_bytes,
			    wanted_bytes) < 0)
		return false;
	cuts->veneers = (struct vmt_cut_veneers){
	    .address = address, .room = wanted_bytes, .bytes = cuts->veneer_bytes.bytes};
	return true;
}

/* Behind the stubs of the cuts. */
static uint64_t
heap_offset(const struct vmt_program_cuts *cuts)
{
	return vmt_pages_up(vmt_cuts_stub_bytes(sites_of(cuts), cuts->sites_count),
			    INDEX_ALIGNMENT);
}

static int
write_stubs(struct vmt_program_cuts *cuts, const struct vmt_target *target, uint64_t entry)
{
	struct vmt_cuts_place place = {cuts->stubs, entry,
				       cuts->veneers.room != 0 ? &cuts->veneers : NULL};
	size_t index_bytes = vmt_frame_index_bytes(&cuts->frames);
	struct vmt_buffer stubs = {NULL, 0};
	long made = -ENOMEM;

	if (vmt_buffer_reserve(&stubs, cuts->stubs_bytes) &&
	    vmt_buffer_reserve(&cuts->cuts, cuts->sites_count * sizeof(struct vmt_cut)))
		made = vmt_cuts_make(sites_of(cuts), cuts->sites_count, cuts->wanted, &place,
				     stubs.bytes, (struct vmt_cut *)(void *)cuts->cuts.bytes);
	if (made >= 0) {
		uint64_t heap = heap_offset(cuts);

		cuts->cuts_count = (size_t)made;
		made = vmt_heap_hooks_write_stubs(&cuts->heap, cuts->stubs + heap, cuts->handlers,
						  stubs.bytes + heap);
	}
	if (made >= 0) {
		if (index_bytes != 0) {
			cuts->index = cuts->stubs + cuts->stubs_bytes - index_bytes;
			vmt_frame_index_write(&cuts->frames, cuts->index,
					      stubs.bytes + (cuts->stubs_bytes - index_bytes));
		}
		made = vmt_target_write(target, cuts->stubs, stubs.bytes, cuts->stubs_bytes);
	}
	vmt_buffer_free(&stubs);
	return (int)made;
}

/* Where the kernel chooses. */
static int
map_far(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t bytes)
{
	cuts->stubs = 0;
	cuts->stubs_bytes = bytes;
	return map_at(remote, &cuts->stubs, bytes);
}

typedef int map_stubs(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t bytes);

static int
place_stubs(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t entry,
	    map_stubs *map)
{
	uint64_t bytes = heap_offset(cuts) + vmt_heap_hooks_stub_bytes(&cuts->heap);
	int result;

	bytes += vmt_frame_index_bytes(&cuts->frames);
	result = map(cuts, remote, vmt_pages_up(bytes, vmt_page_bytes));
	if (result == 0)
		result = write_stubs(cuts, remote->target, entry);
	if (result < 0)
		vmt_program_cuts_unmap(cuts, remote);
	return result;
}

int
vmt_program_cuts_map(struct vmt_program_cuts *cuts, struct vmt_remote *remote, uint64_t entry)
{
	bool leads_heap = cuts->handlers[0] != 0 && cuts->heap.led != 0;
	int result;

	if (vmt_cuts_stub_bytes(sites_of(cuts), cuts->sites_count) == 0 && !leads_heap)
		return 0;
	/* What is moved out of an allocator's functions reaches its data from nearby alone. */
	if (leads_heap && place_stubs(cuts, remote, entry, map_near) == 0)
		return 0;
	vmt_heap_hooks_give_up(&cuts->heap, "has no room for stubs near it");
	if (vmt_cuts_stub_bytes(sites_of(cuts), cuts->sites_count) == 0)
		return 0;
	if (find_veneers(cuts, remote->target) && place_stubs(cuts, remote, entry, map_far) == 0)
		return 0;
	cuts->veneers.room = 0;
	result = place_stubs(cuts, remote, entry, map_near);
	return result == -ERANGE ? -ENOSPC : result;
}

uint64_t
vmt_program_cuts_leave(struct vmt_program_cuts *cuts)
{
	struct vmt_syscall_site *sites = (void *)cuts->sites.bytes;
	uint64_t count = 0;

	for (size_t i = 0; i < cuts->sites_count; i++) {
		if (sites[i].verdict != VMT_SITE_CUT)
			continue;
		sites[i].verdict = VMT_SITE_NO_PLACE;
		count += is_counted(&sites[i]);
	}
	return count;
}

bool
vmt_program_cuts_have_place(struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	uint64_t bytes = vmt_cuts_stub_bytes(sites_of(cuts), cuts->sites_count);
	uint64_t address;

	if (bytes == 0)
		return vmt_program_cuts_possible(cuts) != 0;
	bytes = vmt_pages_up(bytes + vmt_frame_index_bytes(&cuts->frames), vmt_page_bytes);
	return vmt_free_place_find(target->pid, cuts->map.low, cuts->map.high, bytes, &address) !=
	       -ENOSPC;
}

void
vmt_program_cuts_unmap(struct vmt_program_cuts *cuts, struct vmt_remote *remote)
{
	uint64_t words[6] = {cuts->stubs, cuts->stubs_bytes};
	int64_t result;

	if (cuts->stubs != 0)
		(void)vmt_remote_call(remote, SYS_munmap, words, &result);
	cuts->stubs = 0;
	cuts->cuts_count = 0;
	cuts->heap.stubs = 0;
}

static const struct vmt_cut *
cuts_of(const struct vmt_program_cuts *cuts)
{
	return (const void *)cuts->cuts.bytes;
}

static bool
has_veneers(const struct vmt_program_cuts *cuts)
{
	return cuts->veneers.used != 0 && cuts->veneers.room != 0;
}

static int
write_veneers(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	return has_veneers(cuts) ? vmt_target_write(target, cuts->veneers.address,
						    cuts->veneer_bytes.bytes, cuts->veneers.used)
				 : 0;
}

static int
make_heap(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	int result = vmt_heap_hooks_make(&cuts->heap, target);

	if (result < 0)
		(void)vmt_program_cuts_undo(cuts, target);
	return result;
}

int
vmt_program_cuts_make(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	int error = write_veneers(cuts, target);

	if (error < 0)
		return error;
	for (size_t i = 0; i < cuts->cuts_count; i++) {
		const struct vmt_cut *cut = &cuts_of(cuts)[i];
		int result =
		    vmt_target_write(target, cut->address, cut->new_bytes, VMT_CUTS_JUMP_BYTES);

		if (result == 0)
			continue;
		(void)vmt_program_cuts_undo(cuts, target);
		return result;
	}
	return make_heap(cuts, target);
}

int
vmt_program_cuts_undo_jumps(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	int first = vmt_heap_hooks_undo(&cuts->heap, target);
	int result;

	for (size_t i = 0; i < cuts->cuts_count; i++) {
		const struct vmt_cut *cut = &cuts_of(cuts)[i];

		result = vmt_target_take_back(target, cut->address, cut->new_bytes, cut->old_bytes,
					      VMT_CUTS_JUMP_BYTES);
		if (first == 0)
			first = result;
	}
	return first;
}

int
vmt_program_cuts_undo_veneers(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	const uint8_t *bytes = cuts->veneer_bytes.bytes;

	return has_veneers(cuts)
		   ? vmt_target_take_back(target, cuts->veneers.address, bytes,
					  bytes + cuts->veneers.room, cuts->veneers.used)
		   : 0;
}

int
vmt_program_cuts_undo(const struct vmt_program_cuts *cuts, const struct vmt_target *target)
{
	int first = vmt_program_cuts_undo_jumps(cuts, target);
	int result = vmt_program_cuts_undo_veneers(cuts, target);

	return first != 0 ? first : result;
}

void
vmt_program_cuts_close(struct vmt_program_cuts *cuts)
{
	vmt_code_map_close(&cuts->map);
	vmt_frame_index_close(&cuts->frames);
	vmt_buffer_free(&cuts->sites);
	vmt_buffer_free(&cuts->cuts);
	vmt_buffer_free(&cuts->veneer_bytes);
}
