/* A plugin whose constructor tells that it runs and stays until it may go: see loader_held.c. */
#include <stdlib.h>
#include <unistd.h>

static void __attribute__((constructor)) wait_to_go(void)
{
	const char *entered = getenv("PLUGIN_ENTERED");
	const char *go = getenv("PLUGIN_GO");
	char byte = 0;

	if (entered && go && write(atoi(entered), &byte, 1) == 1 && read(atoi(go), &byte, 1) != 1)
		_exit(94);
}
