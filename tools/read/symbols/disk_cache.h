/*
 * disk_cache.h: files that earlier runs left below the user's cache directory.
 *
 * One file a name in $XDG_CACHE_HOME/vmtrace, else ~/.cache/vmtrace. Everything about it may fail,
 * and then it is as if nothing had been kept: no message, no error.
 *
 * Only what is the user's own is used: the directory and the one around it belong to the effective
 * user, nobody else may write there, neither they nor the files are symbolic links, and none is
 * made in a place that is somebody else's (root with another user's HOME). A file is written under
 * a name of its own and renamed; it has a version and a checksum, and is replaced as a whole.
 * The files used last are kept, up to a sum of sizes and a number. VMTRACE_CACHE=0 turns it off.
 */
#ifndef VMT_DISK_CACHE_H
#define VMT_DISK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_DISK_CACHE_FILE_BYTES ((size_t)32 << 20) /* the largest, its head included */
#define VMT_DISK_CACHE_ALL_BYTES ((uint64_t)256 << 20)
#define VMT_DISK_CACHE_ALL_FILES 4096u
#define VMT_DISK_CACHE_NAME_BYTES 128u /* with its NUL; characters: 0-9, a-f, '-' */

struct vmt_disk_cache;

/* NULL: there is none to be had. */
struct vmt_disk_cache *vmt_disk_cache_open(void);
void vmt_disk_cache_close(struct vmt_disk_cache *cache);

/* To be freed; NULL where nothing whole is kept under the name. */
unsigned char *vmt_disk_cache_read(struct vmt_disk_cache *cache, const char *name, size_t *length);

void vmt_disk_cache_write(struct vmt_disk_cache *cache, const char *name, const void *bytes,
			  size_t length);

#endif
