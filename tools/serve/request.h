/*
 * request.h: what does somebody ask for, and may they?
 *
 * Takes the parts of an HTTP request apart from how they came. All of it is untrusted; nothing of
 * it ever becomes the name of a file. No memory, no state.
 */
#ifndef VMT_REQUEST_H
#define VMT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

/* Kinds of answers, and their paths. */
#define VMT_REQUESTS(X)                                                                            \
	X(PAGE, "/")                                                                               \
	X(METRICS, "/metrics")                                                                     \
	X(HEAP, "/debug/pprof/heap")                                                               \
	X(ALLOCS, "/debug/pprof/allocs")                                                           \
	X(TARGETS, "/sd")

enum vmt_request_kind {
#define X(name, path) VMT_REQUEST_##name,
	VMT_REQUESTS(X)
#undef X
};

#define VMT_REQUEST_EXE_BYTES 512
#define VMT_REQUEST_HOST_BYTES 264

/* Equal requests are equal bytes. */
struct vmt_request {
	enum vmt_request_kind kind;
	uint32_t pid;			 /* 0: any */
	char exe[VMT_REQUEST_EXE_BYTES]; /* "": any; else its path or its base name */
	/* At which it came, where the answer is to name it; "": the server's own address. */
	char host[VMT_REQUEST_HOST_BYTES];
};

/* Begins a request with its decoded path. An HTTP status: 200, 404. */
int vmt_request_begin(struct vmt_request *request, const char *path);

/* One argument of the query, decoded; value may be NULL. An HTTP status: 200, 400. */
int vmt_request_argument(struct vmt_request *request, const char *key, const char *value);

/* Whether a Host header can't be that of a page of somebody else's whose name was made to lead here
 * (DNS rebinding): an address, localhost, or one of names (separated by commas; NULL: none). */
bool vmt_request_host_is_safe(const char *host, const char *names);

/* Keeps a Host header that is safe where the request's answer names the server. An HTTP status:
 * 200, 400. */
int vmt_request_set_host(struct vmt_request *request, const char *host);

/* Whether an Authorization header carries the token; takes the same time for every wrong one of a
 * length. NULL: there is no such header. */
bool vmt_request_has_token(const char *authorization, const char *token);

#endif
