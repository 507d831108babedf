#include "tools/cmd/shape.h"

#include "format/advice.h"

#include <stddef.h>
#include <stdio.h>

#define COMMITTED                                                                                  \
	{                                                                                          \
		"committed_bytes", VMT_SHAPE_AS_COMMITTED                                          \
	}

/* By kind, as format/event.h has them; a heap kind that is missing here is a plain block. */
static const struct vmt_shape shapes[VMT_EVENT_KINDS] = {
    [VMT_EVENT_FREE] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_DELETE] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_REALLOC_BEGIN] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MMAP_BEGIN] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MMAP] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION | VMT_SHAPE_FLAGS,
			{"offset", VMT_SHAPE_AS_NUMBER},
			{"fd", VMT_SHAPE_AS_SIGNED}},
    [VMT_EVENT_MUNMAP] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MREMAP_BEGIN] = {VMT_SHAPE_RANGE, COMMITTED, {"new_length", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_MREMAP] = {VMT_SHAPE_RANGE | VMT_SHAPE_FLAGS,
			  {"old_address", VMT_SHAPE_AS_ADDRESS},
			  {"old_length", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_MADVISE] = {VMT_SHAPE_RANGE | VMT_SHAPE_ADVICE,
			   COMMITTED,
			   {"committed_after_bytes", VMT_SHAPE_AS_COMMITTED_AFTER}},
    [VMT_EVENT_MPROTECT] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION, {0}, {0}},
    [VMT_EVENT_BRK] = {VMT_SHAPE_ADDRESS, {"old_break", VMT_SHAPE_AS_ADDRESS}, COMMITTED},
    [VMT_EVENT_BRK_BEGIN] = {VMT_SHAPE_ADDRESS, {"old_break", VMT_SHAPE_AS_ADDRESS}, COMMITTED},
    [VMT_EVENT_MLOCK] = {VMT_SHAPE_RANGE | VMT_SHAPE_FLAGS, {0}, {0}},
    [VMT_EVENT_MUNLOCK] = {VMT_SHAPE_RANGE | VMT_SHAPE_FLAGS, {0}, {0}},
    [VMT_EVENT_SHMAT] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION | VMT_SHAPE_FLAGS,
			 {"shmid", VMT_SHAPE_AS_SIGNED},
			 {0}},
    [VMT_EVENT_SHMDT] = {VMT_SHAPE_RANGE, COMMITTED, {0}},
    [VMT_EVENT_REMAP_FILE_PAGES] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION | VMT_SHAPE_FLAGS,
				    {0},
				    {0}},
    [VMT_EVENT_TRIM] = {0, {"pad", VMT_SHAPE_AS_NUMBER}, {0}},
    [VMT_EVENT_PRESENT] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION,
			   {"inode", VMT_SHAPE_AS_NUMBER},
			   {"what", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_THREAD] = {VMT_SHAPE_RANGE | VMT_SHAPE_FLAGS,
			  {"descriptor_bytes", VMT_SHAPE_AS_NUMBER},
			  {"tid", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_FORK] = {VMT_SHAPE_FLAGS, {"child_pid", VMT_SHAPE_AS_NUMBER}, {0}},
    [VMT_EVENT_EXEC] = {0, {0}, {0}},
    [VMT_EVENT_EXIT] = {0, {"status", VMT_SHAPE_AS_SIGNED}, {"path", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_MODULE_LOAD] = {VMT_SHAPE_RANGE,
			       {"load_bias", VMT_SHAPE_AS_ADDRESS},
			       {"module", VMT_SHAPE_AS_MODULE}},
    [VMT_EVENT_MODULE_UNLOAD] = {VMT_SHAPE_ADDRESS, {0}, {"module", VMT_SHAPE_AS_MODULE}},
    [VMT_EVENT_NAME] = {VMT_SHAPE_RANGE, {0}, {0}},
    [VMT_EVENT_LONG_BEGIN] = {VMT_SHAPE_RANGE | VMT_SHAPE_PROTECTION | VMT_SHAPE_FLAGS,
			      {"of_kind", VMT_SHAPE_AS_NUMBER},
			      {"offset", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_LONG_END] = {0, {"of_kind", VMT_SHAPE_AS_NUMBER}, {0}},
    [VMT_EVENT_FILE_RELEASE] = {VMT_SHAPE_LENGTH | VMT_SHAPE_FLAGS,
				{"offset", VMT_SHAPE_AS_NUMBER},
				{"given_back_bytes", VMT_SHAPE_AS_NUMBER}},
    [VMT_EVENT_MAP_UNDO] = {VMT_SHAPE_RANGE, {0}, {0}},
};

const struct vmt_shape *
vmt_shape_of(uint8_t kind)
{
	static const struct vmt_shape block = {VMT_SHAPE_RANGE, {0}, {0}};
	static const struct vmt_shape none;

	if (kind >= VMT_EVENT_KINDS)
		return &none;
	/* Ids below the first map event's are blocks. */
	if (kind < VMT_EVENT_MMAP_BEGIN && shapes[kind].fields == 0)
		return &block;
	return &shapes[kind];
}

const char *
vmt_shape_kind_name(uint8_t kind)
{
	static const char *const names[VMT_EVENT_KINDS] = {
#define X(name, id, ring, role, call) [id] = #name,
		VMT_EVENTS(X)
#undef X
	};

	return kind < VMT_EVENT_KINDS && names[kind] != NULL ? names[kind] : "UNKNOWN";
}

const char *
vmt_shape_advice_name(uint16_t advice, char number[VMT_SHAPE_NUMBER_BYTES])
{
	const char *name = vmt_advice_name(advice);

	if (name)
		return name;
	snprintf(number, VMT_SHAPE_NUMBER_BYTES, "%u", advice);
	return number;
}
