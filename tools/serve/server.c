#include "tools/serve/server.h"

#include "base/ticks.h"
#include "tools/serve/answers.h"
#include "tools/serve/clients.h"
#include "tools/serve/listen_address.h"
#include "tools/serve/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* What all connections may cost; their time is in clients.h. */
#define CONNECTION_BYTES ((size_t)32 << 10) /* headers and buffers of one */
#define IDLE_SECONDS 10u		    /* without a byte */

/* What an answer may cost, and for how long it is kept. */
#define ANSWER_BYTES (UINT64_C(64) << 20)
#define ANSWER_MEMORY_BYTES (UINT64_C(2) << 30)
#define ANSWER_SECONDS 60u
#define KEEP_NS (5 * NS_PER_SECOND)

#define LOOP_MS 1000
#define FULL_LOOP_MS 20

/* What one request has come to. */
struct exchange {
	struct vmt_answers_entry *entry; /* NULL: it has not been looked at */
	struct MHD_Connection *connection;
	bool is_suspended;
	struct exchange *next;
};

struct server {
	const struct vmt_server_options *options;
	struct MHD_Daemon *daemon;
	struct vmt_quarantine *quarantine;
	struct vmt_answers answers;
	struct exchange *exchanges;
	struct vmt_clients clients;
	bool has_moved; /* a connection came or went since the loop waited last */
	char address[NI_MAXHOST + NI_MAXSERV + 4];
};

static volatile sig_atomic_t stop_asked;

static void
on_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

static int64_t
now_ns(void)
{
	return (int64_t)vmt_ticks_monotonic_ns();
}

/* -- connections --------------------------------------------------------------------------------
 */

static void
on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
	      enum MHD_ConnectionNotificationCode code)
{
	struct server *server = context;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct vmt_client *client = *socket_context;

	server->has_moved = true;
	if (code == MHD_CONNECTION_NOTIFY_STARTED && info)
		*socket_context = vmt_clients_add(&server->clients, info->connect_fd, now_ns());
	if (code == MHD_CONNECTION_NOTIFY_CLOSED && client)
		vmt_client_leaves(client);
}

static struct vmt_client *
client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* -- answers ------------------------------------------------------------------------------------
 */

static enum MHD_Result
refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    strlen(why), (void *)(uintptr_t)why, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* The last metrics, where the next ones are still being made. */
static enum MHD_Result
give_older(struct MHD_Connection *connection, struct MHD_Response *older)
{
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, older);

	MHD_destroy_response(older);
	return result;
}

static enum MHD_Result
give(const struct server *server, struct MHD_Connection *connection,
     const struct vmt_answers_entry *entry)
{
	struct MHD_Response *older = NULL;

	if (!entry->is_made && entry->request.kind == VMT_REQUEST_METRICS)
		older = vmt_answers_older(&server->answers, now_ns());
	if (older)
		return give_older(connection, older);
	if (!entry->response)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return MHD_queue_response(connection, entry->status, entry->response);
}

struct arguments {
	struct vmt_request *request;
	int status;
};

static enum MHD_Result
read_argument(void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct arguments *arguments = context;

	(void)kind;
	arguments->status = vmt_request_argument(arguments->request, key, value);
	return arguments->status == MHD_HTTP_OK ? MHD_YES : MHD_NO;
}

/* Whether the request may be answered; else *status and why. */
static bool
may_ask(const struct server *server, struct MHD_Connection *connection, const char *method,
	unsigned *status, const char **why)
{
	const char *host =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	const char *authorization =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);

	*status = MHD_HTTP_METHOD_NOT_ALLOWED;
	*why = "only GET and HEAD are answered\n";
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return false;
	*status = MHD_HTTP_FORBIDDEN;
	*why = "this server is not known by that name: --host NAME makes it known\n";
	if (!vmt_request_host_is_safe(host, server->options->hosts))
		return false;
	*status = MHD_HTTP_UNAUTHORIZED;
	*why = "a token is needed: Authorization: Bearer TOKEN\n";
	return !server->options->token ||
	       vmt_request_has_token(authorization, server->options->token);
}

static enum MHD_Result
ask(struct server *server, struct exchange *exchange, const struct vmt_request *request)
{
	struct MHD_Connection *connection = exchange->connection;

	exchange->entry = vmt_answers_ask(&server->answers, request, now_ns());
	if (!exchange->entry)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
			      "too much is asked for at a time\n");
	if (exchange->entry->is_made)
		return give(server, connection, exchange->entry);
	exchange->is_suspended = true;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The headers of a request have come. What is answered now ends the connection. */
static enum MHD_Result
begin_exchange(struct server *server, struct MHD_Connection *connection, const char *method,
	       void **slot)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	struct vmt_client *client = client_of(connection);
	struct exchange *exchange;
	unsigned status;
	const char *why;

	if (client)
		vmt_client_asks(client, true, now_ns());
	if (!may_ask(server, connection, method, &status, &why))
		return refuse(connection, status, why);
	if ((length && strcmp(length, "0") != 0) ||
	    header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return refuse(connection, MHD_HTTP_BAD_REQUEST, "a request has no body\n");
	exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	exchange->connection = connection;
	exchange->next = server->exchanges;
	server->exchanges = exchange;
	*slot = exchange;
	return MHD_YES;
}

/* The request is whole. */
static enum MHD_Result
look_at(struct server *server, struct exchange *exchange, const char *url)
{
	struct MHD_Connection *connection = exchange->connection;
	struct vmt_request request;
	struct arguments arguments = {&request, MHD_HTTP_OK};

	if (vmt_request_begin(&request, url) != MHD_HTTP_OK)
		return refuse(connection, MHD_HTTP_NOT_FOUND,
			      "there are /, /metrics, /debug/pprof/heap, /debug/pprof/allocs and "
			      "/sd\n");
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, read_argument, &arguments);
	if (arguments.status == MHD_HTTP_OK && vmt_listen_address_is_any(&server->options->address))
		arguments.status =
		    vmt_request_set_host(&request, header(connection, MHD_HTTP_HEADER_HOST));
	if (arguments.status != MHD_HTTP_OK)
		return refuse(connection, MHD_HTTP_BAD_REQUEST, "an argument is not understood\n");
	return ask(server, exchange, &request);
}

static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *data, size_t *data_bytes, void **slot)
{
	struct exchange *exchange = *slot;

	(void)version;
	(void)data;
	(void)data_bytes;
	if (!exchange)
		return begin_exchange(context, connection, method, slot);
	if (!exchange->entry)
		return look_at(context, exchange, url);
	return give(context, connection, exchange->entry);
}

static void
on_completed(void *context, struct MHD_Connection *connection, void **slot,
	     enum MHD_RequestTerminationCode code)
{
	struct server *server = context;
	struct vmt_client *client = client_of(connection);
	struct exchange *exchange = *slot;

	(void)code;
	if (client)
		vmt_client_asks(client, false, now_ns());
	if (!exchange)
		return;
	for (struct exchange **at = &server->exchanges; *at; at = &(*at)->next)
		if (*at == exchange) {
			*at = exchange->next;
			break;
		}
	if (exchange->entry)
		vmt_answers_leave(exchange->entry);
	free(exchange);
	*slot = NULL;
}

/* All who wait for it, or for anything where it is NULL. Whether there were any. */
static bool
resume(struct server *server, const struct vmt_answers_entry *entry)
{
	bool any = false;

	for (struct exchange *at = server->exchanges; at; at = at->next)
		if (at->is_suspended && (!entry || at->entry == entry)) {
			at->is_suspended = false;
			MHD_resume_connection(at->connection);
			any = true;
		}
	return any;
}

/* -- the loop -----------------------------------------------------------------------------------
 */

static struct MHD_Daemon *
start_daemon(struct server *server)
{
	const struct vmt_server_options *options = server->options;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem tls[] = {
	    {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->certificate},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key},
	    {MHD_OPTION_END, 0, NULL}};

	if (options->certificate)
		flags |= MHD_USE_TLS;
	else
		tls[0].option = MHD_OPTION_END;
	if (options->address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	return MHD_start_daemon(
	    flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, &options->address,
	    MHD_OPTION_CONNECTION_LIMIT, VMT_CLIENTS_MOST, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
	    on_completed, server, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* The port may be one that the kernel has chosen. */
static void
name_address(struct server *server)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
	const struct sockaddr_storage *address = &server->options->address;
	bool is_ipv6 = address->ss_family == AF_INET6;
	char host[NI_MAXHOST] = "";

	getnameinfo((const struct sockaddr *)address, sizeof(*address), host, sizeof(host), NULL, 0,
		    NI_NUMERICHOST);
	snprintf(server->address, sizeof(server->address), "%s%s%s:%u", is_ipv6 ? "[" : "", host,
		 is_ipv6 ? "]" : "", info ? (unsigned)info->port : 0u);
}

static int
wait_ms(struct server *server)
{
	MHD_UNSIGNED_LONG_LONG asked;
	int most = vmt_clients_are_all(&server->clients) ? FULL_LOOP_MS : LOOP_MS;

	if (MHD_get_timeout(server->daemon, &asked) == MHD_YES &&
	    asked < (MHD_UNSIGNED_LONG_LONG)most)
		return (int)asked;
	return most;
}

/* Until there is something to do, a second is over or a signal comes. */
static void
wait_for_work(struct server *server, const sigset_t *unblocked)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = {{.fd = info ? info->epoll_fd : -1, .events = POLLIN},
				{.fd = -1, .events = POLLIN}};
	int ms = wait_ms(server);
	const struct timespec timeout = {ms / 1000, ms % 1000 * NS_PER_MS};

	if (server->answers.in_work)
		fds[1].fd = vmt_worker_fd(&server->answers.worker);
	ppoll(fds, 2, &timeout, unblocked);
}

static void
loop(struct server *server, const sigset_t *unblocked)
{
	while (!stop_asked) {
		const struct vmt_answers_entry *made;

		MHD_run(server->daemon);
		made = vmt_answers_step(&server->answers, now_ns());
		if (made) {
			resume(server, made);
			continue;
		}
		made = vmt_answers_late(&server->answers, now_ns());
		if (made && resume(server, made))
			continue;
		vmt_clients_cut_slow_ones(&server->clients, now_ns());
		/* A few are taken at a time, and no event tells of those that still wait. */
		if (server->has_moved)
			server->has_moved = false;
		else
			wait_for_work(server, unblocked);
	}
}

/* They come while the loop waits, and at no other time. Those that were ignored when this began, as
 * under nohup, stay so. */
static void
catch_signals(sigset_t *unblocked)
{
	const struct sigaction stop = {.sa_handler = on_stop};
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction before;

		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
			continue;
		sigaddset(&blocked, numbers[i]);
		sigaction(numbers[i], &stop, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, unblocked);
}

static int
serve(struct server *server, const sigset_t *unblocked)
{
	const struct vmt_server_options *options = server->options;
	const struct vmt_answer_source source = {.directory = options->directory,
						 .address = server->address,
						 .scheme = options->certificate ? "https" : "http",
						 .by_pid = options->by_pid,
						 .quarantine = server->quarantine};
	const struct vmt_worker_limits limits = {.memory_bytes = ANSWER_MEMORY_BYTES,
						 .output_bytes = ANSWER_BYTES,
						 .seconds = ANSWER_SECONDS};

	name_address(server);
	vmt_answers_begin(&server->answers, &source, &limits, KEEP_NS);
	printf("vmtrace-serve: %s://%s/ shows what runs of %s\n", source.scheme, server->address,
	       options->directory);
	fflush(stdout);
	loop(server, unblocked);
	resume(server, NULL);
	MHD_stop_daemon(server->daemon);
	vmt_answers_end(&server->answers);
	return 0;
}

int
vmt_server_run(const struct vmt_server_options *options, struct vmt_err *err)
{
	struct server *server = calloc(1, sizeof(*server));
	sigset_t unblocked;
	int result;

	if (!server)
		return vmt_err_set(err, ENOMEM, "out of memory");
	server->options = options;
	server->quarantine = vmt_quarantine_new();
	vmt_clients_begin(&server->clients);
	catch_signals(&unblocked);
	errno = 0;
	server->daemon = server->quarantine ? start_daemon(server) : NULL;
	if (server->daemon)
		result = serve(server, &unblocked);
	else
		result = vmt_err_set(err, errno ? errno : EINVAL, "can't listen%s%s%s",
				     options->certificate ? ", or its certificate is none" : "",
				     errno ? ": " : "", errno ? strerror(errno) : "");
	vmt_quarantine_free(server->quarantine);
	free(server);
	return result;
}
