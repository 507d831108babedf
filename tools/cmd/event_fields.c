#include "tools/cmd/event_fields.h"

#include "format/advice.h"

#include <stddef.h>
#include <stdio.h>

const struct vmt_event_fields *
vmt_event_fields_of(uint8_t kind)
{
	static const struct vmt_event_fields all[VMT_EVENT_KINDS] = {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) [id] = {fields, a, b},
#include "format/event_kinds.def"
	};
	static const struct vmt_event_fields none;

	return kind < VMT_EVENT_KINDS ? &all[kind] : &none;
}

const char *
vmt_event_fields_kind_name(uint8_t kind)
{
	static const char *const names[VMT_EVENT_KINDS] = {
#define VMT_EVENT(name, id, ring, role, call, fields, a, b) [id] = #name,
#include "format/event_kinds.def"
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
