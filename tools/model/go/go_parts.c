#include "tools/model/go/go_parts.h"

/* The runtime's counts are some caches' content off: what is less than this part of all objects
 * says nothing. */
#define NOISE_PART 16u

static const unsigned char part_of_class[VMT_CLASSES] = {
    [VMT_CLASS_MMAP] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_MALLOC_LIVE] = VMT_GO_PART_MALLOC,
    [VMT_CLASS_MALLOC_RETAINED] = VMT_GO_PART_MALLOC,
    [VMT_CLASS_MALLOC] = VMT_GO_PART_MALLOC,
    [VMT_CLASS_INHERITED] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_HEAP] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_ANONYMOUS] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_THREAD_STACKS] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_ENDED_STACKS] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_MAIN_STACK] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_PROGRAM] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_FILES] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_SHARED] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_HUGETLB] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_GO_HEAP] = VMT_GO_PART_METADATA,
    [VMT_CLASS_GO_LARGE] = VMT_GO_PART_OBJECTS,
    [VMT_CLASS_GO_SMALL] = VMT_GO_PART_OBJECTS,
    [VMT_CLASS_GO_FREE_SLOTS] = VMT_GO_PART_FREE_SLOTS,
    [VMT_CLASS_GO_STACKS] = VMT_GO_PART_STACKS,
    [VMT_CLASS_GO_FREE] = VMT_GO_PART_IDLE,
    [VMT_CLASS_GO_RELEASED] = VMT_GO_PART_RELEASED,
    [VMT_CLASS_GO_METADATA] = VMT_GO_PART_METADATA,
    [VMT_CLASS_GO_OTHER] = VMT_GO_PART_METADATA,
    [VMT_CLASS_KERNEL] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_TRACER] = VMT_GO_PART_OUTSIDE,
    [VMT_CLASS_UNATTRIBUTED] = VMT_GO_PART_OUTSIDE,
};

static uint64_t
above(uint64_t more, uint64_t less, uint64_t noise)
{
	return more > less && more - less > noise ? more - less : 0;
}

/* What is live and what was allocated since add up to heap_live, by the runtime's definition; spans
 * that are not swept hold what the collection has found to be garbage besides. The runtime counts a
 * span that a processor's cache holds as if it were full: what was allocated is no more than there
 * are objects. */
static void
take_objects(struct vmt_go_parts *parts, const struct vmt_go_figures *figures)
{
	struct vmt_go_objects *objects = &parts->objects;
	uint64_t noise = parts->objects_reserved_bytes / NOISE_PART;

	*objects = (struct vmt_go_objects){.is_known = figures && figures->has_pace};
	if (!objects->is_known)
		return;
	objects->is_collected = figures->heap_marked_bytes != 0;
	objects->live_bytes = figures->heap_marked_bytes;
	objects->since_bytes = above(figures->heap_live_bytes < parts->objects_reserved_bytes
					 ? figures->heap_live_bytes
					 : parts->objects_reserved_bytes,
				     figures->heap_marked_bytes, noise);
	objects->unswept_bytes =
	    above(parts->objects_reserved_bytes, figures->heap_live_bytes, noise);
}

bool
vmt_go_parts_is_untouched(const struct vmt_go_parts *parts)
{
	uint64_t counted = parts->objects_reserved_bytes;

	return parts->bytes[VMT_GO_PART_OBJECTS] < counted - counted / 4;
}

/* Whether objects of both sorts are there, and not all in RAM alike. */
static bool
is_mixed(const struct vmt_go_parts *parts)
{
	const struct vmt_go_objects *objects = &parts->objects;

	return objects->live_bytes != 0 && (objects->since_bytes || objects->unswept_bytes) &&
	       vmt_go_parts_is_untouched(parts);
}

/* The share of the objects in RAM that is live, as far as all are in RAM alike. */
static uint64_t
live_share(const struct vmt_go_parts *parts)
{
	const struct vmt_go_objects *objects = &parts->objects;
	double all = (double)objects->live_bytes + (double)objects->since_bytes +
		     (double)objects->unswept_bytes;

	if (objects->live_bytes == 0)
		return 0;
	return (uint64_t)((double)parts->bytes[VMT_GO_PART_OBJECTS] * (double)objects->live_bytes /
			  all);
}

static void
offer(struct vmt_go_parts *parts, enum vmt_go_cause cause, uint64_t bytes)
{
	if (bytes <= parts->cause_bytes)
		return;
	parts->cause = cause;
	parts->cause_bytes = bytes;
}

static void
find_cause(struct vmt_go_parts *parts)
{
	static const enum vmt_go_cause causes[VMT_GO_PARTS] = {
	    [VMT_GO_PART_FREE_SLOTS] = VMT_GO_CAUSE_FREE_SLOTS,
	    [VMT_GO_PART_STACKS] = VMT_GO_CAUSE_STACKS,
	    [VMT_GO_PART_IDLE] = VMT_GO_CAUSE_IDLE,
	    [VMT_GO_PART_RELEASED] = VMT_GO_CAUSE_RELEASED,
	    [VMT_GO_PART_METADATA] = VMT_GO_CAUSE_METADATA,
	    [VMT_GO_PART_MALLOC] = VMT_GO_CAUSE_MALLOC,
	    [VMT_GO_PART_OUTSIDE] = VMT_GO_CAUSE_OUTSIDE,
	};
	uint64_t objects = parts->bytes[VMT_GO_PART_OBJECTS];
	uint64_t live = live_share(parts);

	for (int part = 0; part < VMT_GO_PARTS; part++)
		if (part != VMT_GO_PART_OBJECTS)
			offer(parts, causes[part], parts->bytes[part]);
	if (objects <= parts->cause_bytes)
		return;
	/* Objects are most of it, whichever sort of them is. */
	parts->cause = VMT_GO_CAUSE_UNKNOWN;
	parts->cause_bytes = 0;
	if (!parts->objects.is_known)
		return;
	if (is_mixed(parts)) {
		offer(parts, VMT_GO_CAUSE_OBJECTS, objects);
		return;
	}
	offer(parts, VMT_GO_CAUSE_LIVE, live);
	offer(parts, VMT_GO_CAUSE_GARBAGE, objects - live);
}

void
vmt_go_parts_take(struct vmt_go_parts *parts, const struct vmt_amounts *classes,
		  const struct vmt_go_figures *figures)
{
	*parts = (struct vmt_go_parts){.is_known = true};
	for (int i = 0; i < VMT_CLASSES; i++)
		parts->bytes[part_of_class[i]] += classes[i].bytes[VMT_AMOUNT_COMMITTED];
	parts->objects_reserved_bytes = classes[VMT_CLASS_GO_LARGE].bytes[VMT_AMOUNT_RESERVED] +
					classes[VMT_CLASS_GO_SMALL].bytes[VMT_AMOUNT_RESERVED];
	take_objects(parts, figures);
	find_cause(parts);
}

enum vmt_go_part vmt_go_parts_of_class(enum vmt_class_id class)
{
	return (enum vmt_go_part)part_of_class[class];
}

const char *
vmt_go_parts_cause_name(enum vmt_go_cause cause)
{
	static const char *const names[VMT_GO_CAUSES] = {
	    [VMT_GO_CAUSE_LIVE] = "live objects",
	    [VMT_GO_CAUSE_GARBAGE] = "new objects or garbage",
	    [VMT_GO_CAUSE_OBJECTS] = "objects",
	    [VMT_GO_CAUSE_FREE_SLOTS] = "free slots",
	    [VMT_GO_CAUSE_STACKS] = "goroutine stacks",
	    [VMT_GO_CAUSE_IDLE] = "idle pages",
	    [VMT_GO_CAUSE_RELEASED] = "released pages",
	    [VMT_GO_CAUSE_METADATA] = "metadata",
	    [VMT_GO_CAUSE_MALLOC] = "malloc",
	    [VMT_GO_CAUSE_OUTSIDE] = "outside Go",
	};

	return names[cause];
}
