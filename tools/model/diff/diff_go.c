#include "tools/model/diff/diff_go.h"

/* Counts of objects that differ by no more than this part are about equal. */
#define EQUAL_PART 8u

/* Whether what is Go's own is known to be so in both: else it may be "outside" in one of them. */
static bool
is_whole(const struct vmt_report *report)
{
	return !report->go.unseen && !report->go.is_partial && !report->go.heap_alone;
}

static bool
is_compared(enum vmt_go_part part, const struct vmt_report *a, const struct vmt_report *b)
{
	bool is_own = part < VMT_GO_PART_METADATA;

	return is_own || is_whole(a) == is_whole(b);
}

/* By how much a figure changed in the direction of the whole; 0: against it. */
static uint64_t
along(const struct vmt_diff_figure *figure, bool up)
{
	if ((vmt_diff_delta(figure) > 0) != up)
		return 0;
	return vmt_diff_distance(figure);
}

/* Whether Go counts about as much in both. */
static bool
is_about_equal(const struct vmt_diff_figure *figure)
{
	uint64_t least = figure->a < figure->b ? figure->a : figure->b;

	return vmt_diff_distance(figure) <= least / EQUAL_PART;
}

/* How many objects are not in RAM: live ones, or others. */
static uint64_t
untouched_bytes(uint64_t counted, uint64_t in_ram)
{
	return counted > in_ram ? counted - in_ram : 0;
}

static bool
is_none(const struct vmt_diff_figure *figure)
{
	return figure->a == 0 && figure->b == 0;
}

/* Whether counts tell of what is in RAM: all are of one sort, or most of them are there. */
static bool
tells(const struct vmt_diff_go *go)
{
	const struct vmt_diff_figure *in_ram = &go->parts[VMT_GO_PART_OBJECTS];
	uint64_t most = vmt_diff_distance(in_ram) / 4;

	return is_none(&go->live_bytes) || is_none(&go->young_bytes) ||
	       (untouched_bytes(go->objects_bytes.a, in_ram->a) <= most &&
		untouched_bytes(go->objects_bytes.b, in_ram->b) <= most);
}

/* Which sort of objects changed. Where Go counts the same, the same are in RAM to another part. */
static enum vmt_diff_go_cause
cause_of_objects(const struct vmt_diff_go *go, bool up)
{
	const struct vmt_diff_figure *in_ram = &go->parts[VMT_GO_PART_OBJECTS];
	uint64_t live = along(&go->live_bytes, up);
	uint64_t young = along(&go->young_bytes, up);

	if (along(&go->objects_bytes, up) < vmt_diff_distance(in_ram) / 2)
		return is_about_equal(&go->objects_bytes) ? VMT_DIFF_GO_TOUCHED
							  : VMT_DIFF_GO_OBJECTS;
	if (!go->has_counts || (live == 0 && young == 0) || !tells(go))
		return VMT_DIFF_GO_OBJECTS;
	return live >= young ? VMT_DIFF_GO_LIVE : VMT_DIFF_GO_GARBAGE;
}

static void
find_cause(struct vmt_diff_go *go, const struct vmt_report *a, const struct vmt_report *b,
	   uint64_t noise_bytes)
{
	static const enum vmt_diff_go_cause causes[VMT_GO_PARTS] = {
	    [VMT_GO_PART_FREE_SLOTS] = VMT_DIFF_GO_FREE_SLOTS,
	    [VMT_GO_PART_STACKS] = VMT_DIFF_GO_STACKS,
	    [VMT_GO_PART_IDLE] = VMT_DIFF_GO_IDLE,
	    [VMT_GO_PART_RELEASED] = VMT_DIFF_GO_RELEASED,
	    [VMT_GO_PART_METADATA] = VMT_DIFF_GO_METADATA,
	    [VMT_GO_PART_MALLOC] = VMT_DIFF_GO_MALLOC,
	    [VMT_GO_PART_OUTSIDE] = VMT_DIFF_GO_OUTSIDE,
	};
	struct vmt_diff_figure all = {0, 0};
	enum vmt_go_part most = VMT_GO_PARTS;
	bool up;

	for (int part = 0; part < VMT_GO_PARTS; part++) {
		all.a += go->parts[part].a;
		all.b += go->parts[part].b;
	}
	up = vmt_diff_delta(&all) > 0;
	go->change_bytes = vmt_diff_distance(&all);
	if (go->change_bytes <= noise_bytes)
		return;
	for (int part = 0; part < VMT_GO_PARTS; part++)
		if (is_compared((enum vmt_go_part)part, a, b) &&
		    along(&go->parts[part], up) >
			(most == VMT_GO_PARTS ? 0 : along(&go->parts[most], up)))
			most = (enum vmt_go_part)part;
	if (most == VMT_GO_PARTS || along(&go->parts[most], up) < go->change_bytes / 4)
		return;
	go->cause_part = most;
	go->cause = most == VMT_GO_PART_OBJECTS ? cause_of_objects(go, up) : causes[most];
}

/* Before its first collection a runtime knows nothing of what is live: that matters little where it
 * had little. */
static bool
has_counts(const struct vmt_go_parts *parts, const struct vmt_diff_go *go)
{
	return parts->objects.is_known &&
	       (parts->objects.is_collected ||
		parts->objects_reserved_bytes <= vmt_diff_distance(&go->objects_bytes) / 4);
}

void
vmt_diff_go_compare(struct vmt_diff_go *go, const struct vmt_report *a, const struct vmt_report *b,
		    uint64_t noise_bytes)
{
	const struct vmt_go_parts *of_a = &a->go.parts;
	const struct vmt_go_parts *of_b = &b->go.parts;

	*go = (struct vmt_diff_go){.is_known = of_a->is_known && of_b->is_known};
	if (!go->is_known)
		return;
	for (int part = 0; part < VMT_GO_PARTS; part++)
		go->parts[part] = (struct vmt_diff_figure){of_a->bytes[part], of_b->bytes[part]};
	go->objects_bytes =
	    (struct vmt_diff_figure){of_a->objects_reserved_bytes, of_b->objects_reserved_bytes};
	go->fresh_bytes = (struct vmt_diff_figure){a->go.fresh_large_committed_bytes,
						   b->go.fresh_large_committed_bytes};
	go->reused_bytes = (struct vmt_diff_figure){a->go.reused_large_committed_bytes,
						    b->go.reused_large_committed_bytes};
	go->has_counts = has_counts(of_a, go) && has_counts(of_b, go);
	go->live_bytes =
	    (struct vmt_diff_figure){of_a->objects.live_bytes, of_b->objects.live_bytes};
	go->young_bytes =
	    (struct vmt_diff_figure){of_a->objects.since_bytes + of_a->objects.unswept_bytes,
				     of_b->objects.since_bytes + of_b->objects.unswept_bytes};
	find_cause(go, a, b, noise_bytes);
}
