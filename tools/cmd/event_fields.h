/*
 * event_fields.h: names and forms of an event's fields, by its kind.
 *
 * By kind, as format/event_kinds.def has them. Static data; thread safe.
 */
#ifndef VMT_EVENT_FIELDS_H
#define VMT_EVENT_FIELDS_H

#include "format/event.h"

struct vmt_event_fields {
	unsigned fields; /* VMT_FIELD_* */
	struct vmt_event_argument a;
	struct vmt_event_argument b;
};

#define VMT_EVENT_FIELDS_NUMBER_BYTES 8u

/* The fields of a kind; one without any field for a kind that is not known. */
const struct vmt_event_fields *vmt_event_fields_of(uint8_t kind);

/* "MMAP" ..., "UNKNOWN". */
const char *vmt_event_fields_kind_name(uint8_t kind);

/* "MADV_DONTNEED" ..., or the number, written into the buffer. */
const char *vmt_event_fields_advice_name(uint16_t advice,
					 char number[VMT_EVENT_FIELDS_NUMBER_BYTES]);

#endif
