/*
 * recorded_files.h: is a file still the one that was recorded?
 *
 * For files without a build-id. A path alone does not tell: the program may have been built anew.
 * A file is the recorded one where the process had it mapped (device and inode, as a trace's
 * snapshots have them) and nothing has changed it since the recording began. That is by its time of
 * change, which no program can set back, and which a rename changes as well (inode(7)). It is later
 * also where the file is still the same, as after chmod: then it can't be told. Numbers of devices
 * and inodes mean something on one machine only, between two boots: the caller sees to that. One
 * thread's.
 */
#ifndef VMT_RECORDED_FILES_H
#define VMT_RECORDED_FILES_H

#include <stdbool.h>
#include <stdint.h>

/* Of more files the others count as changed. */
#define VMT_RECORDED_FILES_MAX 65536u

struct vmt_recorded_files;

/* NULL when memory is short. */
struct vmt_recorded_files *vmt_recorded_files_new(uint64_t start_unix_ns);
void vmt_recorded_files_free(struct vmt_recorded_files *files);

/* A file that the process had mapped; device: major << 20 | minor, as maps has it. 0 or -ENOMEM. */
int vmt_recorded_files_add(struct vmt_recorded_files *files, uint32_t device, uint64_t inode);

/* Whether an open file is one of them, unchanged. */
bool vmt_recorded_files_has(const struct vmt_recorded_files *files, int fd);

#endif
