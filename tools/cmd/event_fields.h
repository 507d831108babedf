/*
 * event_fields.h: names and forms of an event's fields, by its kind.
 *
 * By kind, as format/event.h describes them. Static data; thread safe.
 */
#ifndef VMT_EVENT_FIELDS_H
#define VMT_EVENT_FIELDS_H

#include "format/event.h"

/* How a field of an event is written. */
enum vmt_event_fields_form {
	VMT_EVENT_FIELDS_AS_NONE,
	VMT_EVENT_FIELDS_AS_NUMBER,
	VMT_EVENT_FIELDS_AS_SIGNED,
	VMT_EVENT_FIELDS_AS_ADDRESS,
	VMT_EVENT_FIELDS_AS_COMMITTED,
	VMT_EVENT_FIELDS_AS_COMMITTED_AFTER, /* where the marks say that it was looked for */
	VMT_EVENT_FIELDS_AS_MODULE
};

/* Fields that mean something for a kind. */
#define VMT_EVENT_FIELDS_LENGTH 1u
#define VMT_EVENT_FIELDS_PROTECTION 2u
#define VMT_EVENT_FIELDS_FLAGS 4u
#define VMT_EVENT_FIELDS_ADVICE 8u
#define VMT_EVENT_FIELDS_ADDRESS 16u
#define VMT_EVENT_FIELDS_RANGE (VMT_EVENT_FIELDS_ADDRESS | VMT_EVENT_FIELDS_LENGTH)

struct vmt_event_fields_argument {
	const char *name;
	enum vmt_event_fields_form form;
};

struct vmt_event_fields {
	unsigned fields;
	struct vmt_event_fields_argument a;
	struct vmt_event_fields_argument b;
};

#define VMT_EVENT_FIELDS_NUMBER_BYTES 8u

/* The shape of a kind; one without any field for a kind that is not known. */
const struct vmt_event_fields *vmt_event_fields_of(uint8_t kind);

/* "MMAP" ..., "UNKNOWN". */
const char *vmt_event_fields_kind_name(uint8_t kind);

/* "MADV_DONTNEED" ..., or the number, written into the buffer. */
const char *vmt_event_fields_advice_name(uint16_t advice,
					 char number[VMT_EVENT_FIELDS_NUMBER_BYTES]);

#endif
