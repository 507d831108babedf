/*
 * files.h: mapped files.
 *
 * One row a path of a snapshot. Paths point into the snapshot and are not NUL-terminated; rows live
 * until vmt_files_free. One thread at a time.
 */
#ifndef VMT_FILES_H
#define VMT_FILES_H

#include "format/chunk.h"
#include "tools/hash_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands behind a mapping, by its line of /proc/PID/maps. */
enum vmt_backing {
	VMT_BACKING_ANONYMOUS,
	VMT_BACKING_HEAP,
	VMT_BACKING_STACK,
	VMT_BACKING_KERNEL,   /* [vdso], [vvar] and their like */
	VMT_BACKING_VSYSCALL, /* not the process's own memory: left out everywhere */
	VMT_BACKING_SHARED,   /* memfd, System V, /dev/shm, MAP_SHARED without a file */
	VMT_BACKING_FILE,
};

enum vmt_backing vmt_files_backing(const struct vmt_mapping *mapping);

struct vmt_mapped_file {
	UT_hash_handle hh; /* hh.next: the row made after it */
	const char *path;
	uint16_t path_bytes;
	bool program;  /* code is mapped from it, or it is a loaded module */
	bool tracer;   /* libvmtrace.so, its trace or its session */
	uint8_t class; /* enum vmt_class_id of its mappings, once they were added up */
	uint64_t reserved_bytes;
	uint64_t committed_bytes;
};

struct vmt_files;

struct vmt_files *vmt_files_new(void);
void vmt_files_free(struct vmt_files *files);

/* The row of a path, made when new; NULL = no memory. */
struct vmt_mapped_file *vmt_files_intern(struct vmt_files *files, const char *path,
					 uint16_t path_bytes);

/* The row of a path, or NULL where it has none. */
struct vmt_mapped_file *vmt_files_find(const struct vmt_files *files, const char *path,
				       uint16_t path_bytes);

/* The row made first, or NULL. */
const struct vmt_mapped_file *vmt_files_rows(const struct vmt_files *files);

#endif
