/*
 * fuzz_request.c: what somebody sends to vmtrace-serve, as its own code sees it.
 *
 * An input is texts, each ended by a zero byte: names of the server, its token, the Host and
 * Authorization headers, the path, then keys and values of the query by turns.
 */
#include "tools/serve/listen_address.h"
#include "tools/serve/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MOST 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct input {
	const uint8_t *data;
	size_t size;
};

/* Memory of exactly its size, to be freed: what is read past it is seen. */
static char *
next_text(struct input *input)
{
	char *text = strndup((const char *)input->data, input->size);
	size_t used;

	MUST(text);
	used = strlen(text) + 1;
	used = used < input->size ? used : input->size;
	input->data += used;
	input->size -= used;
	return text;
}

static bool
has_end(const char *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

/* Behind the end of its texts a request is zeros, as equal ones are equal bytes. */
static void
check_request(const struct vmt_request *request)
{
	MUST(has_end(request->exe, sizeof(request->exe)));
	MUST(has_end(request->host, sizeof(request->host)));
	MUST(request->pid <= INT32_MAX);
	for (size_t i = strlen(request->exe); i < sizeof(request->exe); i++)
		MUST(request->exe[i] == '\0');
	for (size_t i = strlen(request->host); i < sizeof(request->host); i++)
		MUST(request->host[i] == '\0');
}

static void
ask(struct input *input, const char *path, const char *host, bool is_safe)
{
	static const char *const paths[] = {
#define X(name, path) path,
	    VMT_REQUESTS(X)
#undef X
	};
	struct vmt_request request;
	int status = vmt_request_begin(&request, path);

	check_request(&request);
	MUST(status == 200 || status == 404);
	if (status != 200)
		return;
	MUST(strcmp(paths[request.kind], path) == 0);
	for (int i = 0; i < ARGUMENTS_MOST && input->size > 0 && status == 200; i++) {
		char *key = next_text(input);
		char *value = input->size > 0 ? next_text(input) : NULL;

		status = vmt_request_argument(&request, key, value);
		check_request(&request);
		MUST(status == 200 || status == 400);
		MUST(status != 200 || request.kind != VMT_REQUEST_METRICS);
		free(key);
		free(value);
	}
	if (is_safe && status == 200) {
		status = vmt_request_set_host(&request, host);
		MUST(status == 200 || status == 400);
		MUST(strcmp(request.host, host) == 0 || request.host[0] == '\0');
		check_request(&request);
	}
}

/* The token alone lets in, whatever is around it. */
static void
check_token(const char *authorization, const char *token)
{
	bool has = vmt_request_has_token(authorization, token);
	size_t length = strlen(authorization);

	MUST(!has || (length == strlen(token) + 7 && strcmp(authorization + 7, token) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char *names = next_text(&input);
	char *token = next_text(&input);
	char *host = next_text(&input);
	char *authorization = next_text(&input);
	char *path = next_text(&input);
	struct sockaddr_storage address;
	struct vmt_err err = {""};
	bool is_safe = vmt_request_host_is_safe(host, names);

	check_token(authorization, token);
	ask(&input, path, host, is_safe);
	if (vmt_listen_address_read(&address, host, &err) == 0)
		MUST(!(vmt_listen_address_is_loopback(&address) &&
		       vmt_listen_address_is_any(&address)));
	else
		MUST(err.text[0] != '\0');
	free(path);
	free(authorization);
	free(host);
	free(token);
	free(names);
	return 0;
}
