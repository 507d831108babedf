#include "tools/cmd/cmd.h"
#include "tools/cmd/library.h"
#include "tools/cmd/options.h"

#include <errno.h>
#include <stdio.h>

const struct vmt_option vmt_cmd_env_options[] = {{0}};

/* The same for every installation, and word for word in docs/howto-containers.md: in an image the
 * library may as well lie where the manual has it. LD_PRELOAD comes after RUN, which it would
 * record. */
static const char lines[] =
    "COPY libvmtrace.so /usr/local/lib/\n"
    "RUN mkdir -p /var/trace && chmod 1777 /var/trace\n"
    "VOLUME /var/trace\n"
    "ENV LD_PRELOAD=/usr/local/lib/libvmtrace.so\n"
    "ENV VMTRACE_OUTPUT=/var/trace/vmtrace.%n.%p.vmt\n"
    "\n"
    "# Pod: the image holds the library, the volume outlives the container.\n"
    "spec:\n"
    "  containers:\n"
    "    - name: service\n"
    "      env:\n"
    "        - {name: LD_PRELOAD, value: /usr/local/lib/libvmtrace.so}\n"
    "        - {name: VMTRACE_OUTPUT, value: /var/trace/vmtrace.%n.%p.vmt}\n"
    "      volumeMounts:\n"
    "        - {name: trace, mountPath: /var/trace}\n"
    "  volumes:\n"
    "    - {name: trace, emptyDir: {}}\n"
    "\n"
    "# Optional: VMTRACE_ONLY=GLOB[:GLOB...] VMTRACE_MALLOC=off|sampled[:BYTES]|all\n"
    "# VMTRACE_CMDLINE=off leaves the command line out of the trace; see man libvmtrace.so\n";

int
vmt_cmd_env_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	char library[PATH_MAX];
	int result;

	result = vmt_options_parse(&options, vmt_cmd_env_options, argc, argv, false, err);
	if (result < 0)
		return result;
	if (options.operand_count)
		return vmt_err_set(err, EINVAL, "env takes no operands");
	result = vmt_library_find(library, err);
	if (result < 0)
		return result;
	printf("# In the build context (COPY takes files only from there):\n"
	       "#   cp %s .\n",
	       library);
	fputs(lines, stdout);
	return 0;
}
