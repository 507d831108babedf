/*
 * rooted_open.h: opens a file below a directory that stands for "/".
 *
 * As chroot would resolve the path: absolute links and ".." stay below the directory. What lies
 * there is somebody's file system, with links to anywhere, and may change meanwhile. By openat2
 * (RESOLVE_IN_ROOT, Linux 5.6); where there is none, step by step, each directory held open.
 * Thread safe.
 */
#ifndef VMT_ROOTED_OPEN_H
#define VMT_ROOTED_OPEN_H

/* A descriptor, or -1 with errno. flags: open's, without O_CREAT. root NULL: plain open. */
int vmt_rooted_open(const char *root, const char *path, int flags);

/* The way without openat2. */
int vmt_rooted_open_by_steps(int root, const char *path, int flags);

#endif
