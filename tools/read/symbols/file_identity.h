/*
 * file_identity.h: recognises a file that has changed since.
 *
 * By what stat says: a file that was changed, replaced or removed has another identity, and so has
 * one that came to be where there was none. The time of the last change of status can't be set by
 * a file's owner, but it is coarse: what changes twice within one tick of the kernel's clock shows
 * once. An identity tells nothing about a file that changed shortly before it was taken.
 */
#ifndef VMT_FILE_IDENTITY_H
#define VMT_FILE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros: there was no file. No padding: it is written and compared as bytes. */
struct vmt_file_identity {
	uint64_t device;
	uint64_t inode;
	uint64_t bytes;
	uint64_t content_ns; /* the content's last change, since 1970 */
	uint64_t status_ns;  /* the last change of anything */
	uint64_t is_there;
};

/* Of what the path leads to, through symbolic links; nothing is opened. */
struct vmt_file_identity vmt_file_identity_of(const char *path);

bool vmt_file_identity_is_equal(const struct vmt_file_identity *one,
				const struct vmt_file_identity *other);

/* The file has not changed for so long that another change would show. Call it right after the
 * identity was taken. */
bool vmt_file_identity_is_settled(const struct vmt_file_identity *identity);

#endif
