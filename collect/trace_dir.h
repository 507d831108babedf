/*
 * trace_dir.h: holds the directory of a trace, however its path changes
 *
 * A path is walked once, to a descriptor of the directory (O_PATH: no leave to read it is needed);
 * what follows goes by the last name in that directory, and never through a symbolic link there. So
 * whoever may rename a directory of the path between a look at a file and its removal can only
 * make the look fail. Single-threaded. Errors: negative errno.
 */
#ifndef VMT_TRACE_DIR_H
#define VMT_TRACE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct vmt_trace_dir {
	int directory; /* descriptor */
	const char *name;
};

/* An absolute path, which has to outlive the struct. */
int vmt_trace_dir_open(struct vmt_trace_dir *dir, const char *path);
void vmt_trace_dir_close(struct vmt_trace_dir *dir);

/* Of the file of that name, or another one beside it. */
int vmt_trace_dir_stat(const struct vmt_trace_dir *dir, const char *name, struct stat *status);
/* Whether the file of that name is this one, and is ours: that of another user may lie in that
 * user's directory, who can put something else there between this look and what follows. */
bool vmt_trace_dir_has(const struct vmt_trace_dir *dir, const char *name, uint64_t device,
		       uint64_t inode);

int vmt_trace_dir_remove(const struct vmt_trace_dir *dir, const char *name);

/* A new file, 0600. One of that name that an earlier process of ours left there, and that nobody
 * has open, is removed first. A descriptor, or -EEXIST where that is not so. */
int vmt_trace_dir_make(const struct vmt_trace_dir *dir, const char *name);

/* Each of two files gets the other's name. */
int vmt_trace_dir_exchange(const struct vmt_trace_dir *dir, const char *one, const char *other);

#endif
