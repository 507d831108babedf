#include "tools/render/kernel_figures.h"

#include <string.h>

#define KEY(name)                                                                                  \
	{                                                                                          \
#name, offsetof(struct vmt_kernel_figures, name)                                   \
	}

const struct vmt_kernel_figures_key vmt_kernel_figures_keys[VMT_KERNEL_FIGURES_KEYS] = {
    KEY(anonymous_bytes),  KEY(file_bytes),	  KEY(shared_memory_bytes),
    KEY(swap_bytes),	   KEY(page_table_bytes), KEY(locked_bytes),
    KEY(hugetlb_bytes),	   KEY(rss_error_bytes),  KEY(proportional_bytes),
    KEY(private_bytes),	   KEY(shared_bytes),	  KEY(anonymous_huge_bytes),
    KEY(locked_rss_bytes),
};

uint64_t
vmt_kernel_figures_get(const struct vmt_kernel_figures *figures,
		       const struct vmt_kernel_figures_key *key)
{
	uint64_t figure;

	memcpy(&figure, (const char *)figures + key->offset, sizeof(figure));
	return figure;
}
