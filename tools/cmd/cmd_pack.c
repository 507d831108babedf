#include "tools/cmd/cmd.h"
#include "tools/cmd/pack.h"
#include "tools/cmd/report_args.h"
#include "tools/memory_limit.h"
#include "tools/render/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_OUTPUT, OPTION_SYSROOT };

const struct vmt_option vmt_cmd_pack_options[] = {
    {"output", 'o', "FILE", "write a packed copy (default: FILE itself becomes one)"},
    VMT_REPORT_ARGS_SYSROOT,
    {0},
};

static void
print(const struct vmt_pack *pack)
{
	char addresses[VMT_UNITS_BYTES];
	char modules[VMT_UNITS_BYTES];
	char bytes[VMT_UNITS_BYTES];

	fprintf(stderr, "vmtrace: packed %s address%s of %s file%s into %s",
		vmt_units_count(addresses, pack->addresses), pack->addresses == 1 ? "" : "es",
		vmt_units_count(modules, pack->modules), pack->modules == 1 ? "" : "s",
		vmt_units_bytes(bytes, pack->bytes));
	if (pack->nameless)
		fprintf(stderr, "; %s of the files gave no lines, the report says why",
			vmt_units_count(modules, pack->nameless));
	fprintf(stderr, "\n");
}

int
vmt_cmd_pack_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options;
	struct vmt_pack pack = {.path = NULL};
	int result = vmt_options_parse(&options, vmt_cmd_pack_options, argc, argv, false, err);

	if (result < 0)
		return result;
	if (options.operand_count != 1)
		return vmt_err_set(err, EINVAL, "pack takes one trace");
	pack.path = options.operands[0];
	pack.output = options.values[OPTION_OUTPUT];
	if (pack.output && strcmp(pack.output, "-") == 0)
		return vmt_err_set(err, EINVAL, "--output: a packed trace goes to a file");
	result = vmt_report_args_sysroot(options.values[OPTION_SYSROOT], &pack.sysroot, err);
	if (result < 0)
		return result;
	vmt_memory_limit_set_machine();
	result = vmt_pack_write(&pack, err);
	if (result == 0)
		print(&pack);
	return result;
}
