/*
 * module_list.h: a sorted list that is replaced while others read it without a lock
 *
 * Two arrays take turns: list g lives in array g & 1. `writing` is raised to g before a word of
 * that array changes (every word is a release store), `published` after the last one. So a reader
 * of g that still finds writing < g + 2 after its reads has seen list g alone; else it tries again,
 * a few times. One writer at a time: the refresher of modules.c. Async-signal-safe, no allocation.
 */
#ifndef VMT_MODULE_LIST_H
#define VMT_MODULE_LIST_H

#include "unwind/loaded_module.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_MODULES_MAX 1024u

/* All members are 64-bit words: copied word by word. */
struct vmt_module_entry {
	uint64_t low;
	uint64_t high;
	uint64_t bias;
	uint64_t eh_frame_hdr;
	uint64_t eh_frame_hdr_bytes;
	uint64_t frames_low;
	uint64_t frames_high;
	uint64_t id;	     /* in the trace */
	uint64_t descriptor; /* in the refresher's own table of names */
	uint64_t key;	     /* hash of name and build id */
};

struct vmt_module_list {
	uint64_t count;
	struct vmt_module_entry entries[VMT_MODULES_MAX]; /* sorted by low */
};

/* Any thread: the module that covers an address. */
bool vmt_module_list_find(uint64_t address, struct vmt_loaded_module *module);

/* The writer alone: the list as it stands (entries' ids may be set in it), the entry that starts at
 * an address or NULL, and a new list in its place. */
struct vmt_module_list *vmt_module_list_current(void);
const struct vmt_module_entry *vmt_module_list_at(uint64_t low);
void vmt_module_list_publish(const struct vmt_module_list *list);

/* Fork child: forgets that a writer, who is not here, had begun. */
void vmt_module_list_recover(void);

/* By address, as the published list has to be. */
void vmt_module_list_sort(struct vmt_module_list *list);

#endif
