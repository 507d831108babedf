/*
 * go_free.h: which pages of its heap a Go runtime does not use, and which of them it has given back
 *
 * By the runtime's own bitmaps (runtime/mpagealloc.go) and what each of its processors holds of
 * free pages (runtime/mpagecache.go). Single-threaded. Errors: negative errno.
 */
#ifndef VMT_GO_FREE_H
#define VMT_GO_FREE_H

#include "collect/go_spans.h"

/* Fills in spans->free and spans->released, of the ranges that are known. */
int vmt_go_free_read(struct vmt_go_spans *spans, const struct vmt_go_view *view);

#endif
