/*
 * server.h: answers over HTTP.
 *
 * One thread, one loop: connections by libmicrohttpd, answers by a worker. Only GET and HEAD, only
 * the paths of request.h. Who connects can hold a bounded number of connections for a bounded time
 * and costs bounded memory; what is served is never a file.
 */
#ifndef VMT_SERVER_H
#define VMT_SERVER_H

#include "tools/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct vmt_server_options {
	char *directory;		 /* with traces */
	struct sockaddr_storage address; /* to listen at */
	const char *hosts;		 /* more names in Host, by commas; or NULL */
	const char *token;		 /* who asks must know it; or NULL */
	const char *certificate;	 /* PEM, and its key; or NULL: no TLS */
	const char *key;
	bool by_pid; /* metrics have a label pid */
};

/* Serves until SIGINT, SIGTERM or SIGHUP, where that is not ignored. 0 or a negative errno with a
 * message. */
int vmt_server_run(const struct vmt_server_options *options, struct vmt_err *err);

#endif
