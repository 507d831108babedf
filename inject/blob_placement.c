#include "inject/blob_placement.h"

#include "base/buffer.h"
#include "base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* An mmap in the program. 0 or a negative errno. */
static int
map(struct vmt_remote *remote, uint64_t *address, uint64_t bytes, int protection, int flags)
{
	uint64_t words[6] = {*address, bytes, (uint64_t)protection, (uint64_t)flags, UINT64_MAX, 0};
	int64_t result;
	int error = vmt_remote_call(remote, SYS_mmap, words, &result);

	if (error < 0)
		return error;
	if (vmt_sys_is_error(result))
		return (int)result;
	*address = (uint64_t)result;
	return 0;
}

int
vmt_blob_placement_map(struct vmt_blob_placement *placement, struct vmt_remote *remote)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	const struct vmt_blob_image *image = &placement->image;
	uint64_t writable;
	int error = map(remote, &placement->address, image->bytes, PROT_READ | PROT_EXEC, flags);

	if (error < 0)
		return error;
	writable = placement->address + image->writable;
	return map(remote, &writable, image->bytes - image->writable, PROT_READ | PROT_WRITE,
		   flags | MAP_FIXED);
}

void
vmt_blob_placement_unmap(struct vmt_blob_placement *placement, struct vmt_remote *remote)
{
	uint64_t words[6] = {placement->address, placement->image.bytes};
	int64_t result;

	if (placement->address != 0)
		(void)vmt_remote_call(remote, SYS_munmap, words, &result);
	placement->address = 0;
}

int
vmt_blob_placement_write(const struct vmt_blob_placement *placement,
			 const struct vmt_target *target, struct vmt_blob_parameters *parameters)
{
	const struct vmt_blob_image *image = &placement->image;
	struct vmt_buffer bytes = {NULL, 0};
	int error = -ENOMEM;

	parameters->low = placement->address;
	parameters->high = placement->address + image->bytes;
	if (vmt_buffer_reserve(&bytes, image->filled)) {
		vmt_blob_image_place(image, placement->address, bytes.bytes);
		error = vmt_target_write(target, placement->address, bytes.bytes, image->filled);
	}
	vmt_buffer_free(&bytes);
	if (error < 0)
		return error;
	return vmt_target_write(target, placement->address + image->parameters, parameters,
				sizeof(*parameters));
}

/* It goes to terminals. */
static void
clean(char why[VMT_BLOB_WHY_BYTES])
{
	why[VMT_BLOB_WHY_BYTES - 1] = '\0';
	for (char *at = why; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static bool
is_sound(const struct vmt_blob_parameters *parameters)
{
	if (parameters->go_places_count > VMT_BLOB_GO_PLACES || parameters->low > parameters->high)
		return false;
	for (uint32_t i = 0; i < VMT_BLOB_OWN; i++)
		if (parameters->own[i].bytes > UINT64_MAX - parameters->own[i].start)
			return false;
	return true;
}

int
vmt_blob_placement_read(const struct vmt_blob_placement *placement, const struct vmt_target *target,
			struct vmt_blob_parameters *parameters)
{
	int error = vmt_target_read(target, placement->address + placement->image.parameters,
				    parameters, sizeof(*parameters));

	clean(parameters->why);
	if (error < 0)
		return error;
	if (is_sound(parameters))
		return 0;
	parameters->go_places_count = 0;
	memset(parameters->own, 0, sizeof(parameters->own));
	return -EBADMSG;
}
