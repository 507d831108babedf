#include "tools/serve/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 128

/* -1: it is none. */
static int
read_port(const char *text)
{
	char *end;
	long port;

	if (*text < '0' || *text > '9')
		return -1;
	port = strtol(text, &end, 10);
	return *end == '\0' && port <= 65535 ? (int)port : -1;
}

static bool
set_ipv4(struct sockaddr_storage *address, const char *host, int port)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)(void *)address;

	ipv4->sin_family = AF_INET;
	ipv4->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &ipv4->sin_addr) == 1;
}

static bool
set_ipv6(struct sockaddr_storage *address, const char *host, int port)
{
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)(void *)address;

	ipv6->sin6_family = AF_INET6;
	ipv6->sin6_port = htons((uint16_t)port);
	return inet_pton(AF_INET6, host, &ipv6->sin6_addr) == 1;
}

/* Cuts text, a copy, into its host and its port. */
static bool
read_copy(struct sockaddr_storage *address, char *text)
{
	char *colon = strrchr(text, ':');
	int port = read_port(colon ? colon + 1 : text);
	size_t length;

	if (port < 0)
		return false;
	if (!colon)
		return set_ipv4(address, "127.0.0.1", port);
	*colon = '\0';
	length = strlen(text);
	if (length == 0)
		return set_ipv4(address, "0.0.0.0", port);
	if (text[0] != '[')
		return set_ipv4(address, text, port);
	if (text[length - 1] != ']')
		return false;
	text[length - 1] = '\0';
	return set_ipv6(address, text + 1, port);
}

int
vmt_listen_address_read(struct sockaddr_storage *address, const char *text, struct vmt_err *err)
{
	char copy[MOST_BYTES];
	size_t bytes = strlen(text) + 1;

	memset(address, 0, sizeof(*address));
	if (bytes <= sizeof(copy) && read_copy(address, memcpy(copy, text, bytes)))
		return 0;
	return vmt_err_set(
	    err, EINVAL,
	    "--listen %s: it is ADDRESS:PORT, [ADDRESS]:PORT, :PORT or PORT, in numbers", text);
}

bool
vmt_listen_address_is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->ss_family == AF_INET)
		return ntohl(ipv4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

bool
vmt_listen_address_is_any(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->ss_family == AF_INET)
		return ipv4->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&ipv6->sin6_addr);
}
