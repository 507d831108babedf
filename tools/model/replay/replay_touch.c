#include "tools/model/replay/replay_touch.h"

#include "format/advice.h"
#include "tools/model/replay/advised_pages.h"

#define LARGEST_PERIOD (UINT64_C(1) << 32) /* beyond that it is no period, but damage */

static uint64_t
bytes_of(const struct vmt_replay *replay, const struct vmt_touch_sample *sample)
{
	uint64_t bytes = UINT64_C(1) << sample->page_shift;

	return bytes > replay->page_bytes ? bytes : replay->page_bytes;
}

/* The page that was touched, whole; false where no process can have it. */
static bool
page_of(const struct vmt_replay *replay, const struct vmt_touch_sample *sample,
	struct vmt_touch *touch)
{
	uint64_t bytes = bytes_of(replay, sample);

	if (!vmt_replay_state_pages(replay, sample->address & ~(bytes - 1), bytes, &touch->start,
				    &touch->end))
		return false;
	touch->page_shift = (uint8_t)__builtin_ctzll(bytes);
	return true;
}

/* What a fault there may have brought at once. */
static uint32_t
folios_at(const struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *advised =
	    vmt_advised_pages_next(replay->advised, VMT_ADVISED_PAGES_HUGE, address);
	uint16_t advice = 0;

	if (advised && advised->start <= address)
		advice = vmt_sites_get(replay->sites, advised->site)->key.advice;
	if (advice == VMT_ADVICE_NOHUGEPAGE)
		return 0;
	return replay->folios_always | (advice == VMT_ADVICE_HUGEPAGE ? replay->folios_advised : 0);
}

/* Memory in which the trace has had all faults that there were: not from before it, nor from before
 * a fork. */
static const struct vmt_extent *
fresh_memory(const struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);

	if (!extent || extent->start > address || extent->call <= replay->calls_at_fork ||
	    (extent->kind != VMT_EXTENT_ANONYMOUS && extent->kind != VMT_EXTENT_BREAK))
		return NULL;
	return extent;
}

/* As the kernel chooses (alloc_anon_folio in mm/memory.c, Linux 6.8): the largest size that is
 * allowed there whose aligned range lies in the mapping and has no page yet. Where it had no such
 * memory left and gave a page, the neighbours have faults of their own, whose samples replace this
 * one there. */
static void
widen_to_folio(const struct vmt_replay *replay, const struct vmt_touch_sample *sample,
	       struct vmt_touch *touch)
{
	uint32_t sizes = replay->folios_always | replay->folios_advised;
	const struct vmt_extent *extent;

	if (sizes == 0 || sample->major || touch->end - touch->start != replay->page_bytes)
		return;
	extent = fresh_memory(replay, touch->start);
	sizes = extent ? folios_at(replay, touch->start) : 0;
	for (unsigned shift = VMT_TOUCH_FOLIO_MAX_SHIFT; shift > touch->page_shift; shift--) {
		uint64_t bytes = UINT64_C(1) << shift;
		uint64_t start = touch->start & ~(bytes - 1);

		if (!(sizes & (UINT32_C(1) << shift)) || start < extent->start ||
		    extent->end - start < bytes ||
		    !vmt_touchers_is_clear(replay->touchers, start, start + bytes))
			continue;
		touch->start = start;
		touch->end = start + bytes;
		touch->page_shift = (uint8_t)shift;
		return;
	}
}

/* A fork shares private memory alone. A page of a file may have left the page tables meanwhile, and
 * come back. */
static bool
is_private_memory(const struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);

	if (!extent || extent->start > address)
		return vmt_module_history_find(replay->history, address) == 0;
	return extent->kind != VMT_EXTENT_FILE && extent->kind != VMT_EXTENT_SHARED &&
	       extent->kind != VMT_EXTENT_MOVED;
}

/* Whether the memory was mapped after the last fork. */
static bool
is_after_fork(const struct vmt_replay *replay, uint64_t address)
{
	const struct vmt_extent *extent = vmt_space_next(replay->space, address);

	return extent && extent->start <= address && extent->call > replay->calls_at_fork &&
	       extent->kind != VMT_EXTENT_PRESENT && extent->kind != VMT_EXTENT_PRESENT_HEAP;
}

int
vmt_replay_touch_apply(struct vmt_replay *replay, const struct vmt_touch_sample *sample,
		       uint64_t period)
{
	const struct vmt_site_key key = {.stack = sample->stack};
	struct vmt_touch touch = {.period = period};
	struct vmt_site_entry *entry;
	enum vmt_touch_again again;
	int status;

	if (bytes_of(replay, sample) / replay->page_bytes >
	    vmt_touchers_most_pages(replay->page_bytes))
		return 0;
	if (period == 0 || period > LARGEST_PERIOD || !page_of(replay, sample, &touch)) {
		replay->malformed++;
		return 0;
	}
	widen_to_folio(replay, sample, &touch);
	status = vmt_sites_intern(replay->touch_sites, key, &touch.toucher);
	if (!status)
		status = vmt_touchers_touch(replay->touchers, &touch, &again);
	if (status)
		return status;
	entry = vmt_sites_get(replay->touch_sites, touch.toucher);
	entry->exact[VMT_FIGURE_COUNT]++;
	if (again == VMT_TOUCH_NEW || sample->major ||
	    (again != VMT_TOUCH_SEEN && !is_private_memory(replay, touch.start)))
		return 0;
	if (again == VMT_TOUCH_UNKNOWN) {
		entry->least |= !is_after_fork(replay, touch.start);
		return 0;
	}
	entry->exact[VMT_FIGURE_UNSHARED] += period * (touch.end - touch.start);
	entry->estimated |= period > 1;
	return 0;
}
