#include "tools/cmd/event_fields.h"

#include "format/advice.h"

#include <stddef.h>
#include <stdio.h>

#define COMMITTED                                                                                  \
	{                                                                                          \
		"committed_bytes", VMT_EVENT_FIELDS_AS_COMMITTED                                   \
	}

/* By kind, as format/event.h has them; a heap kind that is missing here is a plain block. */
static const struct vmt_event_fields shapes[VMT_EVENT_KINDS] = {
    [VMT_EVENT_FREE] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_DELETE] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_REALLOC_BEGIN] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MMAP_BEGIN] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MMAP] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION |
			    VMT_EVENT_FIELDS_FLAGS,
			{"offset", VMT_EVENT_FIELDS_AS_NUMBER},
			{"fd", VMT_EVENT_FIELDS_AS_SIGNED}},
    [VMT_EVENT_MUNMAP] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_MREMAP_BEGIN] = {VMT_EVENT_FIELDS_RANGE,
				COMMITTED,
				{"new_length", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_MREMAP] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_FLAGS,
			  {"old_address", VMT_EVENT_FIELDS_AS_ADDRESS},
			  {"old_length", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_MADVISE] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_ADVICE,
			   COMMITTED,
			   {"committed_after_bytes", VMT_EVENT_FIELDS_AS_COMMITTED_AFTER}},
    [VMT_EVENT_MPROTECT] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION, {0}, {0}},
    [VMT_EVENT_BRK] = {VMT_EVENT_FIELDS_ADDRESS,
		       {"old_break", VMT_EVENT_FIELDS_AS_ADDRESS},
		       COMMITTED},
    [VMT_EVENT_BRK_BEGIN] = {VMT_EVENT_FIELDS_ADDRESS,
			     {"old_break", VMT_EVENT_FIELDS_AS_ADDRESS},
			     COMMITTED},
    [VMT_EVENT_MLOCK] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_FLAGS, {0}, {0}},
    [VMT_EVENT_MUNLOCK] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_FLAGS, {0}, {0}},
    [VMT_EVENT_SHMAT] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION |
			     VMT_EVENT_FIELDS_FLAGS,
			 {"shmid", VMT_EVENT_FIELDS_AS_SIGNED},
			 {0}},
    [VMT_EVENT_SHMDT] = {VMT_EVENT_FIELDS_RANGE, COMMITTED, {0}},
    [VMT_EVENT_REMAP_FILE_PAGES] =
	{VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION | VMT_EVENT_FIELDS_FLAGS, {0}, {0}},
    [VMT_EVENT_TRIM] = {0, {"pad", VMT_EVENT_FIELDS_AS_NUMBER}, {0}},
    [VMT_EVENT_PRESENT] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION,
			   {"inode", VMT_EVENT_FIELDS_AS_NUMBER},
			   {"what", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_THREAD] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_FLAGS,
			  {"descriptor_bytes", VMT_EVENT_FIELDS_AS_NUMBER},
			  {"tid", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_FORK] = {VMT_EVENT_FIELDS_FLAGS, {"child_pid", VMT_EVENT_FIELDS_AS_NUMBER}, {0}},
    [VMT_EVENT_EXEC] = {0, {0}, {0}},
    [VMT_EVENT_EXIT] = {0,
			{"status", VMT_EVENT_FIELDS_AS_SIGNED},
			{"path", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_MODULE_LOAD] = {VMT_EVENT_FIELDS_RANGE,
			       {"load_bias", VMT_EVENT_FIELDS_AS_ADDRESS},
			       {"module", VMT_EVENT_FIELDS_AS_MODULE}},
    [VMT_EVENT_MODULE_UNLOAD] = {VMT_EVENT_FIELDS_ADDRESS,
				 {0},
				 {"module", VMT_EVENT_FIELDS_AS_MODULE}},
    [VMT_EVENT_NAME] = {VMT_EVENT_FIELDS_RANGE, {0}, {0}},
    [VMT_EVENT_LONG_BEGIN] = {VMT_EVENT_FIELDS_RANGE | VMT_EVENT_FIELDS_PROTECTION |
				  VMT_EVENT_FIELDS_FLAGS,
			      {"of_kind", VMT_EVENT_FIELDS_AS_NUMBER},
			      {"offset", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_LONG_END] = {0, {"of_kind", VMT_EVENT_FIELDS_AS_NUMBER}, {0}},
    [VMT_EVENT_FILE_RELEASE] = {VMT_EVENT_FIELDS_LENGTH | VMT_EVENT_FIELDS_FLAGS,
				{"offset", VMT_EVENT_FIELDS_AS_NUMBER},
				{"given_back_bytes", VMT_EVENT_FIELDS_AS_NUMBER}},
    [VMT_EVENT_MAP_UNDO] = {VMT_EVENT_FIELDS_RANGE, {0}, {0}},
};

const struct vmt_event_fields *
vmt_event_fields_of(uint8_t kind)
{
	static const struct vmt_event_fields block = {VMT_EVENT_FIELDS_RANGE, {0}, {0}};
	static const struct vmt_event_fields none;

	if (kind >= VMT_EVENT_KINDS)
		return &none;
	/* Ids below the first map event's are blocks. */
	if (kind < VMT_EVENT_MMAP_BEGIN && shapes[kind].fields == 0)
		return &block;
	return &shapes[kind];
}

const char *
vmt_event_fields_kind_name(uint8_t kind)
{
	static const char *const names[VMT_EVENT_KINDS] = {
#define X(name, id, ring, role, call) [id] = #name,
		VMT_EVENTS(X)
#undef X
	};

	return kind < VMT_EVENT_KINDS && names[kind] != NULL ? names[kind] : "UNKNOWN";
}

const char *
vmt_event_fields_advice_name(uint16_t advice, char number[VMT_EVENT_FIELDS_NUMBER_BYTES])
{
	const char *name = vmt_advice_name(advice);

	if (name)
		return name;
	snprintf(number, VMT_EVENT_FIELDS_NUMBER_BYTES, "%u", advice);
	return number;
}
