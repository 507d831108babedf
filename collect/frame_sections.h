/*
 * frame_sections.h: where do a file's tables of frames lie, by its sections?
 *
 * For a file whose linker has made no index of them (.eh_frame_hdr), as of a static program of
 * glibc's. Bytes of the file are untrusted; a look makes three reads, of 12 KiB together. No
 * allocation.
 */
#ifndef VMT_FRAME_SECTIONS_H
#define VMT_FRAME_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* .eh_frame as it is loaded, addresses in the file. False: none is found. */
bool vmt_frame_sections_find(int fd, uint64_t *address, uint64_t *bytes);

#endif
