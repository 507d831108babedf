/*
 * checksum.h: CRC-32C of a chunk
 *
 * CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected 0x82F63B78), RFC 3720 appendix B.4.
 * Freestanding, no tables in writable memory. Thread and signal safe.
 */
#ifndef VMT_CHECKSUM_H
#define VMT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Continues a checksum: pass 0 first, then the value returned. */
uint32_t vmt_checksum_update(uint32_t checksum, const void *bytes, size_t length);

#endif
