/*
 * elf_headers.h: reads the program headers and notes of a loaded file
 *
 * Reads ELF program headers and notes in memory (System V gABI, chapter 5; NT_GNU_BUILD_ID as in
 * binutils' ld manual, --build-id). Every address derived from them is checked against the PT_LOAD
 * segments before it is read; a file whose headers do not hold gives an image without the part in
 * question. The caller sees to it that the file stays mapped meanwhile. No allocation, no libc
 * call; thread and signal safe.
 */
#ifndef VMT_ELF_HEADERS_H
#define VMT_ELF_HEADERS_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* Of a longer build id the first bytes. */
#define VMT_ELF_HEADERS_BUILD_ID_BYTES 32u

struct vmt_elf_headers {
	uint64_t low; /* [low, high): span of its PT_LOAD segments, whole pages */
	uint64_t high;
	uint64_t bias;		     /* run-time address - address in the file */
	uint64_t eh_frame_hdr;	     /* address of PT_GNU_EH_FRAME, 0 = none that can be read */
	uint64_t eh_frame_hdr_bytes; /* at least 8 where there is one */
	uint64_t frames_low;	     /* [low, high): file-backed bytes of the PT_LOAD around it */
	uint64_t frames_high;
	const unsigned char *build_id; /* in the image itself; NULL = none */
	uint32_t build_id_bytes;
};

/* From program headers, as dl_iterate_phdr gives them. False: no PT_LOAD. */
bool vmt_elf_headers_describe(uint64_t bias, const ElfW(Phdr) * headers, uint32_t count,
			      struct vmt_elf_headers *image);

/* From the ELF header that a file's first page starts with. False where it does not. */
bool vmt_elf_headers_describe_mapped(uint64_t bias, uint64_t map_start,
				     struct vmt_elf_headers *image);

#endif
