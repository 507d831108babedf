#include "format/go_offsets.h"

#include "base/text.h"

#include <stddef.h>

#if defined(__x86_64__)
static const struct vmt_go_offsets all[] = {
#include "format/go_offsets.def"
};
#define ALL_COUNT (sizeof(all) / sizeof(all[0]))
#else
static const struct vmt_go_offsets *const all;
#define ALL_COUNT 0u
#endif

/* "go1.24", "go1.24.4": a release. 0: anything else. */
static uint64_t
minor_of(const char *version)
{
	struct vmt_text rest = vmt_text_of(version, vmt_text_string_bytes(version));
	uint64_t minor = 0, patch;

	if (!vmt_text_skip_string(&rest, "go1.") || !vmt_text_take_decimal(&rest, &minor))
		return 0;
	if (vmt_text_skip(&rest, '.') && !vmt_text_take_decimal(&rest, &patch))
		return 0;
	return rest.at == rest.end ? minor : 0;
}

const struct vmt_go_offsets *
vmt_go_offsets_of(const char *version)
{
	uint64_t minor = minor_of(version);

	for (size_t i = 0; minor != 0 && i < ALL_COUNT; i++)
		if (all[i].minor == minor)
			return &all[i];
	return NULL;
}
