/*
 * own_mapping.h: tells the trace of memory that the tracer has mapped for itself
 */
#ifndef VMT_OWN_MAPPING_H
#define VMT_OWN_MAPPING_H

#include <stdint.h>

/* Remembers it for traces of fork children, and writes one PRESENT event where something is
 * recorded. Units: bytes. Async-signal-safe. */
void vmt_own_mapping_write(uint64_t start, uint64_t bytes);

#endif
