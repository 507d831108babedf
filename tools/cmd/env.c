#include "tools/cmd/cmd.h"
#include "tools/cmd/library.h"
#include "tools/cmd/options.h"

#include <errno.h>
#include <stdio.h>

const struct vmt_option vmt_env_options[] = {{0}};

int
vmt_env_main(int argc, char **argv, struct vmt_err *err)
{
	struct vmt_options options = {.operand_count = 0};
	char library[PATH_MAX];
	int result;

	result = vmt_options_parse(&options, vmt_env_options, argc, argv, false, err);
	if (result < 0)
		return result;
	if (options.operand_count)
		return vmt_err_set(err, EINVAL, "env takes no operands");
	result = vmt_library_find(library, err);
	if (result < 0)
		return result;
	printf("# Dockerfile: the directory must exist and be writable by the service.\n"
	       "COPY %s %s\n"
	       "RUN mkdir -p /var/tmp/vmtrace && chmod 1777 /var/tmp/vmtrace\n"
	       "ENV LD_PRELOAD=%s\n"
	       "ENV VMTRACE_OUTPUT=/var/tmp/vmtrace/vmtrace.%%n.%%p.vmt\n"
	       "\n"
	       "# Pod: the same, with a volume that outlives the container (image or volume holds "
	       "the library).\n"
	       "spec:\n"
	       "  containers:\n"
	       "    - name: service\n"
	       "      env:\n"
	       "        - { name: LD_PRELOAD, value: %s }\n"
	       "        - { name: VMTRACE_OUTPUT, value: /var/tmp/vmtrace/vmtrace.%%n.%%p.vmt }\n"
	       "      volumeMounts:\n"
	       "        - { name: vmtrace, mountPath: /var/tmp/vmtrace }\n"
	       "  volumes:\n"
	       "    - { name: vmtrace, emptyDir: {} }\n"
	       "\n"
	       "# Optional: VMTRACE_MALLOC=off|sampled[:BYTES]|all  VMTRACE_ONLY=GLOB[:GLOB...]\n"
	       "# VMTRACE_FOLLOW=none|exec|fork|all  VMTRACE_INTERVAL=TIME  VMTRACE_DEPTH=FRAMES\n"
	       "# VMTRACE_CMDLINE=0 leaves the command line out of the trace.\n",
	       library, library, library, library);
	return 0;
}
