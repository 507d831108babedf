/*
 * shm_fallback.h: shared memory in /dev/shm or /tmp, for a trace whose file system shares none
 *
 * Some file systems map no file shared and writable (FUSE with direct_io, 9p without a cache). The
 * head of a trace there, with its rings and tables, lies in a file of its own in /dev/shm or /tmp:
 * made new, 0600, never through a symbolic link, named by the pid and the random id of the trace,
 * which tell the collector where to look. The collector removes the name as soon as it has mapped
 * the file, so nothing outlives the processes; head_writer.h writes the trace. Raw system calls
 * only, async-signal-safe. Errors: negative errno. Kernel facts: fuse_file_mmap in fs/fuse/file.c
 * (ENODEV), generic_file_readonly_mmap in mm/filemap.c (EINVAL).
 */
#ifndef VMT_SHM_FALLBACK_H
#define VMT_SHM_FALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this is how mmap says that the file system shares no mappings. */
bool vmt_shm_fallback_is_wanted(long error);

/* The path in the index-th place (0, 1 ...); false: there is no such place, or no room. */
bool vmt_shm_fallback_path(char *path, size_t room, uint32_t place, uint32_t pid,
			   uint64_t random_id, const char *suffix);

/* Makes and maps the file of a head, in the first place that can. 0 or negative errno. */
int vmt_shm_fallback_make(uint32_t pid, uint64_t random_id, uint64_t bytes, void **base);

/* A descriptor of it. */
int vmt_shm_fallback_open(uint32_t pid, uint64_t random_id);

/* Removes its name, where it still has one. */
void vmt_shm_fallback_remove(uint32_t pid, uint64_t random_id);

#endif
