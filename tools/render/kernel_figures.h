/*
 * kernel_figures.h: names of what the kernel counts.
 *
 * One list for report, diff and dump. Data alone.
 */
#ifndef VMT_KERNEL_FIGURES_H
#define VMT_KERNEL_FIGURES_H

#include "format/chunk.h"

#include <stddef.h>

struct vmt_kernel_figures_key {
	const char *name;
	size_t offset; /* in struct vmt_kernel_figures */
};

#define VMT_KERNEL_FIGURES_KEYS 13u

extern const struct vmt_kernel_figures_key vmt_kernel_figures_keys[VMT_KERNEL_FIGURES_KEYS];

uint64_t vmt_kernel_figures_get(const struct vmt_kernel_figures *figures,
				const struct vmt_kernel_figures_key *key);

#endif
