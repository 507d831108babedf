#include "tools/cmd/cmd.h"
#include "tools/cmd/dump_record.h"
#include "tools/cmd/options.h"
#include "tools/cmd/pager.h"
#include "tools/cmd/suggest.h"
#include "tools/memory_limit.h"
#include "tools/read/trace/merge.h"
#include "tools/read/trace/snapshot_decode.h"
#include "tools/render/units.h"

#include <errno.h>
#include <stdio.h>

enum { OPTION_FORMAT, OPTION_STACKS, OPTION_RUNS, OPTION_FROM, OPTION_TO };

const struct vmt_option vmt_cmd_dump_options[] = {
    [OPTION_FORMAT] = {"format", 'f', "text|json", "text (default), or json: one object per line"},
    [OPTION_STACKS] = {"stacks", 's', NULL, "show each event's stack, as addresses"},
    [OPTION_RUNS] = {"runs", 0, NULL, "show each snapshot's runs of equal pages"},
    [OPTION_FROM] = {"from", 0, "TIME", "leave out what was before, since the start, like 1.5s"},
    [OPTION_TO] = {"to", 0, "TIME", "leave out what came later, since the start, like 2s"},
    {0},
};

/* Which records are printed, in ns since the start of the trace. */
struct window {
	int64_t from_ns;
	int64_t to_ns;
};

static int
dump_snapshot(struct vmt_dump_record *dumped, const struct vmt_record *record, struct vmt_err *err)
{
	struct vmt_snapshot snapshot;
	int result = vmt_snapshot_decode(&snapshot, dumped->trace, record->snapshot, err);

	if (result != 0)
		return result;
	vmt_dump_record_snapshot(dumped, &snapshot);
	vmt_snapshot_decode_free(&snapshot);
	return 0;
}

static int
dump_one(struct vmt_dump_record *dumped, const struct vmt_record *record, struct vmt_err *err)
{
	if (record->kind == VMT_RECORD_EVENT)
		vmt_dump_record_event(dumped, &record->event);
	else if (record->kind == VMT_RECORD_USAGE)
		vmt_dump_record_usage(dumped, &record->usage);
	else if (record->kind == VMT_RECORD_TOUCH)
		vmt_dump_record_touch(dumped, &record->touch);
	else
		return dump_snapshot(dumped, record, err);
	return 0;
}

static int
dump_records(struct vmt_dump_record *dumped, const struct window *window, struct vmt_err *err)
{
	struct vmt_merge *merge;
	struct vmt_record record = {.kind = VMT_RECORD_END};
	int result = vmt_merge_open_from(&merge, dumped->trace, window->from_ns, err);

	while (result == 0) {
		int64_t time_ns;

		result = vmt_merge_next(merge, &record, err);
		if (result != 0 || record.kind == VMT_RECORD_END)
			break;
		time_ns = vmt_trace_time_ns(dumped->trace, record.time);
		if (time_ns > window->to_ns)
			break;
		if (time_ns >= window->from_ns)
			result = dump_one(dumped, &record, err);
	}
	vmt_merge_close(merge);
	return result;
}

/* What was read before an error is printed all the same. */
static int
dump_trace(struct vmt_dump_record *dumped, const struct window *window, struct vmt_err *err)
{
	int result;
	int written;

	vmt_dump_record_head(dumped);
	result = dump_records(dumped, window, err);
	if (result == 0) {
		vmt_dump_record_loss(dumped);
		vmt_dump_record_end(dumped);
	}
	written = vmt_emitter_finish(&dumped->emitter, err);
	return result != 0 ? result : written;
}

static int
read_time(const struct vmt_options *options, unsigned option, int64_t *time_ns, struct vmt_err *err)
{
	const char *text = options->values[option];
	uint64_t ns;

	if (text == NULL)
		return 0;
	if (vmt_units_parse_duration(text, &ns) < 0 || ns > INT64_MAX)
		return vmt_err_set(err, EINVAL,
				   "--%s: '%s' is not a time since the start like 1.5s",
				   vmt_cmd_dump_options[option].name, text);
	*time_ns = (int64_t)ns;
	return 0;
}

/* Without an option there is no bound: some records are from before the start. */
static int
read_window(const struct vmt_options *options, struct window *window, struct vmt_err *err)
{
	int result = read_time(options, OPTION_FROM, &window->from_ns, err);

	if (result == 0)
		result = read_time(options, OPTION_TO, &window->to_ns, err);
	if (result == 0 && window->from_ns > window->to_ns)
		return vmt_err_set(err, EINVAL, "--from is later than --to");
	return result;
}

int
vmt_cmd_dump_main(int argc, char **argv, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", NULL};
	struct vmt_options options;
	struct vmt_dump_record dumped = {0};
	struct window window = {INT64_MIN, INT64_MAX};
	int format = 0;
	int result = vmt_options_parse(&options, vmt_cmd_dump_options, argc, argv, false, err);

	if (result < 0)
		return result;
	if (options.values[OPTION_FORMAT] != NULL)
		format =
		    vmt_options_choose("--format", options.values[OPTION_FORMAT], formats, err);
	if (format < 0)
		return format;
	result = read_window(&options, &window, err);
	if (result != 0)
		return result;
	if (options.operand_count != 1)
		return vmt_err_set(err, EINVAL, "dump takes one trace");
	dumped.stacks = options.values[OPTION_STACKS] != NULL;
	dumped.runs = options.values[OPTION_RUNS] != NULL;
	vmt_memory_limit_set_machine();
	result = vmt_trace_open(&dumped.trace, options.operands[0], err);
	if (result == -ENOENT && !vmt_suggest_process(options.operands[0], err))
		vmt_suggest_file(options.operands[0], err);
	if (result != 0)
		return result;
	if (format == 0)
		vmt_pager_begin();
	vmt_emitter_begin(&dumped.emitter, stdout,
			  format == 1 ? VMT_EMITTER_JSON_LINES : VMT_EMITTER_TEXT);
	result = dump_trace(&dumped, &window, err);
	vmt_trace_close(dumped.trace);
	return result;
}
