#include "preload/trace/standalone.h"

#include "base/sys.h"
#include "base/text.h"
#include "format/head.h"
#include "preload/trace/exec_server.h"
#include "preload/trace/standalone_start.h"

#include <string.h>
#include <sys/prctl.h>

static const char name[] = "vmtrace collector";

struct builder {
	struct vmt_standalone_line *line;
	uint32_t count;
};

static void
put(struct builder *builder, const char *text)
{
	builder->line->arguments[builder->count++] = text;
}

static void
put_number(struct builder *builder, uint64_t number)
{
	char *text = builder->line->numbers[builder->count];
	struct vmt_text_out out = vmt_text_out_begin(text, VMT_STANDALONE_NUMBER_BYTES);

	vmt_text_put_decimal(&out, number);
	put(builder, text);
}

/* A descriptor that is not there is a word that is no number. */
static void
put_descriptor(struct builder *builder, int fd)
{
	if (fd >= 0)
		put_number(builder, (uint64_t)fd);
	else
		put(builder, "-");
}

void
vmt_standalone_write(struct vmt_standalone_line *line, const struct vmt_standalone_orders *orders)
{
	struct builder builder = {line, 0};

	put(&builder, name);
	put_number(&builder, VMT_VERSION);
	put_number(&builder, VMT_SESSION_VERSION);
	put(&builder, orders->session_path ? orders->session_path : "-");
	put_descriptor(&builder, orders->session_fd);
	put_number(&builder, orders->first_pid);
	put_number(&builder, orders->first_random_id);
	put_number(&builder, orders->interval_ns);
	put_number(&builder, orders->residency_source);
	put_number(&builder, orders->touch_period);
	put_number(&builder, orders->min_rss_bytes);
	put_number(&builder, orders->max_files);
	put_number(&builder, orders->max_bytes);
	put_descriptor(&builder, orders->watch.stat_fd);
	put_descriptor(&builder, orders->watch.pidfd);
	put_descriptor(&builder, orders->watch.maps_fd);
	put_descriptor(&builder, orders->watch.pagemap_fd);
	put_descriptor(&builder, orders->watch.statm_fd);
	put_descriptor(&builder, orders->watch.rollup_fd);
	put_number(&builder, orders->watch.stack_start);
	line->arguments[builder.count] = NULL;
}

static uint64_t
number_of(const char *argument)
{
	struct vmt_text text = vmt_text_of(argument, strlen(argument));
	uint64_t number;

	return vmt_text_take_decimal(&text, &number) ? number : 0;
}

static int
descriptor_of(const char *argument)
{
	return argument[0] == '-' ? -1 : (int)number_of(argument);
}

bool
vmt_standalone_read(struct vmt_standalone_orders *orders, int count, char *const arguments[])
{
	if (count != (int)VMT_STANDALONE_ARGUMENTS || strcmp(arguments[0], name) != 0 ||
	    number_of(arguments[1]) != VMT_VERSION ||
	    number_of(arguments[2]) != VMT_SESSION_VERSION)
		return false;
	*orders = (struct vmt_standalone_orders){
	    .session_path = arguments[3][0] == '/' ? arguments[3] : NULL,
	    .session_fd = descriptor_of(arguments[4]),
	    .first_pid = (uint32_t)number_of(arguments[5]),
	    .first_random_id = number_of(arguments[6]),
	    .interval_ns = number_of(arguments[7]),
	    .residency_source = (uint32_t)number_of(arguments[8]),
	    .touch_period = (uint32_t)number_of(arguments[9]),
	    .min_rss_bytes = number_of(arguments[10]),
	    .max_files = (uint32_t)number_of(arguments[11]),
	    .max_bytes = number_of(arguments[12]),
	    .watch = {.stat_fd = descriptor_of(arguments[13]),
		      .pidfd = descriptor_of(arguments[14]),
		      .maps_fd = descriptor_of(arguments[15]),
		      .pagemap_fd = descriptor_of(arguments[16]),
		      .statm_fd = descriptor_of(arguments[17]),
		      .rollup_fd = descriptor_of(arguments[18]),
		      .stack_start = number_of(arguments[19])},
	};
	return true;
}

static _Noreturn void
leave(int status)
{
	for (;;)
		vmt_sys_call1(SYS_exit_group, status);
}

static int
explain(void)
{
	static const char line[] =
	    "libvmtrace.so is to be preloaded, not run: LD_PRELOAD=/path/to/libvmtrace.so PROGRAM, "
	    "or vmtrace record -- PROGRAM\n";

	vmt_sys_write(1, line, sizeof(line) - 1);
	return 0;
}

static int
collect(struct vmt_standalone_orders *orders)
{
	struct vmt_exec_server server = {.library = "/proc/self/exe"};
	struct vmt_collector_host host = {
	    .serve_execs = vmt_exec_server_attend,
	    .serve_context = &server,
	    .interval_ns = orders->interval_ns,
	    .residency_source = orders->residency_source,
	    .touch_period = orders->touch_period,
	    .min_rss_bytes = orders->min_rss_bytes,
	    .max_files = orders->max_files,
	    .max_bytes = orders->max_bytes,
	    .first_pid = orders->first_pid,
	    .first_random_id = orders->first_random_id,
	    .first_watch = &orders->watch,
	    .ends_with_collector = true,
	    .session_path = orders->session_path,
	};
	struct vmt_session *session;
	int result;

	vmt_sys_call2(SYS_prctl, PR_SET_NAME, "vmtrace");
	if (vmt_session_view(orders->session_fd, &session) < 0)
		return 1;
	vmt_exec_server_begin(&server, session, orders->session_path, orders->session_fd);
	if (orders->session_path)
		vmt_sys_close(orders->session_fd);
	result = vmt_collector_run(session, &host);
	vmt_exec_server_end(&server);
	return result < 0;
}

void
vmt_standalone_run(int count, char *const arguments[])
{
	struct vmt_standalone_orders orders;

	leave(vmt_standalone_read(&orders, count, arguments) ? collect(&orders) : explain());
}
