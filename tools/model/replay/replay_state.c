#include "tools/model/replay/replay_state.h"

#include "base/pages.h"

bool
vmt_replay_state_pages(const struct vmt_replay *replay, uint64_t address, uint64_t length,
		       uint64_t *start, uint64_t *end)
{
	if (!length || address >= VMT_REPLAY_ADDRESS_END ||
	    length > VMT_REPLAY_ADDRESS_END - address)
		return false;
	*start = vmt_pages_down(address, replay->page_bytes);
	*end = vmt_pages_up(address + length, replay->page_bytes);
	return true;
}
