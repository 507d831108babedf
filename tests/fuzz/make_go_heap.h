/*
 * make_go_heap.h: Go processes for fuzz_go_heap.c, as small as they can be.
 */
#ifndef MAKE_GO_HEAP_H
#define MAKE_GO_HEAP_H

#include <stddef.h>

#define MAKE_GO_HEAP_BYTES 8192u

/* version: which of image_versions (go_heap_objects.h). Bytes written to input; 0: no offsets are
 * known of it. */
size_t make_go_heap(unsigned char *input, unsigned version);

#endif
