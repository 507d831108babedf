#include "capture/stacks/cfi.h"

#include "base/assert.h"
#include "base/roomy.h"
#include "capture/modules/modules.h"
#include "capture/stacks/last_walk.h"
#include "unwind/cfi_parse.h"

VMT_ROOMY uint64_t vmt_cfi_table[2u << VMT_CFI_BUCKET_BITS];

/* Whether a rule was ever remembered: an empty table need not be read to be emptied. */
static bool has_rules;

/* The newest goes first, the one before it second; what was second is forgotten. */
static void
remember(uint64_t address, uint32_t rule)
{
	uint64_t key = vmt_cfi_scramble(address);
	uint64_t *bucket = &vmt_cfi_table[(key >> VMT_CFI_TAG_BITS) * 2];

	vmt_assert(key >> VMT_CFI_TAG_BITS < UINT64_C(1) << VMT_CFI_BUCKET_BITS);
	if (!vmt_atomic_load_relaxed(&has_rules))
		vmt_atomic_store_release(&has_rules, true);
	vmt_atomic_store_relaxed(&bucket[1], vmt_atomic_load_relaxed(&bucket[0]));
	vmt_atomic_store_relaxed(&bucket[0],
				 (key & VMT_CFI_TAG_MASK) | (uint64_t)rule << VMT_CFI_TAG_BITS);
}

/* Remembering comes before end_read: an unload waits for that, and forgets afterwards. */
uint32_t
vmt_cfi_find_slow(uint64_t address)
{
	uint32_t rule = vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0);
	struct vmt_loaded_module module = {.id = 1};

	if (!vmt_modules_begin_read())
		return rule;
	if (vmt_modules_find_code(address, &module))
		rule = vmt_cfi_parse(&module, address);
	remember(address, rule);
	vmt_modules_end_read();
	if (module.id == 0)
		vmt_modules_notice(address);
	return rule;
}

void
vmt_cfi_forget(void)
{
	bool may_have = vmt_atomic_load_acquire(&has_rules);

	for (uint32_t i = 0; may_have && i < 2u << VMT_CFI_BUCKET_BITS; i++) {
		if (vmt_atomic_load_relaxed(&vmt_cfi_table[i]) != 0)
			vmt_atomic_store_relaxed(&vmt_cfi_table[i], 0);
	}
	vmt_last_walk_forget();
}

void
vmt_cfi_set_up(void)
{
	vmt_modules_set_on_change(vmt_cfi_forget);
}
