/*
 * listen_address.h: where may a server be reached, and is it open to other machines?
 */
#ifndef VMT_LISTEN_ADDRESS_H
#define VMT_LISTEN_ADDRESS_H

#include "tools/err.h"

#include <stdbool.h>
#include <sys/socket.h>

/* "ADDRESS:PORT", "[IPv6]:PORT", ":PORT" (any address) or "PORT" (of the loopback); addresses are
 * numbers. Port 0: the kernel chooses. 0, or -EINVAL with a message. */
int vmt_listen_address_read(struct sockaddr_storage *address, const char *text,
			    struct vmt_err *err);

/* Whether nobody beyond this machine reaches it. */
bool vmt_listen_address_is_loopback(const struct sockaddr_storage *address);

/* Whether it is every address of this machine, and so none by which others could ask. */
bool vmt_listen_address_is_any(const struct sockaddr_storage *address);

#endif
