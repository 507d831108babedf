/*
 * record_static.h: starts a program that loads no library, and puts the recorder into it
 *
 * A statically linked program is traced up to its first instruction, which it then executes as it
 * would have, recorded (inject/static_start.h). Whatever hinders that, it runs, and one line on
 * stderr says why it is not recorded.
 */
#ifndef VMT_RECORD_STATIC_H
#define VMT_RECORD_STATIC_H

#include "base/session.h"
#include "tools/cmd/launch.h"

/* Whether execvp(command) runs such a program, and this build can put the recorder into it. */
bool vmt_record_static_is_one(const char *command);

/* From here on the recorder is put into such programs that recorded ones execute, by a thread of
 * this process; NULL: there can be none. end: before the session goes. */
struct vmt_record_static_server;
struct vmt_record_static_server *vmt_record_static_serve(struct vmt_session *session);
void vmt_record_static_end(struct vmt_record_static_server *server);

/* As vmt_launch_start. The variables of the library are set in the environment. */
int vmt_record_static_start(struct vmt_launch *launch, char **argv, int *status,
			    struct vmt_err *err);

#endif
