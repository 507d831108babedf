#include "base/ticks.h"
#include "tools/cmd/cmd.h"
#include "tools/cmd/report_args.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/top_source.h"
#include "tools/memory_limit.h"
#include "tools/render/units.h"
#include "tools/top/top_screen.h"
#include "tools/top/top_table.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* One reading may take this part of the time. */
#define COST_PART 10u
#define DEFAULT_ROWS 20u
/* Until a process that was attached to has its first snapshot. */
#define MOST_FIRST_NS (10 * NS_PER_S)
#define FIRST_LOOK_MS 20

enum {
	OPTION_ONCE,
	OPTION_ATTACH,
	OPTION_SORT,
	OPTION_CLASSES,
	OPTION_FILTER,
	OPTION_TOP,
	OPTION_INTERVAL,
	OPTION_SYSROOT
};

const struct vmt_option vmt_cmd_top_options[] = {
    {"once", '1', NULL, "print one reading as text, and end"},
    {"attach", 'a', NULL, "record the calls of a process that is not recorded, meanwhile"},
    {"sort", 's', "FIGURE", "resident (default), growth, rate, reserved"},
    {"classes", 'c', NULL, "begin with the classes of memory, not the call sites"},
    {"match", 0, "TEXT", "only rows that have this text"},
    {"top", 'n', "N", "rows with --once (default 20)"},
    {"interval", 'd', "TIME", "time between two readings (default 1s)"},
    VMT_REPORT_ARGS_SYSROOT,
    {0},
};

struct wanted {
	char *const *operands;
	int operand_count;
	const char *sysroot;
	const char *filter;
	enum vmt_top_order order;
	size_t rows;
	uint64_t interval_ns;
	bool once;
	bool attaches;
	bool classes;
};

struct top {
	struct vmt_top_source *source;
	struct vmt_top_table table;
	uint64_t next_ns; /* when the next reading is due */
};

static int
read_interval(const char *text, uint64_t *interval_ns, struct vmt_err *err)
{
	if (!text)
		return 0;
	if (vmt_units_parse_duration(text, interval_ns) < 0 || *interval_ns < 10 * NS_PER_MS ||
	    *interval_ns > 3600 * NS_PER_S)
		return vmt_err_set(err, EINVAL,
				   "--interval takes a time from 10ms to 1h, not \"%.60s\"", text);
	return 0;
}

static int
read_options(const struct vmt_options *options, struct wanted *wanted, struct vmt_err *err)
{
	int result = 0;

	*wanted = (struct wanted){.operands = options->operands,
				  .operand_count = options->operand_count,
				  .filter = options->values[OPTION_FILTER],
				  .rows = DEFAULT_ROWS,
				  .interval_ns = NS_PER_S,
				  .once = options->values[OPTION_ONCE] != NULL,
				  .attaches = options->values[OPTION_ATTACH] != NULL,
				  .classes = options->values[OPTION_CLASSES] != NULL};
	if (options->values[OPTION_SORT]) {
		result =
		    vmt_options_choose("--sort", options->values[OPTION_SORT], vmt_top_orders, err);
		wanted->order = (enum vmt_top_order)(result < 0 ? 0 : result);
	}
	if (result >= 0)
		result =
		    vmt_report_args_count("--top", options->values[OPTION_TOP], &wanted->rows, err);
	if (result >= 0)
		result =
		    vmt_report_args_sysroot(options->values[OPTION_SYSROOT], &wanted->sysroot, err);
	if (result >= 0)
		result = read_interval(options->values[OPTION_INTERVAL], &wanted->interval_ns, err);
	return result < 0 ? result : 0;
}

/* A process that was only looked at leaves nothing behind: what it had last stays to be seen. */
static bool
note_gone(struct top *top, int result)
{
	struct vmt_top_reading *now = &top->table.now;

	if (result != -ESRCH || top->table.readings == 0)
		return false;
	now->goes_on = false;
	now->is_live = false;
	snprintf(now->state, sizeof(now->state), "has ended");
	return true;
}

/* What a reading costs makes the next one wait, but for one that goes on with the last. */
static int
read_next(struct top *top, uint64_t interval_ns, struct vmt_err *err)
{
	struct vmt_top_reading reading;
	uint64_t from_ns = vmt_ticks_monotonic_ns();
	int result = vmt_top_source_read(top->source, &reading, err);
	uint64_t took_ns = vmt_ticks_monotonic_ns() - from_ns;

	if (note_gone(top, result)) {
		*err = (struct vmt_err){""};
		return 0;
	}
	if (result < 0)
		return result;
	top->next_ns = reading.is_partial ? from_ns : from_ns + interval_ns;
	vmt_top_table_take(&top->table, &reading);
	if (!top->table.now.is_partial && took_ns * COST_PART > interval_ns)
		top->next_ns = from_ns + took_ns * COST_PART;
	return 0;
}

static void
print_line(void *context, enum vmt_layout_style style, const char *text)
{
	(void)style;
	vmt_layout_line(context, style, "%s", text);
}

static int
print_once(const struct vmt_top_table *table, enum vmt_top_view view, const struct wanted *wanted,
	   struct vmt_err *err)
{
	struct vmt_layout layout = vmt_terminal_layout(stdout);
	struct vmt_top_look look = {.view = view,
				    .order = wanted->order,
				    .filter = wanted->filter,
				    .most_rows = wanted->rows,
				    .is_once = true};

	if (vmt_top_text_write(table, &look, &layout, print_line, &layout) == SIZE_MAX)
		return vmt_err_set(err, ENOMEM, "out of memory");
	return 0;
}

static int
wait_ms(const struct top *top)
{
	uint64_t now_ns = vmt_ticks_monotonic_ns();

	return top->next_ns > now_ns ? (int)((top->next_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

static bool
is_due(const struct top *top)
{
	return top->table.now.goes_on && !vmt_top_screen_is_paused() &&
	       vmt_ticks_monotonic_ns() >= top->next_ns;
}

/* Until somebody wants an end, or there is trouble. */
static int
go_on(struct top *top, uint64_t interval_ns, struct vmt_err *err)
{
	enum vmt_top_screen_wish wish = VMT_TOP_SCREEN_SHOW;
	int result = 0;

	while (wish != VMT_TOP_SCREEN_QUIT && result == 0) {
		vmt_top_screen_show(&top->table);
		do {
			bool waits = !top->table.now.goes_on || vmt_top_screen_is_paused();

			wish = vmt_top_screen_wait(waits ? 1000 : wait_ms(top));
		} while (wish == VMT_TOP_SCREEN_NOTHING && !is_due(top));
		if (wish != VMT_TOP_SCREEN_QUIT && is_due(top))
			result = read_next(top, interval_ns, err);
	}
	return result;
}

static int
show(struct top *top, const struct wanted *wanted, struct vmt_err *err)
{
	enum vmt_top_view view = vmt_top_source_view(top->source);
	int result;

	if (wanted->classes && view == VMT_TOP_SITES)
		view = VMT_TOP_CLASSES;
	if (wanted->once || !vmt_top_screen_is_possible() ||
	    !vmt_top_screen_begin(vmt_terminal_layout(stdout).utf8))
		return print_once(&top->table, view, wanted, err);
	vmt_top_screen_set(view, wanted->order, wanted->filter);
	result = go_on(top, wanted->interval_ns, err);
	vmt_top_screen_end();
	return result;
}

static bool
has_first(const struct top *top, int result)
{
	return result == 0 && (top->table.now.has_snapshot || !top->table.now.goes_on);
}

/* Of a process that was attached to just now there has to be something first. What is printed once
 * has the calls of the time between two readings. */
static int
read_first(struct top *top, const struct wanted *wanted, struct vmt_err *err)
{
	uint64_t until_ns = vmt_ticks_monotonic_ns() + MOST_FIRST_NS;
	int result = read_next(top, wanted->interval_ns, err);

	while (result == 0 && wanted->once && top->table.now.is_partial)
		result = read_next(top, wanted->interval_ns, err);
	if (!vmt_top_source_is_attached(top->source))
		return result;
	while (!has_first(top, result) && vmt_ticks_monotonic_ns() < until_ns) {
		(void)poll(NULL, 0, FIRST_LOOK_MS);
		*err = (struct vmt_err){""};
		result = read_next(top, wanted->interval_ns, err);
	}
	if (result == 0 && wanted->once) {
		(void)poll(NULL, 0, (int)(wanted->interval_ns / NS_PER_MS));
		result = read_next(top, wanted->interval_ns, err);
	}
	return result;
}

static int
run(const struct wanted *wanted, struct vmt_err *err)
{
	struct top top = {.source = NULL};
	int result;

	vmt_memory_limit_set_machine();
	result = vmt_top_source_open(&top.source, wanted->operands, wanted->operand_count,
				     wanted->sysroot, wanted->attaches, err);
	if (result == 0)
		result = read_first(&top, wanted, err);
	if (result == 0)
		result = show(&top, wanted, err);
	vmt_top_table_free(&top.table);
	vmt_top_source_close(top.source);
	if (vmt_top_screen_signal())
		(void)raise(vmt_top_screen_signal());
	return result == -EINVAL ? -EBADMSG : result;
}

int
vmt_cmd_top_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	struct wanted wanted;
	int result = vmt_options_parse(&options, vmt_cmd_top_options, argc, argv, false, err);

	if (result == 0 && options.operand_count < 1)
		result = vmt_err_set(err, EINVAL,
				     "top needs a process, traces or directories of traces");
	if (result == 0)
		result = read_options(&options, &wanted, err);
	return result == 0 ? run(&wanted, err) : result;
}
