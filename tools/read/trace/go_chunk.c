#include "tools/read/trace/go_chunk.h"

#include <errno.h>
#include <string.h>

/* One object from `at` on; how many bytes it takes, 0 where it does not fit. */
static size_t
read_object(struct vmt_go_chunk_object *object, const unsigned char *at, size_t left)
{
	uint64_t padded;

	if (left < sizeof(object->described))
		return 0;
	memcpy(&object->described, at, sizeof(object->described));
	object->described.symbol[VMT_GO_SYMBOL_BYTES - 1] = '\0';
	object->data = at + sizeof(object->described);
	left -= sizeof(object->described);
	if (object->described.bytes > VMT_GO_OBJECT_MAX_BYTES)
		return 0;
	padded = (object->described.bytes + 7) & ~UINT64_C(7);
	return padded <= left ? sizeof(object->described) + padded : 0;
}

int
vmt_go_chunk_read(struct vmt_go_chunk_read *counters, const unsigned char *payload, size_t length,
		  struct vmt_err *err)
{
	size_t at = sizeof(counters->head);

	*counters = (struct vmt_go_chunk_read){.count = 0};
	if (length < sizeof(counters->head))
		return vmt_err_set(err, EBADMSG, "Go counters of %zu bytes have no head", length);
	memcpy(&counters->head, payload, sizeof(counters->head));
	if (counters->head.objects > VMT_GO_OBJECTS)
		return vmt_err_set(err, EBADMSG, "Go counters of %u objects",
				   (unsigned)counters->head.objects);
	while (counters->count < counters->head.objects) {
		size_t taken =
		    read_object(&counters->objects[counters->count], payload + at, length - at);

		if (!taken)
			return vmt_err_set(err, EBADMSG, "Go counters are cut");
		at += taken;
		counters->count++;
	}
	return 0;
}
