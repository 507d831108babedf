#include "tools/model/replay/replay_map.h"

#include "base/assert.h"
#include "base/pages.h"
#include "format/advice.h"
#include "tools/model/replay/advised_pages.h"
#include "tools/model/replay/extent_owners.h"
#include "tools/model/replay/replay_move.h"
#include "tools/model/space/undo.h"

#include <errno.h>
#include <sys/mman.h>

#define LOOKED_WELL (VMT_MARK_LOOKED | VMT_MARK_SAMPLED) /* the former alone */

static void
note_look(struct vmt_replay *replay, const struct vmt_event *event)
{
	if (!(event->marks & VMT_MARK_LOOKED))
		replay->unlooked_releases++;
	else if (event->marks & VMT_MARK_SAMPLED)
		replay->sampled_looks++;
}

/* Takes a range out; can be undone. */
static int
release(struct vmt_replay *replay, const struct vmt_event *event, uint64_t start, uint64_t end)
{
	struct vmt_undo_record *record = vmt_undo_begin(replay->undo, event);
	int status;

	vmt_assert(start < end);
	if (!record)
		return -ENOMEM;
	status = vmt_space_remove(replay->space, start, end, &record->pieces);
	if (!status)
		status = vmt_advised_pages_forget(replay->advised, start, end);
	if (!status)
		status = vmt_touchers_take(replay->touchers, start, end, &record->touches);
	if (!status)
		vmt_extent_owners_share_out(replay, &record->pieces, event->argument_a, true, 1);
	vmt_extent_owners_note_sampled(replay, &record->pieces, event);
	return status;
}

/* Whether the range lies where a mapping above may have grown to. */
static bool
may_have_grown(const struct vmt_replay *replay, const struct vmt_event *event)
{
	const struct vmt_extent *above = vmt_space_next(replay->space, event->address);

	return above && above->kind == VMT_EXTENT_GROWS_DOWN;
}

/* Pages were released that no acquisition explains. A range without pages may have been a hole,
 * which a program may unmap as often as it likes. */
static void
note_unknown_range(struct vmt_replay *replay, const struct vmt_event *event)
{
	const struct vmt_undo_record *record =
	    vmt_undo_find(replay->undo, event->thread, event->kind, event->address);

	if (!record || record->pieces.count || !event->argument_a || may_have_grown(replay, event))
		return;
	if (replay->forked)
		replay->early_releases++;
	else
		replay->unknown_releases++;
}

static int
apply_release(struct vmt_replay *replay, const struct vmt_event *event)
{
	uint64_t start;
	uint64_t end;
	int status;

	if (!vmt_replay_state_pages(replay, event->address, event->length, &start, &end)) {
		replay->malformed++;
		return 0;
	}
	note_look(replay, event);
	status = release(replay, event, start, end);
	if (!status && event->kind == VMT_EVENT_MUNMAP)
		note_unknown_range(replay, event);
	return status;
}

static int
apply_mmap(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_extent extent = {.protection = event->protection};
	uint32_t type = event->flags & MAP_TYPE;

	if (event->error)
		return 0;
	if (!vmt_replay_state_pages(replay, event->address, event->length, &extent.start,
				    &extent.end)) {
		replay->malformed++;
		return 0;
	}
	extent.kind = event->flags & MAP_GROWSDOWN ? VMT_EXTENT_GROWS_DOWN : VMT_EXTENT_ANONYMOUS;
	if (!(event->flags & MAP_ANONYMOUS))
		extent.kind = VMT_EXTENT_FILE;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		extent.kind = VMT_EXTENT_SHARED;
	if (event->kind == VMT_EVENT_SHMAT)
		extent.kind = VMT_EXTENT_SHARED;
	return vmt_extent_owners_acquire(replay, event, &extent);
}

/* The end of what one shmat attached at address, as its length was not to be had at shmdt. */
static uint64_t
segment_end(const struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);
	uint64_t call = extent ? extent->call : 0;
	uint64_t end = address;

	while (extent && extent->start == end && extent->call == call &&
	       extent->kind == VMT_EXTENT_SHARED) {
		end = extent->end;
		extent = vmt_space_next(replay->space, end);
	}
	vmt_assert(end >= address);
	return end;
}

static int
apply_shmdt(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_event whole = *event;

	if (!whole.length)
		whole.length = segment_end(replay, whole.address) - whole.address;
	if (whole.length)
		return apply_release(replay, &whole);
	/* Nothing is attached there: an undo that follows undoes this, not an earlier release. */
	return vmt_undo_begin(replay->undo, event) ? 0 : -ENOMEM;
}

/* The break's pages: it need not be a multiple of a page, the kernel maps whole ones. */
static bool
break_pages(const struct vmt_replay *replay, uint64_t low, uint64_t high, uint64_t *start,
	    uint64_t *end)
{
	if (low >= high || high >= VMT_REPLAY_ADDRESS_END)
		return false;
	*start = vmt_pages_up(low, replay->page_bytes);
	vmt_assert((replay->page_bytes & (replay->page_bytes - 1)) == 0);
	*end = vmt_pages_up(high, replay->page_bytes);
	return *start < *end;
}

static int
apply_brk_begin(struct vmt_replay *replay, const struct vmt_event *event)
{
	uint64_t start;
	uint64_t end;

	if (event->length > VMT_REPLAY_ADDRESS_END ||
	    !break_pages(replay, event->address, event->address + event->length, &start, &end))
		return 0;
	note_look(replay, event);
	return release(replay, event, start, end);
}

/* The number of the call to whose stretch a growth of the break at `start` belongs: one site's
 * growth in small steps is one extent, so that memory does not grow with the number of steps.
 * 0 = it begins a stretch of its own. */
static uint64_t
stretch_of_break(const struct vmt_replay *replay, const struct vmt_event *event, uint64_t start)
{
	const struct vmt_extent *below = vmt_space_next(replay->space, start - 1);
	struct vmt_site_key key;

	if (!below || below->end != start || below->kind != VMT_EXTENT_BREAK)
		return 0;
	key = vmt_sites_get(replay->sites, below->site)->key;
	return vmt_sites_is_same_key(key, vmt_replay_state_key(replay, event)) ? below->call : 0;
}

static int
apply_brk(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_extent extent = {.protection = PROT_READ | PROT_WRITE, .kind = VMT_EXTENT_BREAK};

	if (event->error ||
	    !break_pages(replay, event->argument_a, event->address, &extent.start, &extent.end))
		return 0;
	extent.call = stretch_of_break(replay, event, extent.start);
	return vmt_extent_owners_acquire(replay, event, &extent);
}

static int
find_advice(struct vmt_replay *replay, const struct vmt_event *event, uint32_t *site)
{
	struct vmt_site_key key = {
	    .kind = event->kind, .stack = event->stack, .advice = event->advice};

	return vmt_sites_intern(replay->sites, key, site);
}

uint64_t
vmt_replay_map_taken(const struct vmt_event *event)
{
	if (event->marks & VMT_MARK_LOOKED_AFTER)
		return event->argument_a > event->argument_b ? event->argument_a - event->argument_b
							     : 0;
	return event->error && event->error != ENOMEM ? 0 : event->argument_a;
}

/* What an advice gave back, to its own row and to the owners'. Traces of before may say by an undo
 * that it was refused. */
static int
share_taken(struct vmt_replay *replay, const struct vmt_event *event, uint32_t site, uint64_t start,
	    uint64_t end)
{
	struct vmt_undo_record *record = vmt_undo_begin(replay->undo, event);
	uint64_t taken = vmt_replay_map_taken(event);
	struct vmt_site_entry *entry;

	vmt_assert(start < end && taken <= event->argument_a);
	if (!record || vmt_space_look(replay->space, start, end, &record->pieces))
		return -ENOMEM;
	if (vmt_advice_drops(event->advice) && (!event->error || event->error == ENOMEM) &&
	    vmt_touchers_take(replay->touchers, start, end, &record->touches))
		return -ENOMEM;
	vmt_extent_owners_share_out(replay, &record->pieces, taken, false, 1);
	vmt_extent_owners_note_sampled(replay, &record->pieces, event);
	entry = vmt_sites_get(replay->sites, site);
	entry->exact[VMT_FIGURE_CAME_BACK] += taken;
	entry->exact[VMT_FIGURE_STAYED] +=
	    vmt_advised_pages_stayed(event->advice, &record->pieces, taken);
	entry->exact[VMT_FIGURE_OF_FILES] +=
	    vmt_advised_pages_part(&record->pieces, VMT_EXTENT_FILE, taken);
	return 0;
}

/* An advice row's bytes stand in TOTAL_RESERVED, its committed_before in RELEASED_COMMITTED; what
 * became of its pages is for advice_tally.h. */
static int
count_advice(struct vmt_replay *replay, const struct vmt_event *event, uint32_t site,
	     uint64_t start, uint64_t end)
{
	struct vmt_extent extent = {
	    .start = start, .end = end, .call = replay->calls, .site = site};
	struct vmt_site_entry *entry = vmt_sites_get(replay->sites, site);

	vmt_assert(entry->key.kind == event->kind && entry->key.advice == event->advice);
	entry->exact[VMT_FIGURE_COUNT]++;
	entry->exact[VMT_FIGURE_TOTAL_RESERVED] += event->length;
	entry->exact[VMT_FIGURE_RELEASED_COMMITTED] += event->argument_a;
	entry->sampled |= (event->marks & VMT_MARK_SAMPLED) != 0;
	return vmt_advised_pages_note(replay->advised, event->advice, &extent);
}

/* One that the kernel refused counts as that alone, and what it took on its way. */
static int
apply_advice(struct vmt_replay *replay, const struct vmt_event *event)
{
	bool refused = event->error && event->error != ENOMEM;
	uint64_t start;
	uint64_t end;
	uint32_t site;
	int status;

	if (!vmt_replay_state_pages(replay, event->address, event->length, &start, &end)) {
		replay->malformed++;
		return 0;
	}
	status = find_advice(replay, event, &site);
	if (!status && refused)
		vmt_sites_get(replay->sites, site)->exact[VMT_FIGURE_FAILED]++;
	else if (!status)
		status = count_advice(replay, event, site, start, end);
	if (status || !vmt_advice_releases(event->advice))
		return status;
	note_look(replay, event);
	if (event->argument_a || (event->marks & LOOKED_WELL) != VMT_MARK_LOOKED)
		status = vmt_touched_add(replay->touched, start, end);
	return status ? status : share_taken(replay, event, site, start, end);
}

/* Pages that went out of a file, and out of all who map it: which of them were this process's is
 * not known, so no owner is told. */
static int
apply_file_release(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_site_key key = {.kind = event->kind,
				   .stack = event->stack,
				   .advice = event->flags ? VMT_FILE_PUNCHED : VMT_FILE_SHRUNK};
	struct vmt_site_entry *entry;
	uint32_t site;
	int status = vmt_sites_intern(replay->sites, key, &site);

	if (status)
		return status;
	entry = vmt_sites_get(replay->sites, site);
	if (event->error) {
		entry->exact[VMT_FIGURE_FAILED]++;
		return 0;
	}
	entry->exact[VMT_FIGURE_COUNT]++;
	entry->exact[VMT_FIGURE_TOTAL_RESERVED] += event->length;
	entry->exact[VMT_FIGURE_RELEASED_COMMITTED] += event->argument_b;
	entry->exact[VMT_FIGURE_CAME_BACK] += event->argument_b;
	return 0;
}

static int
apply_protect(struct vmt_replay *replay, const struct vmt_event *event)
{
	uint64_t start;
	uint64_t end;

	if (event->error ||
	    !vmt_replay_state_pages(replay, event->address, event->length, &start, &end))
		return 0;
	return vmt_space_protect(replay->space, start, end, event->protection);
}

/* Private memory from before the first event. Only a fork child's has a site: there it may be
 * anything, while a fresh image has its loader's, and the kernel's stack is told by its name. */
static int
apply_present(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_extent extent = {
	    .protection = event->protection, .site = VMT_SITE_NONE, .kind = VMT_EXTENT_PRESENT};
	int status;

	if (!vmt_replay_state_pages(replay, event->address, event->length, &extent.start,
				    &extent.end)) {
		replay->malformed++;
		return 0;
	}
	if (event->argument_b == VMT_PRESENT_HEAP)
		extent.kind = VMT_EXTENT_PRESENT_HEAP;
	if (event->argument_b == VMT_PRESENT_OWN)
		extent.kind = VMT_EXTENT_TRACER;
	if (replay->forked && event->argument_b <= VMT_PRESENT_HEAP) {
		/* The parent may have given pages back before it forked. */
		status = vmt_extent_owners_acquire(replay, event, &extent);
		return status ? status : vmt_touched_add(replay->touched, extent.start, extent.end);
	}
	status = vmt_extent_owners_clear_way(replay, extent.start, extent.end);
	extent.call = ++replay->calls;
	return status ? status : vmt_space_put(replay->space, &extent);
}

/* mlockall's has neither address nor length. */
static unsigned
how_locked(const struct vmt_event *event)
{
	if (!event->address && !event->length)
		return VMT_LOCK_ALL | (event->flags & (VMT_LOCK_ALL - 1));
	return event->flags ? VMT_LOCK_ON_FAULT : VMT_LOCK_RANGE;
}

/* No page gets another owner, but more of them may be in RAM. Of a row's bytes see count_advice. */
static int
apply_lock(struct vmt_replay *replay, const struct vmt_event *event)
{
	struct vmt_site_key key = {
	    .kind = event->kind, .stack = event->stack, .advice = (uint16_t)how_locked(event)};
	uint32_t site;
	int status;

	if (event->error)
		return 0;
	status = vmt_sites_intern(replay->sites, key, &site);
	if (status)
		return status;
	vmt_sites_get(replay->sites, site)->exact[VMT_FIGURE_COUNT]++;
	vmt_sites_get(replay->sites, site)->exact[VMT_FIGURE_TOTAL_RESERVED] += event->length;
	return 0;
}

/* Every kind is named: the compiler finds a new one. */
int
vmt_replay_map_apply(struct vmt_replay *replay, const struct vmt_event *event)
{
	switch ((enum vmt_event_kind)event->kind) {
	case VMT_EVENT_MMAP:
	case VMT_EVENT_SHMAT:
		return apply_mmap(replay, event);
	case VMT_EVENT_MMAP_BEGIN:
	case VMT_EVENT_MUNMAP:
		return apply_release(replay, event);
	case VMT_EVENT_SHMDT:
		return apply_shmdt(replay, event);
	case VMT_EVENT_MREMAP_BEGIN:
		return vmt_replay_move_begin(replay, event);
	case VMT_EVENT_MREMAP:
		return vmt_replay_move_end(replay, event);
	case VMT_EVENT_MADVISE:
		return apply_advice(replay, event);
	case VMT_EVENT_FILE_RELEASE:
		return apply_file_release(replay, event);
	case VMT_EVENT_MLOCK:
		return apply_lock(replay, event);
	case VMT_EVENT_MPROTECT:
		return apply_protect(replay, event);
	case VMT_EVENT_BRK_BEGIN:
		return apply_brk_begin(replay, event);
	case VMT_EVENT_BRK:
		return apply_brk(replay, event);
	case VMT_EVENT_PRESENT:
		return apply_present(replay, event);
	case VMT_EVENT_MAP_UNDO:
		return vmt_replay_move_undo(replay, event);
	case VMT_EVENT_THREAD: /* these, and the heap's: replay.c */
	case VMT_EVENT_FORK:
	case VMT_EVENT_MODULE_LOAD:
	case VMT_EVENT_MODULE_UNLOAD:
#define CASE_OF_HEAP(name) case VMT_EVENT_##name:
#define CASE_OF_MAP(name)
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) CASE_OF_##ring(name)
#include "format/event_kinds.def"
	case VMT_EVENT_MUNLOCK: /* by these no page gets another owner */
	case VMT_EVENT_REMAP_FILE_PAGES:
	case VMT_EVENT_TRIM:
	case VMT_EVENT_EXEC:
	case VMT_EVENT_EXIT:
	case VMT_EVENT_NAME:
	case VMT_EVENT_LONG_BEGIN:
	case VMT_EVENT_LONG_END:
		return 0;
	}
	return 0; /* a note of a newer version */
}
