#include "tools/model/replay/replay_state.h"

bool
vmt_replay_state_pages(uint64_t address, uint64_t length, uint64_t *start, uint64_t *end)
{
	if (!length || address >= VMT_REPLAY_ADDRESS_END ||
	    length > VMT_REPLAY_ADDRESS_END - address)
		return false;
	*start = address & ~(VMT_REPLAY_PAGE - 1);
	*end = (address + length + VMT_REPLAY_PAGE - 1) & ~(VMT_REPLAY_PAGE - 1);
	return true;
}
