/*
 * clients.h: who is connected, and for how long may they be?
 *
 * A bounded number of connections, each with a time by which it must be done. Times are ns of
 * CLOCK_MONOTONIC. One thread's; descriptors stay the caller's.
 */
#ifndef VMT_CLIENTS_H
#define VMT_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#define VMT_CLIENTS_MOST 100u

struct vmt_client {
	int fd; /* -1: the place is free */
	int64_t since_ns;
	bool has_asked;
};

struct vmt_clients {
	struct vmt_client all[VMT_CLIENTS_MOST];
	int64_t full_ns;     /* when there were as many as there may be, last */
	int64_t patience_ns; /* with who asks nothing then; 0: as at first */
};

void vmt_clients_begin(struct vmt_clients *clients);

/* NULL: there are as many as there may be. */
struct vmt_client *vmt_clients_add(struct vmt_clients *clients, int fd, int64_t now_ns);
void vmt_client_leaves(struct vmt_client *client);

/* Its request has come (true), or its answer was taken (false). */
void vmt_client_asks(struct vmt_client *client, bool asks, int64_t now_ns);

/* Whether there are as many as there may be. */
bool vmt_clients_are_all(const struct vmt_clients *clients);

/* Ends the connections (shutdown) of those whose time is over. A byte now and then keeps a
 * connection from being idle, but not from this. Where others wait for a place, who asks nothing
 * has to make room soon. */
void vmt_clients_cut_slow_ones(struct vmt_clients *clients, int64_t now_ns);

#endif
