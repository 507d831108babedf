#include "collect/go_view.h"

#include "base/text.h"

#include <string.h>

static uint64_t
find_object(const struct vmt_head *head, const char *symbol)
{
	uint32_t known = vmt_atomic_load_relaxed(&head->go.objects_count);

	for (uint32_t i = 0; i < known && i < VMT_GO_OBJECTS; i++)
		if (memcmp(head->go.objects[i].symbol, symbol, vmt_text_string_bytes(symbol) + 1) ==
		    0)
			return head->go.objects[i].address;
	return 0;
}

void
vmt_go_view_open(struct vmt_go_view *view, const struct vmt_head *head, uint32_t pid)
{
	char version[VMT_GO_VERSION_BYTES + 1] = "";

	memcpy(version, head->go.version, VMT_GO_VERSION_BYTES);
	*view = (struct vmt_go_view){
	    .pid = pid,
	    .offsets = vmt_go_offsets_of(version),
	    .heap = find_object(head, VMT_GO_HEAP_SYMBOL),
	    .all_goroutines = find_object(head, VMT_GO_GOROUTINES_SYMBOL),
	    .processors = find_object(head, VMT_GO_PROCESSORS_SYMBOL),
	    .profile = find_object(head, VMT_GO_PROFILE_SYMBOL),
	    .profile_cycle = find_object(head, VMT_GO_PROFILE_CYCLE_SYMBOL),
	    .profile_rate = find_object(head, VMT_GO_PROFILE_RATE_SYMBOL),
	};
}
