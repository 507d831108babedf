#include "tools/serve/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404 };

#define MOST_HOST_BYTES 256

int
vmt_request_begin(struct vmt_request *request, const char *path)
{
	static const char *const paths[] = {
#define X(name, path) path,
	    VMT_REQUESTS(X)
#undef X
	};

	memset(request, 0, sizeof(*request));
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (strcmp(path, paths[i]) == 0) {
			request->kind = (enum vmt_request_kind)i;
			return OK;
		}
	return NOT_FOUND;
}

static int
read_pid(struct vmt_request *request, const char *value)
{
	unsigned long long number;
	char *end;

	if (*value < '0' || *value > '9')
		return BAD_REQUEST;
	errno = 0;
	number = strtoull(value, &end, 10);
	if (errno != 0 || *end != '\0' || number == 0 || number > INT32_MAX)
		return BAD_REQUEST;
	request->pid = (uint32_t)number;
	return OK;
}

static int
read_exe(struct vmt_request *request, const char *value)
{
	size_t length = strlen(value);

	if (length == 0 || length >= sizeof(request->exe))
		return BAD_REQUEST;
	memset(request->exe, 0, sizeof(request->exe));
	memcpy(request->exe, value, length);
	return OK;
}

/* What clients of Go's own profiles send along, and what means nothing here. */
static bool
is_of_profiles(const char *key)
{
	return strcmp(key, "seconds") == 0 || strcmp(key, "gc") == 0 || strcmp(key, "debug") == 0;
}

int
vmt_request_argument(struct vmt_request *request, const char *key, const char *value)
{
	bool is_profile = request->kind == VMT_REQUEST_HEAP || request->kind == VMT_REQUEST_ALLOCS;

	if (is_profile && is_of_profiles(key))
		return OK;
	if (!value || !(is_profile || request->kind == VMT_REQUEST_PAGE))
		return BAD_REQUEST;
	if (strcmp(key, "pid") == 0)
		return read_pid(request, value);
	if (strcmp(key, "exe") == 0 && is_profile)
		return read_exe(request, value);
	return BAD_REQUEST;
}

/* Without its port and brackets. false: it is none. */
static bool
bare_host(char bare[MOST_HOST_BYTES], const char *host)
{
	bool has_brackets = host[0] == '[';
	const char *end = has_brackets ? strchr(host, ']') : strchr(host, ':');
	size_t length;

	host += has_brackets;
	if (has_brackets && !end)
		return false;
	length = end ? (size_t)(end - host) : strlen(host);
	if (length == 0 || length >= MOST_HOST_BYTES)
		return false;
	memcpy(bare, host, length);
	bare[length] = '\0';
	return true;
}

static bool
is_among(const char *word, const char *names)
{
	size_t length = strlen(word);

	while (names && *names) {
		const char *end = strchrnul(names, ',');

		if ((size_t)(end - names) == length && strncasecmp(names, word, length) == 0)
			return true;
		names = *end ? end + 1 : end;
	}
	return false;
}

bool
vmt_request_host_is_safe(const char *host, const char *names)
{
	unsigned char address[sizeof(struct in6_addr)];
	char bare[MOST_HOST_BYTES];

	if (!host || !bare_host(bare, host))
		return false;
	return inet_pton(AF_INET, bare, address) == 1 || inet_pton(AF_INET6, bare, address) == 1 ||
	       strcasecmp(bare, "localhost") == 0 || is_among(bare, names);
}

/* A port may follow the name, and nothing else. */
static bool
is_whole(const char *host)
{
	const char *end = host[0] == '[' ? strchr(host, ']') : strchrnul(host, ':');

	end += *end == ']';
	if (*end == '\0')
		return true;
	return *end == ':' && end[1] != '\0' && strlen(end + 1) <= 5 &&
	       strspn(end + 1, "0123456789") == strlen(end + 1);
}

int
vmt_request_set_host(struct vmt_request *request, const char *host)
{
	char bare[MOST_HOST_BYTES];

	if (request->kind != VMT_REQUEST_TARGETS)
		return OK;
	if (!bare_host(bare, host) || !is_whole(host))
		return BAD_REQUEST;
	memset(request->host, 0, sizeof(request->host));
	memcpy(request->host, host, strnlen(host, sizeof(request->host) - 1));
	return OK;
}

bool
vmt_request_has_token(const char *authorization, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t length = strlen(token);
	unsigned char difference = 0;

	if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	authorization += sizeof(scheme) - 1;
	if (strlen(authorization) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		difference |= (unsigned char)(authorization[i] ^ token[i]);
	return difference == 0;
}
