#include "tools/read/symbols/run_times.h"

#include <stddef.h>
#include <string.h>

static const struct vmt_run_time run_times[] = {
    {"node", "Builtins_InterpreterEntryTrampoline", "JavaScript functions",
     "start node with --perf-basic-prof (or set NODE_OPTIONS=--perf-basic-prof), and those that "
     "were compiled are recorded; with --interpreted-frames-native-stack as well, all are"},
    {"java", NULL, "Java methods",
     "start java with -XX:+PreserveFramePointer -XX:+UnlockDiagnosticVMOptions "
     "-XX:+DumpPerfMapAtExit (JDK 17 and later), or run jcmd PID Compiler.perfmap in time"},
    {"python", "_PyEval_EvalFrame", "Python functions",
     "start python with -X perf (3.12 and later), and they are recorded"},
    {"dotnet", NULL, ".NET methods", "set DOTNET_PerfMapEnabled=1, and they are recorded"},
    {"ruby", NULL, "compiled Ruby methods", "start ruby with --yjit-perf, and they are recorded"},
    {"beam.smp", NULL, "Erlang functions", "start erl with +JPperf true, and they are recorded"},
};

const struct vmt_run_time *
vmt_run_times_of(const char *exe)
{
	const char *slash = exe ? strrchr(exe, '/') : NULL;
	const char *name = slash ? slash + 1 : exe;

	for (size_t i = 0; name && i < sizeof(run_times) / sizeof(*run_times); i++)
		if (strncmp(name, run_times[i].program, strlen(run_times[i].program)) == 0)
			return &run_times[i];
	return NULL;
}
