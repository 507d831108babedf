/*
 * go_heap_objects.h: what the numbers in an image of a Go process stand for (process_image.h).
 */
#ifndef GO_HEAP_OBJECTS_H
#define GO_HEAP_OBJECTS_H

#include "format/go.h"
#include "tests/fuzz/process_image.h"

/* Each row of format/go_offsets.def, one that is not there, and no version. */
static const char *const image_versions[] = {
    "go1.19.8", "go1.21.1",  "go1.22.2", "go1.23.4", "go1.24.4",
    "go1.25.1", "go1.26.10", "go1.27",	 "go1.18",   "",
};

/* The first two are copied as they are. */
static const char *const image_symbols[IMAGE_OBJECTS] = {
    VMT_GO_STATISTICS_SYMBOL,	 VMT_GO_CONTROLLER_SYMBOL,   VMT_GO_HEAP_SYMBOL,
    VMT_GO_GOROUTINES_SYMBOL,	 VMT_GO_PROCESSORS_SYMBOL,   VMT_GO_PROFILE_SYMBOL,
    VMT_GO_PROFILE_CYCLE_SYMBOL, VMT_GO_PROFILE_RATE_SYMBOL,
};

#endif
