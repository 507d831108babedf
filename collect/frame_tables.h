/*
 * frame_tables.h: reads the rule for one address out of a file's tables of frames
 *
 * .eh_frame_hdr is searched and one pair of FDE and CIE read from .eh_frame (LSB 5.0 Core, section
 * 10.6), out of the file itself or out of the memory of a process that has it loaded. What is read
 * is untrusted; a look makes at most 40 reads, of 24 KiB together. Only tables in the segment of
 * .eh_frame_hdr, with relative addresses, as compilers and linkers write them. Where a file has no
 * .eh_frame_hdr its records are gone through one by one, if they have VMT_FRAME_RECORDS_MAX_BYTES
 * at most. No allocation.
 */
#ifndef VMT_FRAME_TABLES_H
#define VMT_FRAME_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_FRAME_SEGMENTS 4u
#define VMT_FRAME_RECORDS_MAX_BYTES (UINT64_C(1) << 20)

/* Where the bytes come from. */
struct vmt_frame_source {
	int fd;	      /* of the file; negative: the memory of pid */
	uint32_t pid; /* whoever that is when it is read */
	uint64_t bias;
};

struct vmt_frame_segment {
	uint64_t offset;
	uint64_t bytes;
	uint64_t address;
};

/* What a file's headers say. Addresses are those in the file. */
struct vmt_frame_tables {
	struct vmt_frame_segment frames; /* that the tables lie in */
	uint64_t header;		 /* .eh_frame_hdr */
	uint64_t pairs;			 /* its table */
	uint64_t pairs_count;		 /* 0: no index that can be used */
	uint64_t records;		 /* .eh_frame, where there is no .eh_frame_hdr */
	uint64_t records_bytes;
	uint64_t digest; /* of the file's first bytes, build-id included if there */
	uint32_t code_count;
	struct vmt_frame_segment code[VMT_FRAME_SEGMENTS]; /* executable */
};

/* Reads the headers; `first`: where the file's first byte lies, of memory. The source's bias need
 * not be known. False: not a 64-bit ELF file, or it can't be read. */
bool vmt_frame_tables_describe(const struct vmt_frame_source *source, uint64_t first,
			       struct vmt_frame_tables *tables);

/* Run-time address minus address in the file, where bytes from an offset on are mapped at low.
 * False: there is no code in the file there. */
bool vmt_frame_tables_bias(const struct vmt_frame_tables *tables, uint64_t low, uint64_t offset,
			   uint64_t *bias);

/* The rule (cfi_rule.h) for an address in the file; FRAME_POINTER where there is none. False: it
 * can't be read now. */
bool vmt_frame_tables_find(const struct vmt_frame_source *source,
			   const struct vmt_frame_tables *tables, uint64_t address, uint32_t *rule);

/* Whether an address in the file is the first byte of runtime.goexit (asm_amd64.s, Go 1.19
 * to 1.26), to which a goroutine's first function returns one byte further on. Go code has no
 * tables. */
bool vmt_frame_tables_is_goexit(const struct vmt_frame_source *source,
				const struct vmt_frame_tables *tables, uint64_t address);

#endif
