#include "tools/serve/clients.h"

#include <stddef.h>
#include <sys/socket.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

#define REQUEST_NS (10 * NS_PER_SECOND) /* until a request is whole */
/* ... while there are as many as there may be: less and less, as long as that lasts. */
#define FULL_REQUEST_NS NS_PER_SECOND
#define FULL_LEAST_NS (50 * NS_PER_MS)
#define FULL_FORGOTTEN_NS NS_PER_SECOND
#define RESPONSE_NS (120 * NS_PER_SECOND) /* until an answer is made and taken */

void
vmt_clients_begin(struct vmt_clients *clients)
{
	*clients = (struct vmt_clients){.full_ns = 0};
	for (size_t i = 0; i < VMT_CLIENTS_MOST; i++)
		clients->all[i].fd = -1;
}

struct vmt_client *
vmt_clients_add(struct vmt_clients *clients, int fd, int64_t now_ns)
{
	for (size_t i = 0; i < VMT_CLIENTS_MOST; i++)
		if (clients->all[i].fd < 0) {
			clients->all[i] = (struct vmt_client){.fd = fd, .since_ns = now_ns};
			return &clients->all[i];
		}
	return NULL;
}

void
vmt_client_leaves(struct vmt_client *client)
{
	client->fd = -1;
}

void
vmt_client_asks(struct vmt_client *client, bool asks, int64_t now_ns)
{
	client->has_asked = asks;
	client->since_ns = now_ns;
}

bool
vmt_clients_are_all(const struct vmt_clients *clients)
{
	for (size_t i = 0; i < VMT_CLIENTS_MOST; i++)
		if (clients->all[i].fd < 0)
			return false;
	return true;
}

/* How long one may take that asks nothing. */
static int64_t
patience_ns(struct vmt_clients *clients, int64_t now_ns)
{
	if (!vmt_clients_are_all(clients)) {
		if (now_ns - clients->full_ns > FULL_FORGOTTEN_NS)
			clients->patience_ns = 0;
		return REQUEST_NS;
	}
	clients->full_ns = now_ns;
	if (clients->patience_ns == 0)
		clients->patience_ns = FULL_REQUEST_NS;
	return clients->patience_ns;
}

void
vmt_clients_cut_slow_ones(struct vmt_clients *clients, int64_t now_ns)
{
	int64_t most_ns = patience_ns(clients, now_ns);
	bool has_cut = false;

	for (size_t i = 0; i < VMT_CLIENTS_MOST; i++) {
		struct vmt_client *client = &clients->all[i];

		if (client->fd >= 0 &&
		    now_ns - client->since_ns > (client->has_asked ? RESPONSE_NS : most_ns)) {
			shutdown(client->fd, SHUT_RDWR);
			has_cut = true;
		}
	}
	if (has_cut && clients->patience_ns > FULL_LEAST_NS)
		clients->patience_ns /= 2;
}
