/*
 * record_session.h: where the traces of a recording go, and how its processes find their collector.
 *
 * Single-threaded.
 */
#ifndef VMT_RECORD_SESSION_H
#define VMT_RECORD_SESSION_H

#include "base/session.h"
#include "tools/cmd/record_settings.h"
#include "tools/err.h"

#include <limits.h>

struct vmt_record_session {
	char output[PATH_MAX]; /* absolute, may hold %n and %p */
	char path[PATH_MAX];   /* of the session's file; empty: none is there */
	struct vmt_session *shared;
};

/* Makes one. Negative errno, and a message; it is to be closed in any case. */
int vmt_record_session_open(struct vmt_record_session *session,
			    const struct vmt_record_settings *wanted, struct vmt_err *err);

/* Lets a process of another user open it from now on, where this one may give it away. */
void vmt_record_session_lend(const struct vmt_record_session *session, uint32_t pid);

/* Sets the variables by which the library, or what stands in for it, finds it. */
void vmt_record_session_export(const struct vmt_record_session *session);

/* All variables of the library's as they are now, each with its NUL, and one NUL more. NULL: out of
 * memory. The caller frees it. */
char *vmt_record_session_variables(size_t *bytes);

void vmt_record_session_close(struct vmt_record_session *session);

#endif
