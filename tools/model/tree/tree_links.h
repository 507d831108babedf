/*
 * tree_links.h: whose child is who, among the processes of several traces?
 *
 * A fork child names its parent's trace. An image that was executed has the pid and the start time
 * of the one before it. Any other names a pid: its parent is who had it then, of the same boot and
 * among processes that are numbered alike. Where several may be meant, none is taken. One thread
 * at a time.
 */
#ifndef VMT_TREE_LINKS_H
#define VMT_TREE_LINKS_H

#include "tools/model/tree/tree.h"

/* Fills in origin, parent, is_ambiguous, and tree: the number of the root's family, in the order
 * in which roots stand. Returns how many families there are; SIZE_MAX: no memory. */
size_t vmt_tree_links_find(struct vmt_tree_process *processes, size_t count);

#endif
