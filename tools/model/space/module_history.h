/*
 * module_history.h: which module was at an address at a time.
 *
 * Follows MODULE_LOAD and MODULE_UNLOAD in time order. The same addresses may belong to different
 * files before a dlclose and after the next dlopen; an era is the time between two such changes. A
 * span is one module at one place; it keeps its number for ever, and the same module loaded at the
 * same place again gets the same number. Span 0 = none. Code in no module, that the program
 * compiled by itself, has spans too where its address had other code at other times: without a
 * range, its version in place of the bias.
 *
 * Addresses and lengths in bytes. One thread at a time. 0 or -ENOMEM.
 */
#ifndef VMT_MODULE_HISTORY_H
#define VMT_MODULE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_span {
	uint64_t low; /* [low, high) */
	uint64_t high;
	uint64_t bias;
	uint32_t module; /* id in the module table */
};

struct vmt_module_history;

/* No module is loaded without a range. */
static inline bool
vmt_span_is_compiled(const struct vmt_span *span)
{
	return span->high == 0;
}

/* Which version of compiled code is at an address now; 0: there is but one, or none is known. */
struct vmt_compiled_source {
	uint32_t (*version)(void *context, uint64_t address);
	void *context;
};

struct vmt_module_history *vmt_module_history_new(void);
void vmt_module_history_free(struct vmt_module_history *history);

/* A module that overlaps loaded ones replaces them: their unload was not seen. */
int vmt_module_history_load(struct vmt_module_history *history, const struct vmt_span *span);
void vmt_module_history_unload(struct vmt_module_history *history, uint64_t low, uint32_t module);

/* Where versions come from; their source then tells of each change. */
void vmt_module_history_set_compiled(struct vmt_module_history *history,
				     const struct vmt_compiled_source *source);
void vmt_module_history_changed(struct vmt_module_history *history);

/* Changes with every load and unload, and with versions of compiled code. */
uint32_t vmt_module_history_current(const struct vmt_module_history *history);

/* Span of the module loaded at address, 0 = none. */
uint32_t vmt_module_history_find(const struct vmt_module_history *history, uint64_t address);

/* Or of the version of compiled code there. */
uint32_t vmt_module_history_resolve(struct vmt_module_history *history, uint64_t address);

/* The first loaded span that ends after address, 0 = none. */
uint32_t vmt_module_history_next(const struct vmt_module_history *history, uint64_t address);

/* Spans are numbered from 1 up to, but without, this. */
uint32_t vmt_module_history_count(const struct vmt_module_history *history);

const struct vmt_span *vmt_module_history_span(const struct vmt_module_history *history,
					       uint32_t span);

#endif
