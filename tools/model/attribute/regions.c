#include "tools/model/attribute/regions.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/session.h"
#include "tools/model/go/go_classes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void
vmt_regions_clear(struct vmt_regions *regions)
{
	free(regions->items);
	*regions = (struct vmt_regions){0};
}

size_t
vmt_regions_after(const struct vmt_regions *regions, uint64_t address)
{
	size_t low = 0;
	size_t high = regions->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (regions->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vmt_amounts
vmt_regions_amounts(const struct vmt_region *region, uint64_t start, uint64_t end,
		    const struct vmt_resident *resident, const struct vmt_touched *touched)
{
	const struct vmt_mapping *mapping = region->mapping;
	struct vmt_amounts amounts;

	start = start > region->start ? start : region->start;
	end = end < region->end ? end : region->end;
	assert(start < end);
	amounts = vmt_resident_range(resident, start, end);
	if (mapping->protection != PROT_NONE)
		amounts.bytes[VMT_AMOUNT_ACCESSIBLE] = amounts.bytes[VMT_AMOUNT_RESERVED];
	if (!mapping->shared && !mapping->inode && !mapping->hugetlb)
		amounts.bytes[VMT_AMOUNT_UNTOUCHED] =
		    vmt_touched_never(touched, resident, start, end);
	return amounts;
}

static struct vmt_region *
append(struct vmt_regions *regions, const struct vmt_region *region)
{
	if (regions->count == regions->room) {
		size_t room = regions->room ? regions->room * 2 : 256;
		struct vmt_region *items = reallocarray(regions->items, room, sizeof(*items));

		if (!items)
			return NULL;
		regions->items = items;
		regions->room = room;
	}
	vmt_assert(regions->count == 0 || region->start >= regions->items[regions->count - 1].end);
	regions->items[regions->count] = *region;
	return &regions->items[regions->count++];
}

static bool
has_path(enum vmt_backing backing)
{
	return backing == VMT_BACKING_FILE || backing == VMT_BACKING_SHARED;
}

/* The last part of a mapping's path is `name`, whether or not the file was deleted since. */
static bool
is_named(const struct vmt_mapping *mapping, const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t length = mapping->path_bytes;
	size_t name_length = strlen(name);

	if (length > sizeof(deleted) - 1 && memcmp(mapping->path + length - (sizeof(deleted) - 1),
						   deleted, sizeof(deleted) - 1) == 0)
		length -= sizeof(deleted) - 1;
	return length > name_length && mapping->path[length - name_length - 1] == '/' &&
	       memcmp(mapping->path + length - name_length, name, name_length) == 0;
}

static bool
path_contains(const struct vmt_mapping *mapping, const char *word)
{
	return memmem(mapping->path, mapping->path_bytes, word, strlen(word)) != NULL;
}

/* libvmtrace.so holds the address it gave. A trace is mapped shared from its start, as long as its
 * head; that length is odd enough to know it by when the file has been renamed. */
static bool
is_tracer(const struct vmt_regions_input *input, const struct vmt_mapping *mapping)
{
	uint64_t page_bytes = input->replay->page_bytes;
	uint64_t bytes = mapping->end - mapping->start;

	if (input->tracer_address >= mapping->start && input->tracer_address < mapping->end)
		return true;
	if (!mapping->shared || mapping->file_offset)
		return false;
	if (input->trace_name && is_named(mapping, input->trace_name))
		return true;
	if (input->trace_bytes && bytes == vmt_pages_up(input->trace_bytes, page_bytes))
		return true;
	return bytes == vmt_pages_up(sizeof(struct vmt_session), page_bytes) &&
	       path_contains(mapping, "vmtrace");
}

static int
name_modules(const struct vmt_regions_input *input)
{
	const struct vmt_module_history *history = input->replay->history;
	uint64_t address = 0;
	uint32_t span;

	while (input->module && (span = vmt_module_history_next(history, address))) {
		const struct vmt_span *loaded = vmt_module_history_span(history, span);
		struct vmt_module module;
		struct vmt_mapped_file *file;

		address = loaded->high;
		if (!input->module(input->context, loaded->module, &module) || !module.path_bytes ||
		    module.path_bytes > UINT16_MAX)
			continue;
		file = vmt_files_intern(input->files, module.path, (uint16_t)module.path_bytes);
		if (!file)
			return -ENOMEM;
		file->program = true;
	}
	return 0;
}

int
vmt_regions_name_files(const struct vmt_regions_input *input)
{
	for (uint32_t i = 0; i < input->snapshot->head.mappings; i++) {
		const struct vmt_mapping *mapping = &input->snapshot->mappings[i].mapping;
		struct vmt_mapped_file *file;

		if (!mapping->path_bytes || !has_path(vmt_files_backing(mapping)))
			continue;
		file = vmt_files_intern(input->files, mapping->path, mapping->path_bytes);
		if (!file)
			return -ENOMEM;
		file->program |= (mapping->protection & PROT_EXEC) && !mapping->shared;
		file->tracer |= is_tracer(input, mapping);
	}
	return name_modules(input);
}

static enum vmt_class_id
class_of_file(const struct vmt_regions_input *input, const struct vmt_mapping *mapping,
	      enum vmt_backing backing)
{
	const struct vmt_mapped_file *file =
	    vmt_files_find(input->files, mapping->path, mapping->path_bytes);

	if (file && file->tracer)
		return VMT_CLASS_TRACER;
	if (backing == VMT_BACKING_SHARED)
		return VMT_CLASS_SHARED;
	return file && file->program ? VMT_CLASS_PROGRAM : VMT_CLASS_FILES;
}

/* Whether the snapshot shows the kind of memory that the event mapped. */
static bool
agrees(const struct vmt_extent *extent, const struct vmt_mapping *mapping, enum vmt_backing backing)
{
	/* The kernel shows a file behind each, MAP_ANONYMOUS or not. */
	if (mapping->hugetlb)
		return extent->kind != VMT_EXTENT_BREAK;
	switch (extent->kind) {
	case VMT_EXTENT_FILE:
		return has_path(backing) ||
		       (backing == VMT_BACKING_ANONYMOUS && mapping->path_bytes);
	case VMT_EXTENT_SHARED:
		return has_path(backing);
	case VMT_EXTENT_TRACER:
		return backing == VMT_BACKING_ANONYMOUS || has_path(backing);
	case VMT_EXTENT_MOVED:
		return backing == VMT_BACKING_ANONYMOUS || backing == VMT_BACKING_HEAP ||
		       has_path(backing);
	default:
		return backing == VMT_BACKING_ANONYMOUS || backing == VMT_BACKING_HEAP;
	}
}

/* A name that the Go runtime gave to the pages says more than the call that mapped them: parts of a
 * range get other uses. */
static enum vmt_class_id
class_of_call(const struct vmt_regions_input *input, const struct vmt_region *region,
	      enum vmt_class_id otherwise)
{
	enum vmt_class_id named =
	    vmt_go_classes_of_name(region->mapping->path, region->mapping->path_bytes);

	if (named != VMT_CLASSES)
		return named;
	if (region->site == VMT_SITE_NONE)
		return otherwise;
	if (input->allocators && vmt_allocators_owns(input->allocators, region->site))
		return VMT_CLASS_MALLOC_RETAINED;
	if (!input->go_owners)
		return otherwise;
	return vmt_go_sites_class(input->go_owners, region->site, otherwise);
}

static void
own(const struct vmt_regions_input *input, struct vmt_region *region,
    const struct vmt_extent *extent)
{
	vmt_assert(extent->start <= region->start && region->end <= extent->end);
	region->site = extent->site;
	region->call = extent->call;
	region->tracked = extent->kind < VMT_EXTENT_PRESENT;
	region->grows_down = extent->kind == VMT_EXTENT_GROWS_DOWN;
	region->present =
	    extent->kind == VMT_EXTENT_PRESENT || extent->kind == VMT_EXTENT_PRESENT_HEAP;
	/* What was a reservation at the fork and can be used now: an allocator went on with it. */
	region->inherited =
	    region->present && input->replay->forked &&
	    (extent->protection != PROT_NONE || region->mapping->protection == PROT_NONE);
	if (extent->kind == VMT_EXTENT_TRACER) {
		region->class = VMT_CLASS_TRACER;
		region->open = false;
	} else if (extent->kind <= VMT_EXTENT_GROWS_DOWN || extent->kind == VMT_EXTENT_BREAK ||
		   (extent->kind == VMT_EXTENT_MOVED && region->open)) {
		region->class = class_of_call(input, region, VMT_CLASS_MMAP);
		region->open = false;
	}
}

/* Ends the region where the next extent begins or the present one ends. */
static void
cut_at_extent(const struct vmt_regions_input *input, struct vmt_region *region,
	      enum vmt_backing backing)
{
	const struct vmt_extent *extent = vmt_space_next(input->replay->space, region->start);

	vmt_assert(!extent || extent->end > region->start);
	if (!extent || extent->start >= region->end)
		return;
	if (extent->start > region->start) {
		region->end = extent->start;
		return;
	}
	if (extent->end < region->end)
		region->end = extent->end;
	if (agrees(extent, region->mapping, backing))
		own(input, region, extent);
}

/* A module's span takes in its .bss, which is anonymous. */
static void
cut_at_module(const struct vmt_regions_input *input, struct vmt_region *region)
{
	const struct vmt_module_history *history = input->replay->history;
	uint32_t next = vmt_module_history_next(history, region->start);
	const struct vmt_span *span = next ? vmt_module_history_span(history, next) : NULL;
	uint64_t low = span ? vmt_pages_down(span->low, input->replay->page_bytes) : 0;
	uint64_t high = span ? vmt_pages_up(span->high, input->replay->page_bytes) : 0;

	vmt_assert(!span || high > region->start);
	if (!span || low >= region->end)
		return;
	if (low > region->start) {
		region->end = low;
		return;
	}
	if (high < region->end)
		region->end = high;
	region->open = false;
	region->site = VMT_SITE_NONE;
	region->call = 0;
	region->class = input->tracer_address >= span->low && input->tracer_address < span->high
			    ? VMT_CLASS_TRACER
			    : VMT_CLASS_PROGRAM;
}

/* The stack reaches from the descriptor's page down to where the mapping begins; down to no more
 * than was asked for, as the kernel may have joined the mapping with one below it. */
static void
cut_at_thread(const struct vmt_regions_input *input, struct vmt_region *region)
{
	struct vmt_thread_stack *thread =
	    vmt_threads_owner_after(input->replay->threads, region->start);
	uint64_t asked = thread ? vmt_pages_up(thread->asked_bytes, input->replay->page_bytes) : 0;

	if (!thread || thread->descriptor >= region->end || thread->descriptor < region->start)
		return;
	if (asked && thread->top > asked && thread->top - asked > region->start) {
		region->end = thread->top - asked;
		return;
	}
	if (thread->top < region->end)
		region->end = thread->top;
	vmt_assert(region->end > region->start && region->end > thread->descriptor);
	region->open = false;
	region->site = thread->site;
	region->thread = thread;
	region->class = class_of_call(input, region, VMT_CLASS_THREAD_STACKS);
	region->call = 0;
}

/* Memory that the C library of a static program has mapped for a thread's stack. */
static void
know_stack(const struct vmt_regions_input *input, struct vmt_region *region)
{
	const struct vmt_thread_stack *thread =
	    vmt_threads_owner_after(input->replay->threads, region->start);
	const struct vmt_thread_stack *over =
	    vmt_threads_over_after(input->replay->threads, region->start);

	if (thread && thread->call == region->call)
		region->class = VMT_CLASS_THREAD_STACKS;
	else if (over && over->call == region->call)
		region->class = VMT_CLASS_ENDED_STACKS;
}

static void
classify(const struct vmt_regions_input *input, struct vmt_region *region, enum vmt_backing backing)
{
	switch (backing) {
	case VMT_BACKING_STACK:
		region->class = VMT_CLASS_MAIN_STACK;
		break;
	case VMT_BACKING_KERNEL:
		region->class = VMT_CLASS_KERNEL;
		break;
	case VMT_BACKING_FILE:
	case VMT_BACKING_SHARED:
		region->class = class_of_file(input, region->mapping, backing);
		break;
	case VMT_BACKING_HEAP:
	default:
		region->class =
		    vmt_go_classes_of_name(region->mapping->path, region->mapping->path_bytes);
		region->open = region->class == VMT_CLASSES;
		if (region->open)
			region->class = VMT_CLASS_UNATTRIBUTED;
		region->heap = backing == VMT_BACKING_HEAP;
		break;
	}
}

static int
cut_mapping(struct vmt_regions *regions, const struct vmt_regions_input *input,
	    const struct vmt_mapping *mapping)
{
	enum vmt_backing backing = vmt_files_backing(mapping);
	uint64_t at = mapping->start;

	if (backing == VMT_BACKING_VSYSCALL)
		return 0;
	while (at < mapping->end) {
		struct vmt_region region = {
		    .start = at, .end = mapping->end, .mapping = mapping, .site = VMT_SITE_NONE};

		classify(input, &region, backing);
		cut_at_extent(input, &region, backing);
		if (mapping->hugetlb && region.class != VMT_CLASS_TRACER) {
			region.class = VMT_CLASS_HUGETLB;
			region.open = false;
		}
		if (region.tracked && region.class == VMT_CLASS_MMAP)
			know_stack(input, &region);
		if (region.open)
			cut_at_module(input, &region);
		if (region.open)
			cut_at_thread(input, &region);
		assert(region.end > at && region.end <= mapping->end);
		region.total = vmt_regions_amounts(&region, region.start, region.end,
						   input->resident, input->replay->touched);
		if (!append(regions, &region))
			return -ENOMEM;
		at = region.end;
	}
	return 0;
}

int
vmt_regions_cut(struct vmt_regions *regions, const struct vmt_regions_input *input)
{
	for (uint32_t i = 0; i < input->snapshot->head.mappings; i++) {
		int status = cut_mapping(regions, input, &input->snapshot->mappings[i].mapping);

		if (status)
			return status;
	}
	return 0;
}
