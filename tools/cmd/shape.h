/*
 * shape.h: which fields of an event mean something, and what are they called?
 *
 * By kind, as format/event.h describes them. Static data; thread safe.
 */
#ifndef VMT_SHAPE_H
#define VMT_SHAPE_H

#include "format/event.h"

/* How a field of an event is written. */
enum vmt_shape_form {
	VMT_SHAPE_AS_NONE,
	VMT_SHAPE_AS_NUMBER,
	VMT_SHAPE_AS_SIGNED,
	VMT_SHAPE_AS_ADDRESS,
	VMT_SHAPE_AS_COMMITTED,
	VMT_SHAPE_AS_COMMITTED_AFTER, /* where the marks say that it was looked for */
	VMT_SHAPE_AS_MODULE
};

/* Fields that mean something for a kind. */
#define VMT_SHAPE_LENGTH 1u
#define VMT_SHAPE_PROTECTION 2u
#define VMT_SHAPE_FLAGS 4u
#define VMT_SHAPE_ADVICE 8u
#define VMT_SHAPE_ADDRESS 16u
#define VMT_SHAPE_RANGE (VMT_SHAPE_ADDRESS | VMT_SHAPE_LENGTH)

struct vmt_shape_argument {
	const char *name;
	enum vmt_shape_form form;
};

struct vmt_shape {
	unsigned fields;
	struct vmt_shape_argument a;
	struct vmt_shape_argument b;
};

#define VMT_SHAPE_NUMBER_BYTES 8u

/* The shape of a kind; one without any field for a kind that is not known. */
const struct vmt_shape *vmt_shape_of(uint8_t kind);

/* "MMAP" ..., "UNKNOWN". */
const char *vmt_shape_kind_name(uint8_t kind);

/* "MADV_DONTNEED" ..., or the number, written into the buffer. */
const char *vmt_shape_advice_name(uint16_t advice, char number[VMT_SHAPE_NUMBER_BYTES]);

#endif
