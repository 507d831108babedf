#include "tools/cmd/cmd.h"
#include "tools/cmd/dump_record.h"
#include "tools/cmd/options.h"
#include "tools/cmd/pager.h"
#include "tools/cmd/suggest.h"
#include "tools/memory_limit.h"
#include "tools/read/trace/merge.h"
#include "tools/read/trace/snapshot_decode.h"

#include <errno.h>
#include <stdio.h>

enum { OPTION_FORMAT, OPTION_STACKS, OPTION_RUNS };

const struct vmt_option vmt_cmd_dump_options[] = {
    [OPTION_FORMAT] = {"format", 'f', "text|json", "text (default), or json: one object per line"},
    [OPTION_STACKS] = {"stacks", 's', NULL, "show each event's stack, as addresses"},
    [OPTION_RUNS] = {"runs", 0, NULL, "show each snapshot's runs of equal pages"},
    {0},
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
dump_records(struct vmt_dump_record *dumped, struct vmt_err *err)
{
	struct vmt_merge *merge;
	struct vmt_record record = {.kind = VMT_RECORD_END};
	int result = vmt_merge_open(&merge, dumped->trace, err);

	while (result == 0) {
		result = vmt_merge_next(merge, &record, err);
		if (result != 0 || record.kind == VMT_RECORD_END)
			break;
		if (record.kind == VMT_RECORD_EVENT)
			vmt_dump_record_event(dumped, &record.event);
		else if (record.kind == VMT_RECORD_USAGE)
			vmt_dump_record_usage(dumped, &record.usage);
		else if (record.kind == VMT_RECORD_TOUCH)
			vmt_dump_record_touch(dumped, &record.touch);
		else
			result = dump_snapshot(dumped, &record, err);
	}
	vmt_merge_close(merge);
	return result;
}

/* What was read before an error is printed all the same. */
static int
dump_trace(struct vmt_dump_record *dumped, struct vmt_err *err)
{
	int result;
	int written;

	vmt_dump_record_head(dumped);
	result = dump_records(dumped, err);
	if (result == 0) {
		vmt_dump_record_loss(dumped);
		vmt_dump_record_end(dumped);
	}
	written = vmt_emitter_finish(&dumped->emitter, err);
	return result != 0 ? result : written;
}

int
vmt_cmd_dump_main(int argc, char **argv, struct vmt_err *err)
{
	static const char *const formats[] = {"text", "json", NULL};
	struct vmt_options options;
	struct vmt_dump_record dumped = {0};
	int format = 0;
	int result = vmt_options_parse(&options, vmt_cmd_dump_options, argc, argv, false, err);

	if (result < 0)
		return result;
	if (options.values[OPTION_FORMAT] != NULL)
		format =
		    vmt_options_choose("--format", options.values[OPTION_FORMAT], formats, err);
	if (format < 0)
		return format;
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
	result = dump_trace(&dumped, err);
	vmt_trace_close(dumped.trace);
	return result;
}
