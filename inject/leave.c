#include "inject/leave.h"

#include "base/sys.h"
#include "inject/spare_signal.h"
#include "inject/standing.h"

#include <stddef.h>

#define END_NS UINT64_C(20000000000)
#define RANGES (1u + VMT_ATTACH_IMAGES + VMT_BLOB_OWN) /* the blob, veneers, all of its memory */

struct ending {
	struct vmt_attach *attach;
	const struct vmt_target *target;
};

int
vmt_leave_undo(const struct vmt_attach *attach, const struct vmt_target *target)
{
	int first = vmt_attach_images_undo(&attach->images, target);

	for (uint32_t i = 0; i < attach->jumps_count; i++) {
		const struct vmt_attach_jump *jump = &attach->jumps[i];
		int result = vmt_target_take_back(target, jump->address, jump->new_bytes,
						  jump->old_bytes, sizeof(jump->old_bytes));

		if (first == 0)
			first = result;
	}
	return first;
}

/* Stacks of the recorder's are told by the recorder itself. */
int
vmt_leave_is_in_use(const struct vmt_attach *attach, const struct vmt_target *target,
		    const struct vmt_stopped_threads *threads)
{
	struct vmt_standing_range ranges[RANGES] = {{0}};
	const struct vmt_blob_parameters *parameters = &attach->parameters;
	struct vmt_standing_group group;
	uint32_t count = 0;
	int result;

	ranges[count++] =
	    (struct vmt_standing_range){.low = parameters->low, .high = parameters->high};
	for (uint32_t i = 0; i < VMT_BLOB_OWN; i++) {
		const struct vmt_blob_range *own = &parameters->own[i];

		if (own->bytes != 0)
			ranges[count++] = (struct vmt_standing_range){
			    .low = own->start, .high = own->start + own->bytes};
	}
	for (uint32_t i = 0; i < attach->images.count; i++) {
		const struct vmt_cut_veneers *veneers = &attach->images.cuts[i].veneers;

		if (veneers->used != 0)
			ranges[count++] = (struct vmt_standing_range){
			    .low = veneers->address, .high = veneers->address + veneers->used};
	}
	group = (struct vmt_standing_group){.ranges = ranges, .count = count};
	result = vmt_standing_find(target, threads, &group, 1);
	for (uint32_t i = 0; result == 0 && i < count; i++)
		if (ranges[i].is_occupied)
			return 1;
	return result;
}

static bool
has_ended(void *context)
{
	struct ending *ending = context;

	return vmt_blob_placement_read(&ending->attach->placement, ending->target,
				       &ending->attach->parameters) == 0 &&
	       ending->attach->parameters.state == VMT_BLOB_ENDED;
}

static int
unmap(struct vmt_remote *remote, const struct vmt_blob_range *range)
{
	uint64_t words[6] = {range->start, range->bytes};
	int64_t result = 0;
	int error;

	if (range->bytes == 0)
		return 0;
	error = vmt_remote_call(remote, SYS_munmap, words, &result);
	return error < 0 ? error : (int)result;
}

static bool
overlaps(const struct vmt_blob_range *range, uint64_t low, uint64_t high)
{
	return range->start < high && range->start + range->bytes > low;
}

/* The blob's own text and data last: it was the one that told of all others. */
static int
unmap_all(struct vmt_attach *attach, struct vmt_remote *remote)
{
	const struct vmt_blob_parameters *parameters = &attach->parameters;
	int first = 0;

	for (uint32_t i = 0; i < VMT_BLOB_OWN; i++) {
		const struct vmt_blob_range *own = &parameters->own[i];
		int result =
		    overlaps(own, parameters->low, parameters->high) ? 0 : unmap(remote, own);

		if (first == 0)
			first = result;
	}
	vmt_blob_placement_unmap(&attach->placement, remote);
	return first;
}

int
vmt_leave_unmap(struct vmt_attach *attach, struct vmt_remote *remote, bool is_quiet)
{
	struct ending ending = {.attach = attach, .target = remote->target};
	const struct vmt_blob_image *image = &attach->placement.image;
	struct vmt_blob_parameters *parameters = &attach->parameters;
	int result;

	/* [stack] may have grown, and handlers may be others since. */
	result = vmt_blob_placement_read(&attach->placement, remote->target, parameters);
	if (result < 0)
		return result;
	parameters->is_quiet = is_quiet;
	parameters->signal =
	    (uint32_t)vmt_spare_signal_find(attach->pid, remote->tid, remote->kept_mask);
	parameters->resume_pc = remote->frame->restorer_address;
	parameters->resume_sp = remote->frame->address + sizeof(uint64_t);
	result = vmt_target_write(remote->target, attach->placement.address + image->parameters,
				  parameters, offsetof(struct vmt_blob_parameters, settings));

	if (result == 0)
		result = vmt_remote_run(remote, attach->placement.address + image->end,
					(int)parameters->signal, has_ended, &ending,
					vmt_sys_clock_ns(CLOCK_MONOTONIC) + END_NS);
	if (result < 0)
		return result;
	if (!attach->parameters.has_left)
		return 0;
	result = vmt_attach_images_undo_veneers(&attach->images, remote->target);
	if (result < 0)
		return result;
	result = unmap_all(attach, remote);
	return result < 0 ? result : 1;
}
