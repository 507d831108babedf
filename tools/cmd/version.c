#include "tools/cmd/version.h"

#include "format/head.h"

#include <stdio.h>

void
vmt_version_print(void)
{
	printf("vmtrace %s (trace format %u)\n", VMT_VERSION_TEXT, VMT_VERSION);
}
