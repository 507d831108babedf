/*
 * elf_image.h: the bytes at an address once an ELF file is loaded.
 *
 * The loadable segments of a 64-bit little-endian ELF file, with its RELATIVE relocations applied
 * on reading (a position-independent program's pointers stand in them alone). Addresses are the
 * file's own. Bytes are untrusted: what lies outside of the file is not there. The file's bytes are
 * the caller's and must outlive the image. Immutable once open.
 */
#ifndef VMT_ELF_IMAGE_H
#define VMT_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_elf_segment {
	uint64_t address;
	uint64_t bytes; /* of the file; zeros that follow are left out */
	const unsigned char *data;
	bool executable;
};

struct vmt_elf_relocation {
	uint64_t address;
	uint64_t value;
};

struct vmt_elf_image {
	const unsigned char *file;
	size_t file_bytes;
	struct vmt_elf_segment *segments;
	size_t segment_count;
	struct vmt_elf_relocation *relocations; /* by rising address */
	size_t relocation_count;
};

/* False where it is no such file, or out of memory; close in either case. */
bool vmt_elf_image_open(struct vmt_elf_image *image, const unsigned char *file, size_t bytes);
void vmt_elf_image_close(struct vmt_elf_image *image);

/* The bytes from address to the end of its segment, NULL where there is none. */
const unsigned char *vmt_elf_image_at(const struct vmt_elf_image *image, uint64_t address,
				      size_t *available);

/* A pointer-sized word, relocated. */
bool vmt_elf_image_word(const struct vmt_elf_image *image, uint64_t address, uint64_t *word);

/* A section that stands in the file as it will in memory; NULL where there is none of the name. */
const unsigned char *vmt_elf_image_section(const struct vmt_elf_image *image, const char *name,
					   uint64_t *address, size_t *bytes);

#endif
